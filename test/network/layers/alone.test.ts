// Every layer of sequences, norms and attention alone, with all its options and odd shapes, against its definition.

import fc from "fast-check";
import { describe, test } from "vitest";
import { checkDerivatives, checkDifferences, checkFiles } from "../../reference/check.ts";
import type { Block, DenseBlock, ScaleShiftBlock } from "../../reference/network.ts";
import { subjectOf } from "../../reference/subject.ts";

const projection = (outputs: number, bias: boolean): DenseBlock => ({
  kind: "dense",
  outputs,
  bias,
  activation: "identity",
});
const affine = (scale: boolean, shift: boolean, channels = false): ScaleShiftBlock | undefined =>
  scale || shift ? { kind: "scaleShift", scale, shift, channels } : undefined;

const length = fc.constantFrom(1, 2, 3, 5);
const flag = fc.boolean();
const epsilon = fc.constantFrom(1e-5, 1e-3, 0.5);

/** A block with the shape of its input. */
type Drawn = readonly [block: Block, shape: readonly number[]];

const drawn: Record<string, fc.Arbitrary<Drawn>> = {
  "layerNorm and rmsNorm": fc
    .record({ width: length, positions: fc.option(length), epsilon, scale: flag, shift: flag, centred: flag })
    .map(({ width, positions, epsilon, scale, shift, centred }) => [
      {
        kind: centred ? "layerNorm" : "rmsNorm",
        groups: 1,
        epsilon,
        affine: affine(scale, shift && centred),
      },
      positions === null ? [width] : [positions, width],
    ]),
  groupNorm: fc
    .record({
      groups: fc.constantFrom(1, 2, 3),
      each: fc.constantFrom(1, 2),
      rest: fc.array(fc.constantFrom(1, 2, 3), { maxLength: 2 }),
      epsilon,
      scale: flag,
      shift: flag,
    })
    .map(({ groups, each, rest, epsilon, scale, shift }) => [
      { kind: "groupNorm", groups, epsilon, affine: affine(scale, shift, true) },
      [groups * each, ...rest],
    ]),
  "batchNorm and dropout": fc
    .record({
      statistics: fc.array(fc.tuple(fc.integer({ min: -3, max: 3 }), fc.constantFrom(0.01, 1, 4)), {
        minLength: 1,
        maxLength: 3,
      }),
      rest: fc.array(fc.constantFrom(1, 2, 3), { maxLength: 2 }),
      epsilon,
      scale: flag,
      shift: flag,
      drop: fc.constantFrom(false, false, true),
    })
    .map(({ statistics, rest, epsilon, scale, shift, drop }) => {
      const [mean, variance] = [0, 1].map((i) => statistics.map((pair) => pair[i]));
      const block = { kind: "batchNorm", mean, variance, epsilon, affine: affine(scale, shift, true) } as const;
      return [drop ? { kind: "dropout" } : block, [statistics.length, ...rest]];
    }),
  multiHeadAttention: fc
    .record({ heads: fc.constantFrom(1, 2, 3), d: fc.constantFrom(1, 2), positions: length, causal: flag, bias: flag })
    .map(({ heads, d, positions, causal, bias }) => [
      {
        kind: "attention",
        heads,
        causal,
        qkv: projection(3 * heads * d, bias),
        out: projection(heads * d, bias),
      },
      [positions, heads * d],
    ]),
  "lstm and gru": fc
    .record({
      kind: fc.constantFrom("lstm", "gru"),
      units: fc.constantFrom(1, 2, 3),
      output: fc.constantFrom("sequence", "last"),
      bias: flag,
      positions: fc.constantFrom(1, 2, 4),
      width: fc.constantFrom(1, 3),
    })
    .map(({ kind, units, output, bias, positions, width }) => {
      const gates = (kind === "lstm" ? 4 : 3) * units;
      return [
        { kind, units, output, ih: projection(gates, bias), hh: projection(gates, bias) } as Block,
        [positions, width],
      ];
    }),
  positionalEmbedding: fc
    .record({ learned: flag, positions: length, width: length })
    .map(({ learned, positions, width }) => [{ kind: learned ? "table" : "sinusoids" }, [positions, width]]),
  "permute and transpose": fc
    .record({ shape: fc.array(length, { minLength: 2, maxLength: 4 }), seed: fc.array(fc.nat(), { minLength: 4 }) })
    .map(({ shape, seed }) => {
      const axes = shape.map((_, i) => i).sort((a, b) => seed[a] - seed[b] || a - b);
      return [seed[0] % 3 === 0 ? { kind: "transpose" } : { kind: "permute", axes }, shape];
    }),
  "slice, split, sum, mean and stack": fc
    .record({
      shape: fc.array(length, { minLength: 1, maxLength: 3 }),
      axis: fc.nat(2),
      which: fc.constantFrom("slice", "splitProduct", "sum", "mean", "stack"),
      start: fc.nat(4),
      more: fc.nat(4),
    })
    .map(({ shape, axis, which, start, more }): Drawn => {
      const at = axis % shape.length;
      if (which === "stack") return [{ kind: which }, shape];
      if (which !== "slice") return [{ kind: which, axis: at }, shape];
      const first = start % shape[at];
      return [{ kind: which, axis: at, start: first, end: Math.min(first + 1 + more, shape[at]) }, shape];
    }),
  concatenate: fc
    .record({
      shape: fc.array(length, { minLength: 1, maxLength: 4 }),
      at: fc.nat(3),
      twice: flag,
    })
    .map(({ shape, at, twice }): Drawn => {
      const axis = at % shape.length;
      // Parts of different lengths: x itself, half of it, and some of its entries.
      const half: Block = { kind: "slice", axis, start: 0, end: Math.ceil(shape[axis] / 2) };
      const bent: Block = { kind: "activation", activation: "tanh" };
      return [{ kind: "concatenate", axis, parts: [[], [half, bent], ...(twice ? [[bent]] : [])] }, shape];
    }),
  matmul: fc
    .record({
      front: fc.array(fc.constantFrom(1, 2), { maxLength: 2 }),
      m: length,
      k: length,
      n: length,
      transposed: flag,
    })
    .map(({ front, m, k, n, transposed }) => [
      {
        kind: "matmul",
        transposed,
        left: [projection(k, true)],
        // Of the input [..., m, k] the second factor is [..., k, m] or, transposed, [..., m, k] again.
        right: transposed ? [projection(k, true)] : [projection(k, false), { kind: "transpose" }, projection(n, true)],
      },
      [...front, m, n],
    ]),
};

/**
 * A block that divides by no small variance. Of two values with one, float32 leaves nothing (what is expected is a difference of
 * large equal numbers), and finite differences see a jump.
 */
const tame = (block: Block): Block => ("epsilon" in block ? { ...block, epsilon: 0.05 } : block);

describe.each(Object.keys(drawn))("%s", (name) => {
  const seeds = fc.nat(2 ** 31 - 1);
  const batches = fc.constantFrom(1, 2, 3);

  test.each(["float64", "float32"] as const)("is its definition, with every derivative, in %s", (dtype) => {
    fc.assert(
      fc.property(drawn[name], seeds, batches, ([block, shape], seed, batch) => {
        checkDerivatives(subjectOf([dtype === "float32" ? tame(block) : block], shape, { batch, seed, dtype }));
      }),
    );
  });

  test("agrees with finite differences, and goes through files", () => {
    fc.assert(
      fc.property(drawn[name], seeds, ([block, shape], seed) => {
        const subject = subjectOf([tame(block)], shape, { seed });
        checkDifferences(subject);
        checkFiles(subject);
      }),
      { numRuns: 20 },
    );
  });
});
