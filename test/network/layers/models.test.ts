// Residual nets with layerNorm, causal transformers and recurrent nets of random sizes: outputs, every derivative, every
// curvature.

import fc from "fast-check";
import { describe, test } from "vitest";
import { checkCurvature, checkDerivatives, checkFiles } from "../../reference/check.ts";
import type { Activation } from "../../reference/dual.ts";
import type { Block, DenseBlock } from "../../reference/network.ts";
import { subjectOf } from "../../reference/subject.ts";
import { everyCase } from "../../setup.ts";

const dense = (outputs: number, activation: Activation = "identity", bias = true): DenseBlock => ({
  kind: "dense",
  outputs,
  bias,
  activation,
});
const layerNorm = (): Block => ({
  kind: "layerNorm",
  groups: 1,
  epsilon: 0.05,
  affine: { kind: "scaleShift", scale: true, shift: true },
});
const rmsNorm = (): Block => ({
  kind: "rmsNorm",
  groups: 1,
  epsilon: 0.05,
  affine: { kind: "scaleShift", scale: true, shift: false },
});
const attention = (heads: number, width: number, causal: boolean): Block => ({
  kind: "attention",
  heads,
  causal,
  qkv: dense(3 * width),
  out: dense(width),
});
const residual = (...body: Block[]): Block => ({ kind: "residual", body });

type Model = readonly [blocks: readonly Block[], shape: readonly number[]];

/** Six dense layers: one in, four in two residual blocks, one out. */
const residualNets: fc.Arbitrary<Model> = fc
  .record({
    inputs: fc.constantFrom(1, 2, 3),
    width: fc.constantFrom(2, 3),
    hidden: fc.constantFrom(1, 3),
    outputs: fc.constantFrom(1, 2),
    activation: fc.constantFrom<Activation>("tanh", "gelu", "relu"),
    norm: fc.constantFrom(layerNorm, rmsNorm),
  })
  .map(({ inputs, width, hidden, outputs, activation, norm }) => {
    const block = () => residual(norm(), dense(hidden, activation), dense(width));
    return [[dense(width, activation), block(), block(), norm(), dense(outputs)], [inputs]];
  });

/** Two causal blocks, norms first, with an output at each position or at the last. */
const transformers: fc.Arbitrary<Model> = fc
  .record({
    positions: fc.constantFrom(1, 2, 3),
    inputs: fc.constantFrom(1, 2),
    heads: fc.constantFrom(1, 2),
    d: fc.constantFrom(1, 2),
    outputs: fc.constantFrom(1, 2),
    last: fc.boolean(),
    causal: fc.constantFrom(true, true, false),
    learned: fc.boolean(),
  })
  .map(({ positions, inputs, heads, d, outputs, last, causal, learned }) => {
    const width = heads * d;
    const block = () => [
      residual(layerNorm(), attention(heads, width, causal)),
      residual(layerNorm(), dense(2, "gelu"), dense(width)),
    ];
    const end: Block[] = last ? [{ kind: "slice", axis: 0, start: positions - 1, end: positions }] : [];
    return [
      [
        dense(width),
        { kind: learned ? "table" : "sinusoids" },
        ...block(),
        ...block(),
        layerNorm(),
        ...end,
        dense(outputs),
        { kind: "flatten" },
      ],
      [positions, inputs],
    ];
  });

const recurrentNets: fc.Arbitrary<Model> = fc
  .record({
    kind: fc.constantFrom("lstm", "gru"),
    units: fc.constantFrom(1, 2),
    positions: fc.constantFrom(1, 2, 3),
    inputs: fc.constantFrom(1, 2),
    output: fc.constantFrom("sequence", "last"),
  })
  .map(({ kind, units, positions, inputs, output }): Model => {
    const gates = () => dense((kind === "lstm" ? 4 : 3) * units);
    const layer = { kind, units, output, ih: gates(), hh: gates() } as Block;
    return [
      [layer, dense(2), { kind: "flatten" }],
      [positions, inputs],
    ];
  });

describe.each([
  ["residual nets with norms", residualNets, 30],
  ["transformers", transformers, 20],
  ["recurrent nets", recurrentNets, 28],
])("%s", (_, models, numRuns) => {
  const seeds = fc.nat(2 ** 31 - 1);
  const batches = fc.constantFrom(1, 2, 3);

  test.each(["float64", "float32"] as const)("outputs and derivatives in %s", (dtype) => {
    fc.assert(
      fc.property(models, seeds, batches, ([blocks, shape], seed, batch) => {
        const subject = subjectOf(blocks, shape, { batch, seed, dtype });
        checkDerivatives(subject);
        checkFiles(subject);
      }),
      { numRuns: everyCase ? numRuns : numRuns / 2 },
    );
  });

  test("curvature", () => {
    fc.assert(
      fc.property(models, seeds, batches, ([blocks, shape], seed, batch) => {
        checkCurvature(subjectOf(blocks, shape, { batch, seed }));
      }),
      { numRuns: numRuns / (everyCase ? 2 : 4) },
    );
  });
});
