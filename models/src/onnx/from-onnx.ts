// ONNX files as networks.

import { type Network, network, OptionError } from "laplace-ts";
import { as, Builder, isValue, type Operand, type ParameterOrigin, valued } from "../builder.ts";
import { ModelError, type Problem, Unsupported } from "../errors.ts";
import { sizeOf, type Tensor, tensor } from "../tensor.ts";
import { type End, endOf, type Removed } from "./ends.ts";
import { type OnnxFunction, type OnnxGraph, type OnnxNode, readModel, takenBy, type ValueInfo } from "./file.ts";
import { withoutCalls } from "./functions.ts";
import { fused, readNodes } from "./nodes.ts";
import { type ExternalData, isFloat, isNumeric, numbersOf } from "./numbers.ts";

/** Options of `fromOnnx`. */
export interface OnnxOptions {
  /** The input that the network has, where the file has several. */
  input?: string;
  /** Fixed values of the other inputs, for one example, their batch axis being 1 long: shape and numbers. */
  fixed?: Readonly<Record<string, { readonly shape: readonly number[]; readonly data: ArrayLike<number> }>>;
  /** The output that the network has (default: the one output, or what all outputs are made of). */
  output?: string;
  /** Whether Softmax, Sigmoid, ArgMax and the like at the end are taken off (default true): posteriors need logits. */
  cut?: boolean;
  /** Lengths of axes that have a name in the file and are not the batch: `{ sequence: 16 }`. */
  dimensions?: Readonly<Record<string, number>>;
  /** Which axis of the input is the batch (default 0). */
  batchAxis?: number;
  /** Element type of the network (default: that of the file's weights; float32 for shorter ones). */
  dtype?: "float32" | "float64";
  /** Initialisers that count as constants: training and posteriors leave them as they are. */
  constants?: readonly string[];
  /** The bytes of files beside the model, by the location that it names. */
  externalData?: ExternalData;
}

/** What was read, and how. */
export interface OnnxReport {
  readonly producer: string;
  readonly opset: number;
  /** The input, and its shape for one example. */
  readonly input: { readonly name: string; readonly shape: readonly number[] };
  /** The value of the file's graph that the network gives. */
  readonly output: string;
  /** What was taken off behind it, in the graph's order. */
  readonly removed: readonly Removed[];
  /** The task that the end speaks of, for `laplace`; "regression" where nothing was taken off. */
  readonly task: "classification" | "binary" | "regression";
  /** How many nodes of each operator were read, constants left out. */
  readonly operators: Readonly<Record<string, number>>;
  /** Which array of the file each parameter was. */
  readonly parameters: readonly ParameterOrigin[];
  /** Parameters of the network that are constants of the file; they are frozen. */
  readonly constants: readonly string[];
}

/** A network that was read from a file. */
export interface ImportedOnnx {
  readonly network: Network;
  readonly report: OnnxReport;
}

const where = "fromOnnx";
const fileProblem = (why: string): Problem => ({ operator: "", node: "", why });

function checkOptions(options: OnnxOptions): void {
  const names = ["input", "fixed", "output", "cut", "dimensions", "batchAxis", "dtype", "constants", "externalData"];
  if (typeof options !== "object" || options === null) throw new OptionError(`${where}: options must be an object.`);
  const stray = Object.keys(options).find((name) => !names.includes(name));
  if (stray !== undefined) throw new OptionError(`${where}: unknown option "${stray}". Known: ${names.join(", ")}.`);
  const { dtype, externalData, batchAxis = 0, cut = true } = options;
  if (dtype !== undefined && dtype !== "float32" && dtype !== "float64") {
    throw new OptionError(`${where}: dtype must be "float32" or "float64".`);
  }
  if (externalData !== undefined && typeof externalData !== "function") {
    throw new OptionError(`${where}: externalData must be a function of a location.`);
  }
  const { constants = [], fixed = {} } = options;
  if (!Array.isArray(constants) || constants.some((name) => typeof name !== "string")) {
    throw new OptionError(`${where}: constants must be a list of names.`);
  }
  if (
    typeof fixed !== "object" ||
    fixed === null ||
    !Object.values(fixed).every((one) => Array.isArray(Object(one).shape) && Object(one).data)
  ) {
    throw new OptionError(`${where}: fixed must have { shape, data } by the names of inputs.`);
  }
  if (!Number.isInteger(batchAxis)) throw new OptionError(`${where}: batchAxis must be an integer.`);
  if (typeof cut !== "boolean") throw new OptionError(`${where}: cut must be true or false.`);
}

