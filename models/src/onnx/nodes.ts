// The nodes of a graph, read one after the other into values.

import { type Builder, isValue, type Operand } from "../builder.ts";
import { type Problem, unsupported } from "../errors.ts";
import { sizeOf, type Tensor, tensor } from "../tensor.ts";
import { attributesOf } from "./attributes.ts";
import type { Lower } from "./call.ts";
import { folds } from "./constants.ts";
import type { End } from "./ends.ts";
import { type OnnxGraph, type OnnxNode, takenBy } from "./file.ts";
import { layers } from "./layers.ts";
import { moves } from "./moves.ts";
import { isFloat, isNumeric, numbersOf } from "./numbers.ts";
import { operators } from "./operators.ts";
import { preprocessing } from "./preprocessing.ts";
import { recurrent } from "./recurrent.ts";
import { resize } from "./resize.ts";

const known: Readonly<Record<string, Lower>> = {
  ...operators,
  ...moves,
  ...layers,
  ...preprocessing,
  Resize: resize,
  Upsample: resize,
  LSTM: recurrent("LSTM"),
  GRU: recurrent("GRU"),
  RNN: recurrent("RNN"),
};
const domains = new Set(["", "ai.onnx", "ai.onnx.ml"]);

const nameOf = (node: OnnxNode) => node.name || node.outputs[0] || node.op;

/** A MatMul by a constant and the Add that alone takes its result are one node, as Gemm is. */
export function fused(nodes: readonly OnnxNode[]): (OnnxNode & { bias?: OnnxNode })[] {
  const uses = new Map<string, OnnxNode[]>();
  for (const node of nodes) for (const name of takenBy(node)) uses.set(name, [...(uses.get(name) ?? []), node]);
  return nodes.map((node) => {
    const [result] = node.outputs;
    const next = uses.get(result) ?? [];
    return node.op === "MatMul" && next.length === 1 && next[0].op === "Add" ? { ...node, bias: next[0] } : node;
  });
}

interface Reading {
  readonly nodes: readonly (OnnxNode & { bias?: OnnxNode })[];
  /** Undefined within a graph. */
  readonly end?: End;
  readonly builder: Builder;
  readonly values: Map<string, Operand>;
  readonly opset: number;
  readonly problems: Problem[];
  readonly counts: Record<string, number>;
}

/** Reads nodes in turn; values, problems and counts go where the reading has them. */
export function readNodes(reading: Reading): void {
  const { nodes, end, values, problems } = reading;
  const skippedNames = new Set(end === undefined ? [] : [...end.skipped].map(({ outputs }) => outputs[0]));
  const done = new Set<string>();
  const broken = new Set<string>();
  for (const node of nodes) {
    if (done.has(node.outputs[0])) continue;
    try {
      if (skippedNames.has(node.outputs[0])) {
        put(node, [values.get(node.inputs[0])], values);
        continue;
      }
      // A node behind one that could not be read says nothing of its own.
      if (node.inputs.some((name) => broken.has(name))) {
        for (const name of node.outputs) broken.add(name);
        if (known[node.op] === undefined && folds[node.op] === undefined && node.op !== "If")
          unsupported("this operator is not known.");
        continue;
      }
      const missing = node.inputs.find((name) => name !== "" && !values.has(name));
      if (missing !== undefined) unsupported(`its input "${missing}" comes from nowhere.`);
      if (node.op === "If") {
        put(node, branch(node, reading), values);
        continue;
      }
      const all = read(node, reading);
      if (node.bias !== undefined && all.bias) {
        values.set(node.bias.outputs[0], all.values[0] as Operand);
        done.add(node.bias.outputs[0]);
      } else put(node, all.values, values);
    } catch (cause) {
      // Shapes that do not fit are the library's errors.
      for (const name of node.outputs) broken.add(name);
      problems.push({
        operator: node.op,
        node: nameOf(node),
        why: cause instanceof Error ? cause.message : String(cause),
      });
    }
  }
}

/** The outputs of the one branch of If that is taken. @throws Unsupported where the input decides */
function branch(node: OnnxNode, reading: Reading): readonly (Operand | undefined)[] {
  const test = reading.values.get(node.inputs[0]);
  if (test === undefined || isValue(test)) return unsupported("its condition depends on the network's input.");
  const name = test.data[0] ? "then_branch" : "else_branch";
  const graph: OnnxGraph | undefined = node.attributes.get(name)?.graph;
  if (graph === undefined) return unsupported(`it has no ${name}.`);
  const values = new Map(reading.values);
  for (const stored of graph.initializers) {
    if (isNumeric(stored.type))
      values.set(stored.name, numbersOf(stored, undefined, isFloat(stored.type) ? stored.name : undefined));
  }
  const before = reading.problems.length;
  readNodes({ ...reading, nodes: fused(graph.nodes), values, end: undefined });
  // What could not be read has been said.
  if (reading.problems.length > before) return unsupported(`its ${name} could not be read.`);
  return graph.outputs.map((one) => values.get(one.name));
}

