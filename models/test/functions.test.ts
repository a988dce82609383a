// Functions of a model's own; drafts.ts has one that is compared with onnxruntime-web.

import { fromOnnx, ModelError } from "laplace-ts-models";
import { expect, test } from "vitest";
import { thrown } from "./thrown.ts";
import { type Drafted, type FunctionDraft, type GraphDraft, written } from "./written.ts";

const own = (op: string, inputs: readonly string[], outputs: readonly string[]): Drafted => ({
  op,
  domain: "own",
  inputs,
  outputs,
});
const graph = (functions: readonly FunctionDraft[], ...nodes: Drafted[]): GraphDraft => ({
  inputs: [{ name: "x", dims: ["batch", 2] }],
  outputs: [{ name: "y" }],
  functions,
  nodes,
});
const run = (of: GraphDraft, row: number[]) => [...fromOnnx(written(of)).network.forward([row]).data];

test("inputs that are outputs, inputs that are missing, and values of the same names in each call", () => {
  const clip: FunctionDraft = {
    name: "clip",
    inputs: ["u", "low", "high"],
    outputs: ["v", "u"],
    nodes: [
      { op: "Neg", inputs: ["u"], outputs: ["inner"] },
      { op: "Neg", inputs: ["inner"], outputs: ["same"] },
      { op: "Clip", inputs: ["same", "low", "high"], outputs: ["v"] },
    ],
  };
  const nodes = [
    own("clip", ["x", "", "limit"], ["a", "b"]),
    own("clip", ["b", "limit"], ["c"]),
    { op: "Mul", inputs: ["a", "c"], outputs: ["y"] },
  ];
  const of = { ...graph([clip], ...nodes), arrays: [{ name: "limit", dims: [], data: [1] }] };
  expect(run(of, [-3, 2])).toEqual([-3, 2]);
});

test("a branch of If within a function takes the function's values", () => {
  const body = (op: string) => ({
    graph: { nodes: [{ op, inputs: ["inner"], outputs: ["o"] }], outputs: [{ name: "o" }] },
  });
  const choose: FunctionDraft = {
    name: "choose",
    inputs: ["u", "test"],
    outputs: ["v"],
    nodes: [
      { op: "Neg", inputs: ["u"], outputs: ["inner"] },
      {
        op: "If",
        inputs: ["test"],
        outputs: ["v"],
        attributes: { then_branch: body("Abs"), else_branch: body("Identity") },
      },
    ],
  };
  const of = (truth: number) => ({
    ...graph([choose], own("choose", ["x", "t"], ["y"])),
    arrays: [{ name: "t", dims: [], type: "bool" as const, data: [truth] }],
  });
  expect(run(of(1), [3, -2])).toEqual([3, 2]);
  expect(run(of(0), [3, -2])).toEqual([-3, 2]);
});

test("what cannot be read in a function is listed with its call", () => {
  const odd: FunctionDraft = {
    name: "odd",
    inputs: ["u"],
    outputs: ["v"],
    nodes: [{ op: "Frobnicate", inputs: ["u"], outputs: ["v"] }],
  };
  const error = thrown(() => fromOnnx(written(graph([odd], own("odd", ["x"], ["y"]))))) as ModelError;
  expect(error).toBeInstanceOf(ModelError);
  expect(error.problems).toMatchObject([{ operator: "Frobnicate", node: expect.stringMatching(/^y:0/) }]);
});

test("functions that call themselves, or make too many nodes, are refused in bounded time", () => {
  const calls = (name: string, next: string, count: number): FunctionDraft => ({
    name,
    inputs: ["u"],
    outputs: [`v${count - 1}`],
    nodes: Array.from({ length: count }, (_, i) => own(next, [i === 0 ? "u" : `v${i - 1}`], [`v${i}`])),
  });
  const circle = [calls("a", "b", 1), calls("b", "a", 1)];
  expect(() => fromOnnx(written(graph(circle, own("a", ["x"], ["y"]))))).toThrow(/function "[ab]" calls itself/);
  // 2^30 calls.
  const many = Array.from({ length: 30 }, (_, i) => calls(`f${i}`, `f${i + 1}`, 2));
  const error = thrown(() => fromOnnx(written(graph(many, own("f0", ["x"], ["y"])))));
  expect(error).toBeInstanceOf(ModelError);
  expect((error as Error).message).toMatch(/make more than 65536 nodes/);
});
