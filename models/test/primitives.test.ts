// The primitives of this package have what the docs' table says: derivatives against central differences and against each other.

import { readFileSync } from "node:fs";
import {
  add,
  array,
  chain,
  curvatureOf,
  curvatureProduct,
  dense,
  gaussian,
  jacobian,
  jvp,
  type Layer,
  laplace,
  loadPosterior,
  mse,
  multiply,
  type NDArray,
  type Network,
  perSampleGradients,
  Random,
  randomNormal,
  reshape,
  savePosterior,
  type Traced,
  vjp,
} from "laplace-ts";
import { applyPrimitive } from "laplace-ts/graph";
import { describe, expect, test } from "vitest";
import { fromOnnx, toOnnx } from "../src/index.ts";
import { largest, type PlainFunction, plainFunction, stridedView } from "../src/primitives.ts";

const settings: Record<PlainFunction, readonly [a: number, b: number]> = {
  abs: [0, 0],
  celu: [0.7, 0],
  clip: [-0.4, 0.9],
  cos: [0, 0],
  equal: [1, 0],
  greater: [0.3, 0],
  hardSigmoid: [0.3, 0.4],
  hardSwish: [0, 0],
  log: [0, 0],
  mish: [0, 0],
  power: [2.5, 0],
  reciprocal: [0, 0],
  sign: [0, 0],
  sin: [0, 0],
  softsign: [0, 0],
  sqrt: [0, 0],
  thresholdedRelu: [0.2, 0],
  truncate: [0, 0],
};
/** What is defined for positive numbers alone. */
const positive = new Set(["log", "power", "reciprocal", "sqrt"]);

const plain =
  (name: PlainFunction): Layer =>
  (x) => {
    const [a, b] = settings[name];
    const from = positive.has(name) ? add(multiply(x, x), 0.5) : x;
    return applyPrimitive(plainFunction, [from], { function: name, a, b });
  };
const windows: Layer = (x) =>
  reshape(applyPrimitive(stridedView, [x], { shape: [3, 2], strides: [1, -1], offset: 1 }), [6]);
const most: Layer = (x) => applyPrimitive(largest, [reshape(x, [2, 2])], undefined);

const cases: [string, Layer][] = [
  ...Object.keys(settings).map((name): [string, Layer] => [name, plain(name as PlainFunction)]),
  ["stridedView", windows],
  ["largest", most],
];

const x = randomNormal([5, 2], { seed: 1 });
const y = randomNormal([5, 2], { seed: 2 });

/** Between the layers there is a way around the primitive, so that no derivative is 0 altogether. */
function netOf(layer: Layer): Network {
  const around = (h: Traced) => {
    const z = layer(h);
    return z.shape[0] === 4 ? add(z, multiply(h, 0.3)) : z;
  };
  const net = chain({ inputs: 2, dtype: "float64" }, dense(4), around, dense(2));
  const random = new Random(3);
  net.setParameters(Array.from(net.parameters.data, (value) => 1.5 * value + 0.2 * random.normal()));
  return net;
}

/** Σ a b, b at steps. */
const dot = (a: ArrayLike<number>, b: ArrayLike<number>, start: number, step: number) =>
  Array.from(a).reduce((sum, one, i) => sum + one * b[start + i * step], 0);

const STEP = 1e-6;

/** (f(at + h v) − f(at − h v)) / 2h */
function difference(of: (at: Float64Array) => NDArray, at: NDArray, v: ArrayLike<number>): Float64Array {
  const [up, down] = [STEP, -STEP].map((h) => of(Float64Array.from(at.data, (value, i) => value + h * v[i])).data);
  return Float64Array.from(up, (value, i) => (value - down[i]) / (2 * STEP));
}

