// Values from a plain-autograd reference in float64 (test/fixtures/*.json): loops over samples, outputs and parameters.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import {
  array,
  binaryCrossEntropy,
  chain,
  crossEntropy,
  type DType,
  dense,
  gradient,
  jacobian,
  type Loss,
  mse,
  perSampleGradientNorms,
  perSampleGradients,
  tanh,
} from "../../src/index.ts";
import type { Tolerance } from "../setup.ts";

interface Table {
  readonly shape: number[];
  readonly data: number[];
}

interface Oracle {
  readonly params: readonly Table[];
  readonly X: Table;
  readonly Y: Table;
  readonly outputs: Table;
  readonly lossPerSample: Table;
  readonly lossSum: number;
  readonly sumGrad: Table;
  /** [P, B] */
  readonly perSampleGrad: Table;
  readonly jacobian: Table;
}

// The oracle's regression loss is ½‖f − y‖², half of the squared error here.
const cases = [
  {
    name: "mlp_2_8_8_3_cls",
    loss: crossEntropy,
    share: 1,
    layers: () => [dense(8, tanh), dense(8, tanh), dense(3)],
  },
  { name: "reg_3_10_2", loss: mse, share: 0.5, layers: () => [dense(10, tanh), dense(2)] },
  { name: "logreg_2_1_bernoulli", loss: binaryCrossEntropy, share: 1, layers: () => [dense(1)] },
] as const satisfies readonly { name: string; loss: Loss; share: number; layers: () => unknown }[];

function transposed({ shape: [rows, columns], data }: Table): number[] {
  return Array.from({ length: rows * columns }, (_, i) => data[(i % rows) * columns + Math.floor(i / rows)]);
}

/**
 * Relative to the entry, but not to less than a hundredth (float32: a fifth) of the array's largest: an entry may be a sum whose terms
 * cancel, such as p − y of a sample fitted well, and then it is known to the rounding of its terms only.
 */
function within(expected: readonly number[], dtype: DType): Tolerance {
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return dtype === "float64"
    ? { relative: 1e-12, absolute: 1e-14 * largest }
    : { relative: 1e-4, absolute: 2e-5 * largest };
}

test.each(cases.flatMap((one) => (["float64", "float32"] as const).map((dtype) => ({ ...one, dtype }))))(
  "$name agrees with plain autograd in $dtype",
  ({ name, loss, share, layers, dtype }) => {
    const file = new URL(`../fixtures/${name}.json`, import.meta.url);
    const oracle: Oracle = JSON.parse(readFileSync(file, "utf8"));
    const x = array(oracle.X.data, { shape: oracle.X.shape });
    const y = array(oracle.Y.data, { shape: oracle.Y.shape });
    const net = chain({ inputs: oracle.X.shape[1], dtype }, ...layers());
    net.setParameters(oracle.params.flatMap(({ data }) => data));
    const expectClose = (actual: Parameters<typeof array>[0], expected: readonly number[]) =>
      expect(array(actual).data).toBeAllClose(expected, within(expected, dtype));

    const f = net.forward(x);
    expectClose(f, oracle.outputs.data);
    const elements = loss(f, y, { reduction: "none" });
    const perSample = Array.from({ length: x.shape[0] }, (_, i) => {
      const own = Array.from(elements.sub(i).data);
      return share * own.reduce((a, b) => a + b, 0);
    });
    expectClose(perSample, oracle.lossPerSample.data);
    expectClose([share * loss(f, y, { reduction: "sum" })], [oracle.lossSum]);

    const j = jacobian(net, x);
    expect(j.shape).toEqual(oracle.jacobian.shape);
    expectClose(j, oracle.jacobian.data);
    const rows = transposed(oracle.perSampleGrad);
    const halved = (values: ArrayLike<number>) => Array.from(values, (value) => share * value);
    expectClose(halved(perSampleGradients(net, loss, { x, y }, { reduction: "sum" }).data), rows);
    expectClose(halved(gradient(net, loss, { x, y }, { reduction: "sum" }).data), oracle.sumGrad.data);
    const count = net.parameterCount;
    const norms = oracle.lossPerSample.data.map((_, b) => Math.hypot(...rows.slice(b * count, (b + 1) * count)));
    expectClose(halved(perSampleGradientNorms(net, loss, { x, y }, { reduction: "sum" }).data), norms);
  },
);
