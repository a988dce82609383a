// The variance of a function under a posterior over all weights of a perceptron, as operators: the Jacobian is pulled back layer by
// layer. In a layer's eigenbasis, of a diagonal posterior its own axes, it is Σ (Uᵀδ)_o² (Vᵀa)_i² s_oi over outputs o and inputs i.

import { eigh, type NDArray, type Posterior } from "laplace-ts";
import type { LinearSite, Node, Parameter } from "laplace-ts/graph";
import { unsupported } from "../errors.ts";
import type { Writer } from "./to-onnx.ts";

/** Slopes of functions, by names: from the input's and the output's names in the graph. */
const slopes: Readonly<Record<string, (w: Writer, x: string, y: string) => string>> = {
  relu: (w, _, y) => w.apply("Sign", [y]),
  tanh: (w, _, y) => w.apply("Sub", [w.scalar(1), w.apply("Mul", [y, y])]),
  sigmoid: (w, _, y) => w.apply("Mul", [y, w.apply("Sub", [w.scalar(1), y])]),
  softplus: (w, x) => w.apply("Sigmoid", [x]),
  exp: (_, __, y) => y,
  // σ + y (1 − σ)
  silu: (w, x, y) => {
    const s = w.apply("Sigmoid", [x]);
    return w.apply("Add", [s, w.apply("Mul", [y, w.apply("Sub", [w.scalar(1), s])])]);
  },
  // Φ(x) + x φ(x)
  gelu: (w, x) => {
    const below = w.apply("Add", [w.apply("Erf", [w.apply("Mul", [x, w.scalar(Math.SQRT1_2)])]), w.scalar(1)]);
    const density = w.apply("Exp", [w.apply("Mul", [w.apply("Mul", [x, x]), w.scalar(-0.5)])]);
    const slope = w.apply("Mul", [w.apply("Mul", [x, density]), w.scalar(1 / Math.sqrt(2 * Math.PI))]);
    return w.apply("Add", [w.apply("Mul", [below, w.scalar(0.5)]), slope]);
  },
};

/** The posterior's covariance of one parameter: U diag(s) Uᵀ, U being a product of these bases. */
interface Spread {
  readonly u?: NDArray;
  readonly v?: NDArray;
  readonly variances: Float64Array;
}

/** How each parameter spreads, by its name. @throws Unsupported where that is not what the posterior's own variances say */
function spreads(posterior: Posterior): Map<string, Spread> {
  const { net, indices } = posterior;
  const own = posterior.variance().data;
  const first = new Map(Array.from(indices, (place, i) => [place, i]));
  const table = net.parameterTable.filter(({ offset }) => first.has(offset));
  const at = ({ offset }: Parameter) => first.get(offset) as number;
  if (posterior.structure === "diagonal") {
    return new Map(
      table.map((one) => [one.name, { variances: Float64Array.from(own.slice(at(one), at(one) + one.size)) }]),
    );
  }
  const { curvature, likelihood, temperature, priorPrecision } = posterior;
  if (curvature.structure !== "kronecker")
    return unsupported(`a posterior of structure "${posterior.structure}" over all weights is not written.`);
  const h = 1 / (likelihood.hyper.value ** 2 * temperature);
  const prior = priorPrecision.data;
  return new Map(
    curvature.factors().map(({ parameter, b, a }, k) => {
      const one = table.find(({ name }) => name === parameter) ?? unsupported(`"${parameter}" is not a weight.`);
      const [of, to] = [eigh(b), a && eigh(a)];
      const inputs = to ? to.values.size : 1;
      const precision = prior[prior.length === 1 ? 0 : k];
      const variances = Float64Array.from(
        { length: of.values.size * inputs },
        (_, i) => 1 / (h * of.values.data[Math.floor(i / inputs)] * (to?.values.data[i % inputs] ?? 1) + precision),
      );
      const spread = { u: of.vectors, ...(to && { v: to.vectors }), variances };
      check(spread, own.subarray(at(one), at(one) + one.size), inputs);
      return [parameter, spread];
    }),
  );
}

