// A posterior over the last layers of a network, of which all before them runs in onnxruntime.

import { LaplaceError, NDArray, type Network, OptionError } from "laplace-ts";
import { ModelError, type Problem } from "../errors.ts";
import { type OnnxGraph, type OnnxModel, readModel } from "../onnx/file.ts";
import { fromOnnx, type OnnxOptions, type OnnxReport } from "../onnx/from-onnx.ts";
import { sizeOf } from "../tensor.ts";
import { cutsOf, nearest, openInputs, type Parts, partsAt, producersOf } from "./cuts.ts";
import { type FeaturesParts, type FeaturesReport, FrozenFeatures, runSession } from "./frozen-features.ts";
import type { InputInfo } from "./inputs.ts";
import { elementName, type OnnxRuntime, type OnnxSession } from "./runtime.ts";
import { type Beginning, fileBefore, fileBehind } from "./split.ts";

/** Options of `withFeatures`. */
export interface FeaturesOptions
  extends Pick<OnnxOptions, "output" | "cut" | "dtype" | "constants" | "externalData" | "dimensions" | "fixed"> {
  /** `import * as ort from "onnxruntime-web"`, or from "onnxruntime-node". */
  runtime: OnnxRuntime;
  /** The file that a session was made of, where a session is given. */
  model?: Uint8Array;
  /** A network of the features in the place of the rest of the file: `(inputs) => chain({ inputs }, dense(3))`. */
  network?: (inputs: number[]) => Network;
  /** How many examples go through the session at once (default 32). */
  batchSize?: number;
  /** Options of `InferenceSession.create`, such as { executionProviders: ["webgpu"] }. */
  sessionOptions?: object;
}

const where = "withFeatures";
const known = "runtime model network batchSize sessionOptions output cut dtype constants externalData dimensions fixed";

const problem = (why: string, operator = "", node = ""): ModelError => {
  const one: Problem = { operator, node, why };
  return new ModelError(where, [one]);
};
const quoted = (names: readonly string[]) => names.map((name) => `"${name}"`).join(", ");

function checkOptions(options: FeaturesOptions): void {
  if (typeof options !== "object" || options === null) {
    throw new OptionError(`${where}: options must be an object with the runtime: { runtime: ort }.`);
  }
  const names = known.split(" ");
  const stray = Object.keys(options).find((name) => !names.includes(name));
  if (stray !== undefined) throw new OptionError(`${where}: unknown option "${stray}". Known: ${names.join(", ")}.`);
  const { runtime, batchSize = 32, network, model, sessionOptions } = options;
  if (typeof runtime?.Tensor !== "function" || typeof runtime.InferenceSession?.create !== "function") {
    throw new OptionError(
      `${where}: the option runtime must be onnxruntime-web or onnxruntime-node: import * as ort from "onnxruntime-web"; { runtime: ort }.`,
    );
  }
  if (!Number.isInteger(batchSize) || batchSize < 1) {
    throw new OptionError(`${where}: batchSize must be an integer of at least 1, not ${batchSize}.`);
  }
  if (network !== undefined && typeof network !== "function") {
    throw new OptionError(`${where}: network must be a function of the features' shape that gives a network.`);
  }
  if (model !== undefined && !(model instanceof Uint8Array)) {
    throw new OptionError(`${where}: model must be the bytes of a file, a Uint8Array.`);
  }
  if (sessionOptions !== undefined && (typeof sessionOptions !== "object" || sessionOptions === null)) {
    throw new OptionError(`${where}: sessionOptions must be an object.`);
  }
}

/** The outputs that the rest of the network gives. */
function outputsOf(graph: OnnxGraph, output: string | undefined): string[] {
  const all = graph.outputs.map(({ name }) => name);
  if (output === undefined) return all;
  if (all.includes(output)) return [output];
  throw problem(`The model has the outputs ${quoted(all) || "(none)"}, and no output "${output}".`);
}

