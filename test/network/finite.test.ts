// Primitives that say so have finite values wherever their inputs are finite, however large; one whose value is its input's has the
// same numbers.

import { expect, test } from "vitest";
import { dense, exp, jacobian, NDArray, network, relu, reshape, sigmoid, tanh } from "../../src/index.ts";
import { kernelsFor } from "../../src/kernels/kernels.ts";
import { allocateFloats, copyIn, copyOut, type DType, scope } from "../../src/kernels/memory.ts";
import type { Node } from "../../src/network/primitive.ts";
import { subjectOf } from "../reference/subject.ts";
import { supportCases } from "../support/cases.ts";

const most = { float32: (2 - 2 ** -23) * 2 ** 127, float64: Number.MAX_VALUE };
const least = { float32: 2 ** -149, float64: Number.MIN_VALUE };

/** Numbers from the smallest to the largest, of both signs, in an order that differs between inputs. */
function extremes(dtype: DType, size: number, turn: number): Float64Array {
  const powers = [0.5, 0.9, 0.99, 0.999].map((p) => most[dtype] ** p);
  const sizes = [0, least[dtype], 1e-30, 1, 30, 1e3, 2 ** 22, ...powers, most[dtype]];
  const all = sizes.flatMap((x) => [x, -x]);
  return Float64Array.from({ length: size }, (_, i) => all[(i + turn) % all.length]);
}

/** The value of a node whose inputs are such numbers. */
function nodeValue(node: Node, dtype: DType, turn: number) {
  return scope(() => {
    const given = node.inputs.map((x, i) => extremes(dtype, x.size, turn + 5 * i));
    const places = new Map(node.inputs.map((x, i) => [x, copyIn(dtype, given[i])]));
    places.set(node, allocateFloats(dtype, node.size));
    const none = () => 0;
    node.primitive.forward(node, {
      ...{ kernels: kernelsFor(dtype), dtype, batch: 1, training: undefined, parameter: none, buffer: none },
      value: (one) => places.get(one) as number,
    });
    const read = (one: Node) => Array.from(copyOut(dtype, places.get(one) as number, one.size));
    return { value: read(node), inputs: node.inputs.map(read) };
  });
}

test("what keeps numbers finite does so at the largest and the smallest", () => {
  const tried = new Set<string>();
  for (const one of supportCases) {
    const { graph } = subjectOf(one.blocks, one.inputs, { vocabulary: one.vocabulary }).net;
    for (const node of graph.nodes) {
      const { primitive } = node;
      if (!primitive.finite?.(node)) continue;
      for (const dtype of ["float32", "float64"] as const) {
        for (let turn = 0; turn < 26; turn += Math.max(1, Math.min(13, node.size))) {
          const { value, inputs } = nodeValue(node, dtype, turn);
          expect(value.every(Number.isFinite), `${primitive.name} in ${dtype}`).toBe(true);
          if (primitive.same) expect(value).toEqual(inputs[0]);
        }
      }
      tried.add(primitive.name);
    }
  }
  for (const name of ["reshape", "permute", "slice", "concatenate"]) expect(tried).toContain(name);
});

test("a value that is not finite is found where it begins, before what is not looked at", () => {
  const net = network({ inputs: 2, dtype: "float64" }, (x) => relu(reshape(exp(x), [1, 2])));
  const x = new NDArray(Float64Array.of(1, 2, 3, 800), [2, 2]);
  expect(() => jacobian(net, x)).toThrow(/at example 1 the network's value after "exp" is not finite/);
});

test("a network that is a reshape of its input, or ends with one, gives what it would without", () => {
  const x = new NDArray(
    Float64Array.from({ length: 12 }, (_, i) => i - 5.5),
    [2, 6],
  );
  for (const phi of [tanh, sigmoid]) {
    const plain = network({ inputs: 6, seed: 3, dtype: "float64" }, (input) => phi(dense(4, tanh)(input)));
    const shaped = network({ inputs: 6, seed: 3, dtype: "float64" }, (input) =>
      reshape(phi(reshape(dense(4, tanh)(reshape(reshape(input, [2, 3]), [6])), [2, 2])), [4]),
    );
    shaped.parameters.data.set(plain.parameters.data);
    expect(shaped.forward(x).data).toEqual(plain.forward(x).data);
    expect(shaped.forward(x).data).toEqual(plain.forward(x).data);
  }
});