/** Noises of several outputs and damped factors are other covariances than the one that is written: their variances differ. */
function check({ u, v, variances }: Spread, own: ArrayLike<number>, inputs: number): void {
  const outputs = variances.length / inputs;
  for (const place of [0, own.length - 1]) {
    const [o, i] = [Math.floor(place / inputs), place % inputs];
    let sum = 0;
    for (let p = 0; p < outputs; p++) {
      for (let q = 0; q < inputs; q++) {
        const weight = (u?.data[o * outputs + p] ?? 1) ** 2 * (v?.data[i * inputs + q] ?? 1) ** 2;
        sum += weight * variances[p * inputs + q];
      }
    }
    if (Math.abs(sum - own[place]) > 1e-4 * own[place]) {
      unsupported(
        "the posterior's covariance is not that of its factors: noises that differ or damping are not written.",
      );
    }
  }
}

/** Variances of all outputs, [batch, C]. @throws Unsupported for what is not a perceptron of vectors, used once */
export function allVariances(writer: Writer, posterior: Posterior, last: Node): string {
  const { net } = posterior;
  const known = spreads(posterior);
  const outputs = last.size;
  const identity = Float64Array.from({ length: outputs ** 2 }, (_, i) => Number(i % (outputs + 1) === 0));
  const seen = new Set<string>();
  /** ∂f/∂(this node), [batch, C, size]. */
  let delta = writer.numbers(identity, [1, outputs, outputs]);
  let total: string | undefined;
  const add = ({ name }: Parameter, rows: number, columns: number, inputs: string | undefined) => {
    const { variances, v } = known.get(name) ?? unsupported(`the posterior does not cover "${name}".`);
    let factor = "";
    if (inputs === undefined) factor = writer.numbers(variances, [rows]);
    else {
      const rotated = v ? writer.apply("MatMul", [inputs, writer.numbers(v.data, [columns, columns])]) : inputs;
      // [inputs, outputs]
      const turned = Float64Array.from(variances, (_, k) => variances[(k % rows) * columns + Math.floor(k / rows)]);
      const sums = writer.apply("MatMul", [
        writer.apply("Mul", [rotated, rotated]),
        writer.numbers(turned, [columns, rows]),
      ]);
      factor = writer.reshape(sums, [1, rows]);
    }
    const each = writer.apply("Mul", [squared(name), factor]);
    const part = writer.apply("ReduceSum", [each, writer.integers([2])], { keepdims: 0 });
    total = total === undefined ? part : writer.apply("Add", [total, part]);
    seen.add(name);
  };
  const squared = (name: string) => {
    const u = known.get(name)?.u;
    const rotated = u ? writer.apply("MatMul", [delta, writer.numbers(u.data, [...u.shape])]) : delta;
    return writer.apply("Mul", [rotated, rotated]);
  };
  for (let node = last; node !== net.graph.input; node = node.inputs[0]) {
    const { name } = node.primitive;
    if (name === "linear") {
      const { weight, bias, inputs, outputs: width } = node.site as LinearSite;
      if (node.size !== width || net.graph.uses.get(node.site as LinearSite)?.length !== 1)
        unsupported("a layer is applied more than once.");
      const from = node.inputs[0];
      add(weight, width, inputs, writer.reshape(writer.value(from), [inputs]));
      if (bias) add(bias, width, 1, undefined);
      delta = writer.apply("MatMul", [delta, writer.parameter(weight)]);
    } else if (name === "elementwise") {
      const of = (node.attributes as { function: string }).function;
      const slope = slopes[of] ?? unsupported(`the slope of "${of}" is not written.`);
      const at = slope(writer, writer.value(node.inputs[0]), writer.value(node));
      delta = writer.apply("Mul", [delta, writer.reshape(at, [1, node.size])]);
    } else if (name !== "reshape" && name !== "dropout")
      unsupported(`a posterior over all weights is written of perceptrons, without "${name}".`);
  }
  const missing = [...known.keys()].find((name) => !seen.has(name));
  if (missing !== undefined) unsupported(`"${missing}" is not a weight of a dense layer.`);
  return total ?? unsupported("there are no layers.");
}