/** The value of that name, or the first one that the node of that name makes. @throws ModelError naming the nearest */
function valueNamed(graph: OnnxGraph, at: string, cuts: readonly string[]): string {
  const producers = producersOf(graph);
  if (producers.has(at)) return at;
  const [value] = graph.nodes.find(({ name }) => name === at && at !== "")?.outputs ?? [];
  if (value !== undefined && value !== "") return value;
  const names = graph.nodes.flatMap(({ name, outputs }) => (outputs.some((one) => cuts.includes(one)) ? [name] : []));
  const near = nearest(at, [...cuts, ...names.filter((name) => name !== "")]);
  throw problem(
    near.length === 0
      ? `The model has no node or value "${at}", and nowhere can it be cut.`
      : `The model has no node or value "${at}". Near it: ${quoted(near)}.`,
  );
}

/** @throws ModelError naming the nearest values at which it can be cut */
function checkCut(graph: OnnxGraph, value: string, cuts: readonly string[]): void {
  if (cuts.includes(value)) return;
  const producers = producersOf(graph);
  const here = producers.get(value) as number;
  const before = cuts.filter((name) => (producers.get(name) as number) < here).slice(-2);
  const behind = cuts.filter((name) => (producers.get(name) as number) > here).slice(0, 2);
  const near = quoted([...before, ...behind]);
  throw problem(
    `The outputs are not made of "${value}" alone: something goes around it, or does not use it. ${near === "" ? "Nowhere can the model be cut." : `It can be cut at ${near}.`} Or give a network of your own by the option network.`,
    graph.nodes[here].op,
    graph.nodes[here].name || value,
  );
}

/** The inputs that are not fixed, and the size of batches if the file has one. @throws ModelError */
function inputsOf(graph: OnnxGraph, used: ReadonlySet<string>, { dimensions = {}, fixed = {} }: FeaturesOptions) {
  const open = new Set(openInputs(graph));
  let size: number | undefined;
  const inputs: InputInfo[] = [];
  const given: { name: string; type: number; value: NDArray }[] = [];
  for (const { name, type, dims } of graph.inputs) {
    if (!open.has(name) || !used.has(name)) continue;
    if (elementName(type) === undefined)
      throw problem(`The input "${name}" has elements of type ${type}, not numbers.`);
    const value = Object.hasOwn(fixed, name) ? fixed[name] : undefined;
    if (value !== undefined) {
      given.push({ name, type, value: new NDArray(Float64Array.from(value.data), [...value.shape]) });
      continue;
    }
    if (dims === undefined || dims.length === 0) throw problem(`The input "${name}" has no axes in the file.`);
    const lengths = dims.map((length) => (typeof length === "number" && length > 0 ? length : dimensions[length]));
    const open_ = dims.flatMap((length, i) => (i > 0 && lengths[i] === undefined ? [`${length}`] : []));
    if (open_.length > 0) {
      throw problem(
        `The input "${name}" is [${dims.join(", ")}]: say how long ${quoted(open_)} is by the option dimensions, such as { sequence: 16 }.`,
      );
    }
    const shape = lengths.slice(1) as number[];
    if (!shape.every((n) => Number.isInteger(n) && n >= 1) || sizeOf(shape) > 2 ** 26) {
      throw problem(`The input "${name}" is [${dims.join(", ")}].`);
    }
    if (typeof dims[0] === "number" && dims[0] > 0) size = dims[0];
    inputs.push({ name, type, shape });
  }
  if (inputs.length === 0) throw problem("No input is left that is not fixed.");
  return { inputs, given, size };
}

async function sessionOf(file: Uint8Array, { runtime, sessionOptions }: FeaturesOptions): Promise<OnnxSession> {
  try {
    return await runtime.InferenceSession.create(file, sessionOptions);
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new LaplaceError(`${where}: the runtime does not take the file up to the features: ${text}`, { cause });
  }
}

