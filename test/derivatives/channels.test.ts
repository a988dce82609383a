// A layer over channels, the first axis, is the same layer over the last axis of transposed values.

import { describe, expect, test } from "vitest";
import {
  array,
  chain,
  curvatureOf,
  type Dataset,
  flatten,
  gradient,
  type Layer,
  laplace,
  mse,
  type NDArray,
  type Network,
  perSampleGradientNorms,
  perSampleGradients,
  randomNormal,
  ShapeError,
  scaleShift,
  tanh,
} from "../../src/index.ts";

const [B, T, C] = [5, 7, 3];

/** [B, T, C] as [B, C, T]. */
function transposed({ data }: NDArray): NDArray {
  const result = Array.from({ length: data.length }, (_, i) => {
    const [b, c, t] = [Math.floor(i / (T * C)), Math.floor(i / T) % C, i % T];
    return data[(b * T + t) * C + c];
  });
  return array(result, { shape: [B, C, T] });
}

function worlds(layers: (axis: "last" | "channels") => Layer[]): [Network, Dataset][] {
  const x = randomNormal([B, T, C], { dtype: "float64", seed: 1 });
  const y = randomNormal([B, T, C], { dtype: "float64", seed: 2 });
  return ([false, true] as const).map((first) => {
    const inputs = first ? [C, T] : [T, C];
    const net = chain({ inputs, dtype: "float64" }, ...layers(first ? "channels" : "last"), flatten);
    net.setParameters(randomNormal([net.parameterCount], { seed: 3 }));
    const [inputValues, targets] = first ? [transposed(x), transposed(y)] : [x, y];
    return [net, { x: inputValues, y: targets.reshape(B, T * C) }];
  });
}

describe.each<[string, Parameters<typeof worlds>[0]]>([
  ["one after the other", (axis) => [scaleShift({ axis }), tanh, scaleShift({ axis, shift: false })]],
  [
    "one applied twice",
    (axis) => {
      const layer = scaleShift({ axis });
      return [layer, tanh, layer];
    },
  ],
])("scales and shifts, %s", (_, layers) => {
  const [[last, rows], [channels, columns]] = worlds(layers);

  test("gradients", () => {
    const options = { reduction: "sum" } as const;
    expect(gradient(channels, mse, columns).data).toBeAllClose(gradient(last, mse, rows).data, { relative: 1e-12 });
    const [a, b] = [perSampleGradients(channels, mse, columns, options), perSampleGradients(last, mse, rows, options)];
    expect(a.data).toBeAllClose(b.data, { relative: 1e-12 });
    const norms = [perSampleGradientNorms(channels, mse, columns), perSampleGradientNorms(last, mse, rows)];
    expect(norms[0].data).toBeAllClose(norms[1].data, { relative: 1e-12 });
    const x = [gradient(channels, mse, columns, { withRespectTo: "inputs" })];
    const due = transposed(gradient(last, mse, rows, { withRespectTo: "inputs" }));
    expect(x[0].data).toBeAllClose(due.data, { relative: 1e-12 });
  });

  test.each(["full", "diagonal", "kronecker", "ekfac"] as const)("curvature and predictions: %s", async (structure) => {
    const of = (net: Network, data: Dataset) => curvatureOf(net, "regression", data, { structure }).dense().data;
    const tolerance = { relative: 1e-9, absolute: 1e-9 };
    expect(of(channels, columns)).toBeAllClose(of(last, rows), tolerance);
    const predict = async (net: Network, data: Dataset) =>
      (await laplace(net, { likelihood: "regression", structure, checks: false }).fit(data)).predict(data.x);
    const [a, b] = [await predict(channels, columns), await predict(last, rows)];
    const variance = b.functionVariance.reshape(B, T, C);
    expect(a.functionVariance.data).toBeAllClose(transposed(variance).data, tolerance);
  });
});

test("channels of another number are refused", () => {
  const layer = scaleShift({ axis: "channels" });
  const call = () => chain({ inputs: [3, 2] }, layer, (x) => x, flatten, layer);
  expect(call).toThrow(ShapeError);
  expect(call).toThrow("the layer takes 3 channels, but its input has shape [6]");
});