describe.each(cases)("%s", (name, layer) => {
  const net = netOf(layer);
  const theta = net.parameters;
  const p = net.parameterCount;
  const at = (values: Float64Array) => {
    const moved = net.clone();
    moved.setParameters(values);
    return moved;
  };
  const v = randomNormal([p], { seed: 4 });
  const close = (found: NDArray | ArrayLike<number>, expected: ArrayLike<number>) =>
    expect("data" in found ? found.data : found).toBeAllClose(expected, { relative: 1e-6, absolute: 1e-7 });

  test("jvp, Jacobian and vjp agree with differences, of parameters and inputs", () => {
    const moved = difference((values) => at(values).forward(x), theta, v.data);
    close(jvp(net, x, v), moved);
    const j = jacobian(net, x);
    close(
      Float64Array.from({ length: 10 }, (_, row) => dot(v.data, j.data, row * p, 1)),
      moved,
    );
    const u = randomNormal([5, 2], { seed: 5 });
    const pulled = Float64Array.from({ length: p }, (_, i) => dot(u.data, j.data, i, p));
    close(vjp(net, x, u), pulled);
    const direction = randomNormal([5, 2], { seed: 6 });
    const ofInputs = difference((values) => net.forward(array(values, { shape: [5, 2] })), x, direction.data);
    close(jvp(net, x, { inputs: direction }), ofInputs);
    const { data: inner } = jacobian(net, x, { withRespectTo: "inputs" });
    const sums = Float64Array.from({ length: 10 }, (_, row) => {
      const b = Math.floor(row / 2);
      return inner[row * 2] * direction.data[b * 2] + inner[row * 2 + 1] * direction.data[b * 2 + 1];
    });
    close(sums, ofInputs);
  });

  test("per-sample gradients are Jacobians times the residuals; the full curvature is their Gram matrix", () => {
    const j = jacobian(net, x).data;
    const residual = net.forward(x).data.map((value, i) => value - y.data[i]);
    const gradients = perSampleGradients(net, mse, { x, y }).data;
    const expected = Float64Array.from({ length: 5 * p }, (_, k) => {
      const [b, i] = [Math.floor(k / p), k % p];
      return residual[2 * b] * j[2 * b * p + i] + residual[2 * b + 1] * j[(2 * b + 1) * p + i];
    });
    // mse is a mean over the outputs: its gradient is that of the half sum of squares times 2 / outputs.
    close(gradients, expected);
    const full = curvatureOf(net, gaussian(), { x, y }, { structure: "full" }).dense().data;
    const gram = Float64Array.from({ length: p * p }, (_, k) => {
      const [a, b] = [Math.floor(k / p), k % p];
      return Array.from({ length: 10 }, (_, row) => j[row * p + a] * j[row * p + b]).reduce((sum, one) => sum + one, 0);
    });
    close(full, gram);
  });

  test("the exact Hessian is how the gradient moves", () => {
    const gradient = (values: Float64Array) => {
      const moved = at(values);
      const f = moved.forward(x);
      return vjp(
        moved,
        x,
        array(
          f.data.map((value, i) => value - y.data[i]),
          { shape: [5, 2] },
        ),
      );
    };
    const found = curvatureProduct(net, gaussian(), { x, y }, v, { curvature: "hessian" });
    close(found, difference(gradient, theta, v.data));
  });

  test("posteriors of every structure predict, and come back from a file; so does the network from ONNX", async () => {
    for (const structure of ["full", "diagonal", "kronecker", "ekfac"] as const) {
      const posterior = await laplace(net, { likelihood: gaussian(), structure, checks: false }).fit({ x, y });
      const { functionVariance } = posterior.predict(x);
      for (const variance of functionVariance.data) expect(variance).toBeGreaterThan(0);
      const back = loadPosterior(savePosterior(posterior));
      expect(back.predict(x).functionVariance.data).toEqual(functionVariance.data);
    }
    // Attributes are float32 in a file.
    const again = fromOnnx(toOnnx(net)).network;
    expect(again.forward(x).data).toBeAllClose(net.forward(x).data, { relative: 1e-6, absolute: 1e-6 });
  });

  test("is in the docs' table", () => {
    const page = readFileSync("docs/models.md", "utf8");
    const rows = page.split("\n").filter((line) => line.endsWith("| ✓ | ✓ | ✓ | ✓ |"));
    expect(rows.join(" ")).toMatch(new RegExp(`\\b${name}\\b`));
  });
});