/** @throws OptionError for a session without the value among its outputs */
function checkSession(session: OnnxSession, needed: readonly string[]): void {
  const missing = needed.filter((name) => !session.outputNames.includes(name));
  if (missing.length === 0) return;
  throw new OptionError(
    `${where}: the session has the outputs ${quoted(session.outputNames)}, not ${quoted(missing)}. Give the file's bytes in the place of the session: then a session is made that has them.`,
  );
}

/** What the features look like, by running the session once or twice on zeros. @throws LaplaceError */
async function probe(parts: FeaturesParts, shapes: readonly string[]) {
  const zeros = (rows: number) =>
    parts.inputs.map(({ shape }) => new NDArray(new Float32Array(rows * sizeOf(shape)), [rows, ...shape]));
  const rows = parts.exact ? parts.batchSize : 1;
  const [features, ...rest] = await runSession(where, parts, zeros(rows), [parts.value, ...shapes]);
  if (features.type === 7) throw problem(`"${parts.value}" has integers, not features.`);
  const [batch, ...shape] = features.values.shape;
  const wrong = (found: readonly number[], size: number) =>
    problem(`"${parts.value}" is [${found.join(", ")}] for ${size} examples: its first axis should be the batch.`);
  if (batch !== rows) throw wrong(features.values.shape, rows);
  if (!parts.exact) {
    const [two] = await runSession(where, parts, zeros(2), [parts.value]);
    if (String(two.values.shape) !== String([2, ...shape])) throw wrong(two.values.shape, 2);
  } else if (rows > 1 && rest.length > 0) {
    throw problem(`The file is for batches of ${rows}, and what is behind "${parts.value}" has that in its shapes.`);
  }
  const known = Object.fromEntries(shapes.map((name, i) => [name, Array.from(rest[i].values.data)]));
  return { type: features.type, shape, known };
}

/** The network behind the features, and how it was read. @throws ModelError, OptionError */
function networkBehind(
  file: Uint8Array,
  graph: OnnxGraph,
  parts: Parts | undefined,
  outputs: readonly string[],
  beginning: Beginning,
  options: FeaturesOptions,
): { network: Network; rest: OnnxReport | undefined } {
  const inputs = beginning.shape.length === 0 ? [1] : [...beginning.shape];
  if (options.network !== undefined) {
    const network = options.network(inputs);
    if (network === undefined || String(network?.inputShape) !== String(inputs)) {
      const got =
        network?.inputShape === undefined ? "nothing of the kind" : `one of [${network.inputShape.join(", ")}]`;
      throw new OptionError(
        `${where}: the option network should give a network whose inputs are [${inputs.join(", ")}], got ${got}.`,
      );
    }
    return { network, rest: undefined };
  }
  const { output, cut, dtype, constants, externalData } = options;
  const given = { output, cut, dtype, constants, externalData };
  const rest: OnnxOptions = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const { network, report } = fromOnnx(fileBehind(file, graph, parts as Parts, outputs, beginning), rest);
  if (report.parameters.length > 0) return { network, rest: report };
  throw problem(
    `Behind "${beginning.value}" there are no weights that a posterior could be over: cut the model earlier.`,
  );
}

/**
 * Cuts an ONNX model at a node: what is before it runs in onnxruntime, as fast as that is and with every operator it has; what is
 * behind it is a `network` here, as `fromOnnx` reads it, over whose weights there are posteriors. The runtime is brought by the
 * caller; this package never loads one.
 *
 * Inputs go through the session once for `fit` and `predict`; `data` gives features to keep, for training, tuning on held-out data
 * and evaluation. Up to a node means up to its first output; names of values ("/pool/GlobalAveragePool_output_0") will do, too.
 * @param of the bytes of a model, of which a session is made that ends at the node; or a session that has the node's
 *   value among its outputs, and then the file by the option `model`
 * @param at the name of a node or of a value
 * @throws ModelError for a name that is not there, naming the nearest; for a node that others go around, naming where the model can be cut; for what
 *   cannot be read behind it; OptionError; LaplaceError for what the runtime throws
 */
