// Attention with padding: what is hidden has exactly no part in anything.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  array,
  chain,
  dense,
  embedding,
  flatten,
  gru,
  jacobian,
  jvp,
  LaplaceError,
  lastPosition,
  lstm,
  multiHeadAttention,
  type NDArray,
  type Network,
  network,
  paddingMask,
  Random,
  reshape,
  ShapeError,
  slice,
} from "../../../src/index.ts";
import * as dual from "../../reference/dual.ts";
import { variables } from "../../reference/dual.ts";
import { attention } from "../../reference/layers.ts";
import type { DenseBlock, Value } from "../../reference/network.ts";

/** Attention over all but the last column of [positions, width + 1], which says what is padding. */
function masked(positions: number, width: number, heads: number, causal: boolean): Network {
  return network({ inputs: [positions, width + 1], dtype: "float64", seed: 3 }, (x) => {
    const mask = reshape(slice(x, width, width + 1), [positions]);
    return multiHeadAttention(heads, { causal })(slice(x, 0, width), mask);
  });
}

const sizes = fc
  .record({ heads: fc.constantFrom(1, 2), d: fc.constantFrom(1, 2), causal: fc.boolean(), seed: fc.nat(1e9) })
  .chain((rest) =>
    fc
      .array(fc.boolean(), { minLength: 1, maxLength: 4 })
      .map((keep) => ({ ...rest, keep, width: rest.heads * rest.d })),
  );

function inputsOf(keep: readonly boolean[], width: number, seed: number): number[][] {
  const random = new Random(seed);
  return keep.map((kept) => [...Array.from({ length: width }, () => random.normal()), kept ? 1 : 0]);
}

test("is its definition over the positions that are kept, and nothing where none is", () => {
  fc.assert(
    fc.property(sizes, ({ heads, causal, keep, width, seed }) => {
      const net = masked(keep.length, width, heads, causal);
      const rows = inputsOf(keep, width, seed);
      const projection: DenseBlock = { kind: "dense", outputs: 0, bias: true, activation: "identity" };
      const [qkv, out] = [projection, { ...projection }];
      const [w, b, v, c] = Object.values(net.named());
      const values = variables(rows.flatMap((row) => row.slice(0, width)));
      const apply = (block: unknown, x: Value): Value => {
        const [weight, bias] = block === qkv ? [w, b] : [v, c];
        const [outputs] = bias.shape;
        const elements = Array.from({ length: keep.length }, (_, t) =>
          Array.from({ length: outputs }, (_, o) => {
            const row = x.elements.slice(t * width, (t + 1) * width);
            return dual.shifted(dual.sum(row.map((a, i) => dual.scaled(a, weight.at(o, i)))), bias.at(o));
          }),
        ).flat();
        return { shape: [keep.length, outputs], elements };
      };
      const seen = (query: number, key: number) => keep[key] && (!causal || key <= query);
      const due = attention({ heads, qkv, out }, { shape: [keep.length, width], elements: values }, seen, apply);
      const x = array([rows]);
      expect(net.forward(x).data).toBeAllClose(
        due.elements.map(({ value }) => value),
        { relative: 1e-11, absolute: 1e-12 },
      );
      // Its columns are those of the mask too, whose derivative is 0.
      const slopes = due.elements.flatMap((one) =>
        keep.flatMap((_, t) => [...one.slopes.slice(t * width, (t + 1) * width), 0]),
      );
      const overInputs = jacobian(net, x, { withRespectTo: "inputs" });
      expect(overInputs.data).toBeAllClose(slopes, { relative: 1e-10, absolute: 1e-12 });
      // A direction of the mask alone moves nothing.
      const direction = rows.map((row) => [...row.slice(0, width).fill(0), 1]);
      expect([...jvp(net, x, { inputs: array([direction]) }).data].every((moved) => moved === 0)).toBe(true);
    }),
  );
});

test("a hidden position has exactly no part in the outputs at others", () => {
  fc.assert(
    fc.property(sizes, fc.nat(3), ({ heads, causal, keep, width, seed }, at) => {
      fc.pre(keep.length > 1);
      const hidden = at % keep.length;
      const net = masked(keep.length, width, heads, causal);
      const rows = inputsOf(keep.with(hidden, false), width, seed);
      const other = rows.with(hidden, [...rows[hidden].slice(0, width).map((x) => 1e3 * x - 7), 0]);
      const without = (y: NDArray) => Array.from(y.data).toSpliced(hidden * width, width);
      expect(without(net.forward(array([rows])))).toEqual(without(net.forward(array([other]))));
      const derivatives = jacobian(net, array([rows]), { withRespectTo: "inputs" });
      for (let t = 0; t < keep.length; t++) {
        for (let i = 0; i < width; i++) {
          if (t === hidden) continue;
          expect(Array.from({ length: width }, (_, j) => derivatives.at(0, t, i, hidden, j))).toEqual(
            new Array(width).fill(0),
          );
        }
      }
    }),
  );
});

