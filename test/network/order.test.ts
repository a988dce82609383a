// What primitives say of their order holds in numbers: of linear ones second differences in all inputs vanish, of bilinear
// ones those in each of the two alone.

import { expect, test } from "vitest";
import { Random } from "../../src/index.ts";
import { kernelsFor } from "../../src/kernels/kernels.ts";
import { allocateFloats, copyIn, copyOut, scope } from "../../src/kernels/memory.ts";
import type { Graph } from "../../src/network/graph.ts";
import type { Node } from "../../src/network/primitive.ts";
import { primitives } from "../../src/network/primitives/all.ts";
import { subjectOf } from "../reference/subject.ts";
import { supportCases } from "../support/cases.ts";

/** The value of a node for one example, at these inputs and parameters. */
function valueAt(node: Node, inputs: readonly Float64Array[], theta: Float64Array, { bufferCount }: Graph) {
  return scope(() => {
    const places = new Map(node.inputs.map((x, i) => [x, copyIn("float64", inputs[i])]));
    places.set(node, allocateFloats("float64", node.size));
    const parameters = copyIn("float64", theta);
    const buffers = copyIn("float64", new Float64Array(bufferCount).fill(0.7));
    node.primitive.forward(node, {
      kernels: kernelsFor("float64"),
      dtype: "float64",
      batch: 1,
      value: (one) => places.get(one) as number,
      parameter: ({ offset }) => parameters + 8 * offset,
      buffer: ({ offset }) => buffers + 8 * offset,
      training: undefined,
    });
    return copyOut("float64", places.get(node) as number, node.size);
  });
}

const tried = new Set<string>();
const random = new Random(1);
const draw = (size: number) => Float64Array.from({ length: size }, () => random.normal());
const plus = (a: Float64Array, b: Float64Array) => a.map((x, i) => x + b[i]);

/** f(u + d + e) − f(u + d) − f(u + e) + f(u), where only some of the arguments move: inputs by their number, parameters. */
function secondDifference(graph: Graph, node: Node, moves: (argument: number | "parameters") => boolean) {
  const sizes = [...node.inputs.map(({ size }) => size), graph.parameterCount];
  const still = (i: number) => !moves(i === node.inputs.length ? "parameters" : i);
  const [u, d, e] = [0, 1, 2].map((which) =>
    sizes.map((size, i) => (which > 0 && still(i) ? new Float64Array(size) : draw(size))),
  );
  const at = (...steps: Float64Array[][]) => {
    const all = steps.reduce((sum, step) => sum.map((x, i) => plus(x, step[i])), u);
    return valueAt(node, all.slice(0, -1), all[all.length - 1], graph);
  };
  const [both, one, other, none] = [at(d, e), at(d), at(e), at()];
  return both.map((x, i) => x - one[i] - other[i] + none[i]);
}

test("linear and bilinear primitives are that", () => {
  for (const one of supportCases) {
    const { graph } = subjectOf(one.blocks, one.inputs, { vocabulary: one.vocabulary }).net;
    for (const used of graph.nodes) {
      const { order, name } = used.primitive;
      if (order === "general" || used.inputs.length === 0) continue;
      // Inputs of its own: a value may be both.
      const node = { ...used, inputs: used.inputs.map((x) => ({ ...x })) };
      tried.add(name);
      const parts: ((argument: number | "parameters") => boolean)[] =
        order === "linear"
          ? [(argument) => argument !== "parameters"]
          : node.site === undefined
            ? [(argument) => argument === 0, (argument) => argument === 1]
            : [(argument) => argument !== "parameters", (argument) => argument === "parameters"];
      for (const moves of parts) {
        for (const x of secondDifference(graph, node, moves)) {
          expect(Math.abs(x), `${name} of ${one.layers[0]}`).toBeLessThan(1e-12);
        }
      }
      // In both at once a bilinear one is not.
      if (order === "bilinear" && name !== "scaleShift") {
        expect(secondDifference(graph, node, () => true).some((x) => Math.abs(x) > 1e-6)).toBe(true);
      }
    }
  }
  const due = primitives.filter(({ order, inputs }) => order !== "general" && inputs !== 0).map(({ name }) => name);
  expect([...tried].sort()).toEqual(due.sort());
});