export async function withFeatures(
  of: Uint8Array | OnnxSession,
  at: string,
  options: FeaturesOptions,
): Promise<FrozenFeatures> {
  checkOptions(options);
  if (typeof at !== "string") throw new OptionError(`${where}: the second argument is the name of a node.`);
  const given = of instanceof Uint8Array ? undefined : of;
  if (given !== undefined && (typeof given?.run !== "function" || !Array.isArray(given.outputNames))) {
    throw new OptionError(`${where}: expected the bytes of an ONNX file, a Uint8Array, or a session of onnxruntime.`);
  }
  if (given !== undefined && options.model === undefined) {
    throw new OptionError(`${where}: a session does not tell its weights: give the file's bytes by the option model.`);
  }
  const file = of instanceof Uint8Array ? of : (options.model as Uint8Array);
  const model = readModel(where, file);
  const graph = model.graph as OnnxGraph;
  const outputs = outputsOf(graph, options.output);
  const cuts = cutsOf(graph, outputs);
  const value = valueNamed(graph, at, cuts);
  if (options.network === undefined) checkCut(graph, value, cuts);
  const parts = partsAt(graph, value, options.network === undefined ? outputs : []);
  const shapes = [...parts.shapes].map((i) => graph.nodes[i].outputs[0]);
  let trunk: Uint8Array;
  try {
    trunk = fileBefore(file, graph, value, parts, options.externalData);
  } catch (cause) {
    // What is wrong with a file's messages is said by those who read them.
    if (cause instanceof LaplaceError) throw cause;
    throw problem(cause instanceof Error ? cause.message : String(cause));
  }
  const used = new Set(given?.inputNames ?? [...(readModel(where, trunk).graph?.inputs.map(({ name }) => name) ?? [])]);
  const { inputs, given: fixed, size } = inputsOf(graph, used, options);
  if (given !== undefined) checkSession(given, [value, ...shapes]);
  const session = given ?? (await sessionOf(trunk, options));
  const batchSize = size ?? options.batchSize ?? 32;
  const made: FeaturesParts = {
    runtime: options.runtime,
    // A session that the caller made stays the caller's.
    session: given === undefined ? session : withoutRelease(session),
    inputs,
    fixed,
    value,
    batchSize,
    exact: size !== undefined,
  };
  try {
    const { type, shape, known: constants } = await probe(made, shapes);
    const beginning = { value, type, shape, shapes: constants };
    const { network, rest } = networkBehind(file, graph, parts, outputs, beginning, options);
    return new FrozenFeatures(network, reportOf(model, value, cuts, parts, made, { shape, type, rest }), made);
  } catch (cause) {
    await made.session.release?.();
    throw cause;
  }
}

function withoutRelease(session: OnnxSession): OnnxSession {
  const { inputNames, outputNames } = session;
  return { inputNames, outputNames, run: (feeds, fetches) => session.run(feeds, fetches) };
}

function reportOf(
  { producer, opset, graph }: OnnxModel,
  value: string,
  cuts: readonly string[],
  { before }: Parts,
  { inputs }: FeaturesParts,
  { shape, type, rest }: { shape: readonly number[]; type: number; rest: OnnxReport | undefined },
): FeaturesReport {
  const { nodes } = graph as OnnxGraph;
  const node = nodes[producersOf(graph as OnnxGraph).get(value) as number];
  const operators: Record<string, number> = {};
  for (const i of before)
    operators[nodes[i].op] = (Object.hasOwn(operators, nodes[i].op) ? operators[nodes[i].op] : 0) + 1;
  return {
    producer,
    opset,
    at: { value, node: node.name || value, operator: node.op },
    inputs: inputs.map(({ name, type: of, shape: own }) => ({ name, type: elementName(of) as string, shape: own })),
    shape,
    bytesPerExample: sizeOf(shape) * (type === 11 ? 8 : 4),
    operators,
    rest,
    cuts,
  };
}