describe("tokens", () => {
  const attend = multiHeadAttention(2, { causal: true });
  const net = network({ inputs: 4, dtype: "float64", seed: 1 }, (tokens) =>
    dense(2)(flatten(attend(embedding(5, 4)(tokens), paddingMask(tokens)))),
  );

  test("that stand for padding are hidden", () => {
    const plain = multiHeadAttention(2, { causal: true });
    const unmasked = network({ inputs: 4, dtype: "float64", seed: 1 }, (tokens) =>
      dense(2)(flatten(plain(embedding(5, 4)(tokens)))),
    );
    // Causal attention does not see padding at the end anyway.
    expect(net.forward([[1, 2, 3, 4]])).toEqual(unmasked.forward([[1, 2, 3, 4]]));
    expect(net.forward([[1, 0, 3, 4]])).not.toEqual(unmasked.forward([[1, 0, 3, 4]]));
  });

  test("have other parameters' derivatives, and finite ones for padding alone", () => {
    const derivatives = jacobian(net, [[0, 0, 0, 0]]);
    expect(derivatives.data.every(Number.isFinite)).toBe(true);
    const { "1.qkv.weight": projection } = net.named(derivatives.sub(0));
    expect(projection.data.every((x) => x === 0)).toBe(true);
  });
});

/** Without the sign of 0, which products with masks may have. */
const numbers = (y: NDArray) => Array.from(y.data, (value) => value + 0);

/** Some of these positions. */
const only = (rows: readonly number[][], keep: readonly boolean[]) => rows.filter((_, t) => keep[t]);

test.each([
  ["lstm", lstm],
  ["gru", gru],
] as const)("%s passes over padding, wherever it is", (_, cell) => {
  const recurrent = (positions: number, padded: boolean, output: "sequence" | "last") =>
    network({ inputs: [positions, 3], dtype: "float64", seed: 5 }, (x) => {
      const mask = reshape(slice(x, 2, 3), [positions]);
      const layer = cell(2, { output });
      return padded ? layer(slice(x, 0, 2), mask) : layer(slice(x, 0, 2));
    });
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }), fc.nat(1e9), (keep, seed) => {
      const rows = inputsOf(keep, 2, seed);
      const net = recurrent(keep.length, true, "last");
      if (!keep.includes(true)) {
        expect(numbers(net.forward(array([rows])))).toEqual([0, 0]);
        return;
      }
      const short = only(rows, keep);
      const plain = recurrent(short.length, false, "last");
      expect(numbers(net.forward(array([rows])))).toEqual(numbers(plain.forward(array([short]))));
      const derivatives = jacobian(net, array([rows])).data;
      expect(derivatives).toBeAllClose(jacobian(plain, array([short])).data, { relative: 1e-12, absolute: 1e-14 });
      // A sequence keeps the state where there is padding, and begins with 0.
      const states = recurrent(keep.length, true, "sequence").forward(array([rows]));
      const due = recurrent(short.length, false, "sequence").forward(array([short]));
      keep.forEach((_, t) => {
        const seen = keep.slice(0, t + 1).filter(Boolean).length;
        expect([0, 1].map((i) => states.at(0, t, i) + 0)).toEqual(
          [0, 1].map((i) => (seen === 0 ? 0 : due.at(0, seen - 1, i) + 0)),
        );
      });
    }),
    { numRuns: 15 },
  );
});

test("the last position that is not padding is taken as it is", () => {
  const of = (positions: number, padded: boolean) =>
    network({ inputs: [positions, 3], dtype: "float64", seed: 2 }, (x) => {
      const y = dense(2)(slice(x, 0, 2));
      return padded ? lastPosition(y, reshape(slice(x, 2, 3), [positions])) : lastPosition(y);
    });
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }), fc.nat(1e9), (keep, seed) => {
      const rows = inputsOf(keep, 2, seed);
      const net = of(keep.length, true);
      const short = only(rows, keep);
      const due = short.length === 0 ? [0, 0] : numbers(of(1, false).forward(array([short.slice(-1)])));
      expect(numbers(net.forward(array([rows])))).toEqual(due);
      expect(of(keep.length, false).forward(array([rows])).data).toEqual(
        of(1, false).forward(array([rows.slice(-1)])).data,
      );
      const derivatives = jacobian(net, array([rows]), { withRespectTo: "inputs" });
      for (let t = 0; t < keep.length; t++) {
        const moves = [0, 1].some((i) => derivatives.at(0, i, t, 0) !== 0);
        expect(moves).toBe(t === keep.lastIndexOf(true));
      }
    }),
    { numRuns: 20 },
  );
  const make = (model: Parameters<typeof network>[1]) => () => network({ inputs: [3, 2] }, model);
  expect(make((x) => lastPosition(flatten(x)))).toThrow(
    /lastPosition: expected a sequence \[positions, width\], got \[6\]/,
  );
  expect(make((x) => lastPosition(x, x))).toThrow(/lastPosition: expected a mask \[3\]/);
  expect(make((x) => lstm(2)(x, x))).toThrow(/lstm: expected a mask \[3\]/);
});

test("masks that cannot be used are refused", () => {
  const attend = multiHeadAttention(1);
  const make = (model: Parameters<typeof network>[1]) => () => network({ inputs: [3, 2] }, model);
  expect(make((x) => attend(x, reshape(slice(dense(2)(x), 0, 1), [3])))).toThrow(LaplaceError);
  expect(make((x) => attend(x, reshape(slice(dense(2)(x), 0, 1), [3])))).toThrow(/the mask depends on parameters/);
  expect(make((x) => attend(x, x))).toThrow(ShapeError);
  expect(make((x) => attend(x, x))).toThrow(/expected a mask \[3\], a number for each position, got \[3, 2\]/);
  expect(make((x) => attend(x, true as never))).toThrow(/expected a traced value/);
  expect(() => chain({ inputs: [3, 2] }, multiHeadAttention(3))).toThrow(/a width that 3 heads divide, got \[3, 2\]/);
  expect(() => chain({ inputs: 3 }, multiHeadAttention(3))).toThrow(
    /expected a sequence \[positions, width\].* got \[3\]/,
  );
});