/** The input that is not fixed. @throws ModelError */
function chooseInput(graph: OnnxGraph, { input, fixed = {} }: OnnxOptions): ValueInfo {
  const given = new Set(graph.initializers.map(({ name }) => name));
  const all = graph.inputs.filter(({ name }) => !given.has(name));
  const open = all.filter(({ name }) => (input === undefined ? fixed[name] === undefined : name === input));
  const list = all.map(({ name }) => `"${name}"`).join(", ");
  const stray = Object.keys(fixed).find((name) => !all.some((one) => one.name === name));
  if (stray !== undefined) {
    throw new ModelError(where, [
      fileProblem(`The model has the inputs ${list || "(none)"}, not "${stray}" of the option fixed.`),
    ]);
  }
  const loose = all.filter(({ name }) => name !== open[0]?.name && fixed[name] === undefined);
  if (open.length === 1 && loose.length === 0) return open[0];
  const why =
    open.length === 0
      ? `The model has the inputs ${list || "(none)"}; none is left, or none has the name "${input}".`
      : `The model has the inputs ${list}: a network has one. Name it by the option input, and give the others (${[...new Set([...open.slice(1), ...loose])].map(({ name }) => `"${name}"`).join(", ")}) by the option fixed.`;
  throw new ModelError(where, [fileProblem(why)]);
}

/** The input's shape in a batch of one. @throws ModelError */
function shapeOf({ name, dims, type }: ValueInfo, { dimensions = {}, batchAxis = 0 }: OnnxOptions): number[] {
  const fail = (why: string): never => {
    throw new ModelError(where, [fileProblem(`The input "${name}" ${why}`)]);
  };
  if (dims === undefined) return fail("has no shape in the file.");
  if (!isNumeric(type)) return fail(`has elements of type ${type}, not numbers.`);
  const at = batchAxis < 0 ? batchAxis + dims.length : batchAxis;
  if (!(at >= 0 && at < dims.length)) return fail(`has ${dims.length} axes, and no batch axis ${batchAxis}.`);
  const lengths = dims.map((length, i) => (i === at ? 1 : typeof length === "number" ? length : dimensions[length]));
  const open = dims.filter((_, i) => lengths[i] === undefined).map((one) => `"${one}"`);
  if (open.length > 0) {
    return fail(
      `is [${dims.join(", ")}]: say how long ${open.join(", ")} is by the option dimensions, such as { sequence: 16 }.`,
    );
  }
  const shape = lengths as number[];
  if (!shape.every((n) => Number.isInteger(n) && n >= 1) || sizeOf(shape) > 2 ** 26)
    return fail(`is [${dims.join(", ")}].`);
  return shape;
}

/** The end of the output that was asked for, or what all outputs are made of. @throws ModelError */
function chooseEnd(graph: OnnxGraph, { output, cut = true }: OnnxOptions): End {
  const names = graph.outputs.map(({ name }) => name).filter((name) => output === undefined || name === output);
  const ends = names.map((name): End => {
    return cut
      ? endOf(graph, name)
      : { target: name, skipped: new Set(), bare: new Set(), removed: [], task: undefined };
  });
  const [first] = ends;
  const list = graph.outputs.map(({ name }) => `"${name}"`).join(", ");
  if (first === undefined) throw new ModelError(where, [fileProblem(`The model has the outputs ${list || "(none)"}.`)]);
  if (ends.every(({ target }) => target === first.target)) {
    return ends.find(({ skipped, bare }) => skipped.size + bare.size > 0) ?? first;
  }
  throw new ModelError(where, [fileProblem(`The model has the outputs ${list}: choose one by the option output.`)]);
}

/** The nodes that a value is made of, in the file's order. */
function nodesOf(graph: OnnxGraph, { target, skipped }: End): OnnxNode[] {
  const producers = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const live = new Set<OnnxNode>();
  const open = [target];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const node = producers.get(name);
    if (node === undefined || live.has(node)) continue;
    live.add(node);
    open.push(...(skipped.has(node) ? node.inputs.slice(0, 1) : takenBy(node)));
  }
  return graph.nodes.filter((node) => live.has(node));
}

/**
 * Reads an ONNX file as a network, on which every derivative, curvature and posterior works. Constants are folded; a Gemm, or a
 * MatMul with an Add, becomes one linear layer with its bias; Softmax, Sigmoid, ArgMax and the like at the end are taken off, as
 * `report.removed` says, because likelihoods take logits. Parameters are named after the file's arrays ("fc1.weight"). The
 * network is a function of one example: the batch axis, 0 unless said otherwise, may have any length.
 * @param bytes the file
 * @throws ModelError listing all that cannot be read: operators with their nodes and why; OptionError
 */