function put(node: OnnxNode, results: readonly (Operand | undefined)[], values: Map<string, Operand>): void {
  node.outputs.forEach((name, i) => {
    const one = results[i];
    if (name === "") return;
    if (one === undefined) unsupported(`its output ${i} is not made.`);
    values.set(name, one);
  });
}

const asList = (one: Operand | readonly (Operand | undefined)[]): readonly (Operand | undefined)[] =>
  Array.isArray(one) ? one : [one as Operand];

function read(node: OnnxNode & { bias?: OnnxNode }, { end, builder, values, opset, counts }: Reading) {
  if (!domains.has(node.domain)) unsupported(`it is of the domain "${node.domain}".`);
  if ([...node.attributes.values()].some(({ graph }) => graph))
    unsupported("graphs within graphs are read of If only.");
  const inputs = node.inputs.map((name) => (name === "" ? undefined : values.get(name)));
  const attributes = attributesOf(node);
  if (node.op === "Constant") return { values: [constantOf(node)] };
  const outputs = node.outputs.filter((name) => name !== "").length;
  const shape = inputs[0];
  if (node.op === "Shape" && shape !== undefined) return { values: [shapeNumbers(shape.dims, attributes)] };
  if (node.op === "Size" && shape !== undefined) return { values: [tensor([], [sizeOf(shape.dims)])] };
  const fold = folds[node.op];
  const plain =
    inputs.filter((one) => one !== undefined && !isValue(one)).length ===
    inputs.filter((one) => one !== undefined).length;
  if (plain && node.op === "ConstantOfShape") {
    const stored = node.attributes.get("value")?.t;
    const of = stored && numbersOf(stored, undefined);
    const made = fold(inputs as Tensor[], attributes) as Tensor;
    return {
      values: [{ ...made, data: Float64Array.from(made.data, () => of?.data[0] ?? 0), float: of?.float ?? true }],
    };
  }
  if (plain && fold !== undefined) return { values: asList(fold(inputs as Tensor[], attributes)) };
  const lower = known[node.op];
  if (lower === undefined) return unsupported("this operator is not known.");
  counts[node.op] = (counts[node.op] ?? 0) + 1;
  const bias = biasOf(node, values);
  const bare = [...(end?.bare ?? [])].some((one) => one.outputs[0] === node.outputs[0]);
  const call = { builder, inputs, attributes, opset, outputs, node: nameOf(node), bare };
  if (bias === undefined) return { values: asList(lower(call)) };
  counts.Add = (counts.Add ?? 0) + 1;
  return {
    values: asList(known.Gemm({ ...call, ...fusedCall(inputs, bias) })),
    bias: true,
  };
}

const fusedCall = (inputs: readonly (Operand | undefined)[], bias: Tensor) => ({
  inputs: [inputs[0], inputs[1], bias],
});

/** The constant that is added to a product by a matrix, where it has as many entries as the product. */
function biasOf(
  { bias, inputs }: OnnxNode & { bias?: OnnxNode },
  values: ReadonlyMap<string, Operand>,
): Tensor | undefined {
  if (bias === undefined) return undefined;
  const [a, weight] = inputs.map((name) => values.get(name));
  const other = bias.inputs.map((name) => values.get(name)).find((one) => one !== undefined);
  if (a === undefined || !isValue(a) || weight === undefined || isValue(weight) || weight.dims.length !== 2)
    return undefined;
  if (other === undefined || isValue(other) || bias.inputs.length !== 2) return undefined;
  const outputs = weight.dims[1];
  return other.data.length === outputs && other.dims[other.dims.length - 1] === outputs ? other : undefined;
}

function shapeNumbers(dims: readonly number[], attributes: ReturnType<typeof attributesOf>): Tensor {
  const all = dims.slice(attributes.int("start", 0), attributes.has("end") ? attributes.int("end", 0) : undefined);
  return tensor([all.length], all);
}

function constantOf(node: OnnxNode): Tensor {
  const get = (name: string) => node.attributes.get(name);
  const stored = get("value")?.t;
  if (stored !== undefined) return numbersOf(stored, undefined);
  const [ints, floats] = [get("value_ints")?.ints, get("value_floats")?.floats];
  if (ints !== undefined) return tensor([ints.length], ints);
  if (floats !== undefined) return tensor([floats.length], floats, true);
  const [i, f] = [get("value_int")?.i, get("value_float")?.f];
  if (i !== undefined) return tensor([], [i]);
  return f !== undefined ? tensor([], [f], true) : unsupported("it has no numbers.");
}
