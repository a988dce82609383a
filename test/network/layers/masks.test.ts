// Attention with padding: what is hidden has exactly no part in anything.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  array,
  chain,
  dense,
  embedding,
  flatten,
  jacobian,
  jvp,
  LaplaceError,
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

test("masks that cannot be used are refused", () => {
  const attend = multiHeadAttention(1);
  const make = (model: Parameters<typeof network>[1]) => () => network({ inputs: [3, 2] }, model);
  expect(make((x) => attend(x, reshape(slice(dense(2)(x), 0, 1), [3])))).toThrow(LaplaceError);
  expect(make((x) => attend(x, reshape(slice(dense(2)(x), 0, 1), [3])))).toThrow(/the mask depends on parameters/);
  expect(make((x) => attend(x, x))).toThrow(ShapeError);
  expect(make((x) => attend(x, x))).toThrow(/expected a mask \[3\] of the keys, got \[3, 2\]/);
  expect(make((x) => attend(x, true as never))).toThrow(/expected a traced value/);
  expect(() => chain({ inputs: [3, 2] }, multiHeadAttention(3))).toThrow(/a width that 3 heads divide, got \[3, 2\]/);
  expect(() => chain({ inputs: 3 }, multiHeadAttention(3))).toThrow(
    /expected a sequence \[positions, width\].* got \[3\]/,
  );
});