export function fromOnnx(bytes: Uint8Array, options: OnnxOptions = {}): ImportedOnnx {
  checkOptions(options);
  if (!(bytes instanceof Uint8Array)) throw new OptionError(`${where}: the file must be a Uint8Array.`);
  const { producer, opset, graph: found, functions } = readModel(where, bytes);
  const graph = written(found as OnnxGraph, functions);
  const input = chooseInput(graph, options);
  const dims = shapeOf(input, options);
  const end = chooseEnd(graph, options);
  const nodes = nodesOf(graph, end);
  const batchAxis = ((options.batchAxis ?? 0) + dims.length) % dims.length;
  const own = dims.length === 1 ? [1] : dims.toSpliced(batchAxis, 1);
  const dtype = options.dtype ?? (graph.initializers.some(({ type }) => type === 11) ? "float64" : "float32");

  const problems: Problem[] = [];
  const counts: Record<string, number> = {};
  let builder: Builder | undefined;
  let net: Network;
  try {
    net = network({ inputs: own, dtype }, (x) => {
      const made = new Builder(x);
      builder = made;
      const values = constantsOf(graph, options, problems);
      values.set(input.name, { ...valued(x, dims), whole: !isFloat(input.type) });
      readNodes({ nodes: fused(nodes), end, builder: made, values, opset, problems, counts });
      const result = values.get(end.target);
      if (problems.length > 0) throw new ModelError(where, problems);
      if (result === undefined) {
        throw new ModelError(where, [fileProblem(`Nothing in the file makes "${end.target}".`)]);
      }
      if (!isValue(result)) throw new ModelError(where, [fileProblem(`"${end.target}" does not depend on the input.`)]);
      return as(result, outputShape(result.dims));
    });
  } catch (cause) {
    if (cause instanceof ModelError) throw cause;
    throw new ModelError(where, [fileProblem(cause instanceof Error ? cause.message : String(cause))]);
  }
  const { origins, constants, numbers } = builder as Builder;
  fill(net, numbers);
  if (constants.length > 0)
    net.freeze(...constants.filter((name) => net.parameterTable.some((one) => one.name === name)));
  const task = end.task ?? "regression";
  const report: OnnxReport = {
    producer,
    opset,
    input: { name: input.name, shape: net.inputShape },
    output: end.target,
    removed: end.removed,
    task,
    operators: counts,
    parameters: origins,
    constants,
  };
  return { network: net, report };
}

/** The graph with its functions written out. @throws ModelError */
function written(graph: OnnxGraph, functions: readonly OnnxFunction[]): OnnxGraph {
  try {
    return withoutCalls(graph, functions);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new ModelError(where, [fileProblem(`The model cannot be read: ${cause.message}.`)]);
  }
}

/** Without the batch. @throws ModelError where the first axis is not the batch */
function outputShape(dims: readonly number[]): readonly number[] {
  if (dims[0] === 1) return dims.length === 1 ? [1] : dims.slice(1);
  const why = `The output is [${dims.join(", ")}] for one example: its first axis should be the batch, 1 long. Likely cause: the file was exported for a batch of a fixed size; export it with a batch of one, or with dynamic_axes.`;
  throw new ModelError(where, [fileProblem(why)]);
}

function fill(net: Network, numbers: ReadonlyMap<string, ArrayLike<number>>): void {
  for (const { name, offset } of net.parameterTable) net.parameters.data.set(numbers.get(name) ?? [], offset);
  for (const { name, offset } of net.bufferTable) net.buffers.data.set(numbers.get(name) ?? [], offset);
}

/** Initialisers and fixed inputs, by name. What is never used is not read: its numbers are read when they are asked for. */
function constantsOf(graph: OnnxGraph, options: OnnxOptions, problems: Problem[]): Map<string, Operand> {
  const { fixed = {}, constants = [], externalData } = options;
  const values = new Map<string, Operand>();
  const add = (name: string, read: () => Tensor) => {
    try {
      values.set(name, read());
    } catch (cause) {
      if (!(cause instanceof Unsupported)) throw cause;
      problems.push(fileProblem(cause.message));
    }
  };
  for (const stored of graph.initializers) {
    const isParameter = isFloat(stored.type) && !constants.includes(stored.name);
    // Texts are labels of classes, which ends have that are taken off.
    if (!isNumeric(stored.type)) continue;
    add(stored.name, () => numbersOf(stored, externalData, isParameter ? stored.name : undefined));
  }
  for (const [name, { shape, data }] of Object.entries(fixed))
    add(name, () => tensor(shape, data as Tensor["data"], true));
  return values;
}
