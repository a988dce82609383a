// TensorFlow.js layers models as networks: sequential and functional ones, as `model.save` and tensorflowjs_converter write them.

import { type Network, network, OptionError } from "laplace-ts";
import { as, Builder, type ParameterOrigin, type Value, valued } from "../builder.ts";
import { ModelError, type Problem } from "../errors.ts";
import type { Removed } from "../onnx/ends.ts";
import { sizeOf, type Tensor } from "../tensor.ts";
import { layers } from "./layers.ts";
import type { Config } from "./use.ts";
import { readWeights } from "./weights.ts";

/** Options of `fromTensorFlowJs`. */
export interface TensorFlowJsOptions {
  /** Whether softmax or sigmoid at the end is taken off (default true): posteriors need logits. */
  cut?: boolean;
  /** The shape of one example, where the file leaves lengths open. */
  inputShape?: readonly number[];
  /** Element type of the network (default "float32"). */
  dtype?: "float32" | "float64";
}

/** What was read, and how. */
export interface TensorFlowJsReport {
  /** What was taken off at the end. */
  readonly removed: readonly Removed[];
  /** The task that the end speaks of; "regression" where nothing was taken off. */
  readonly task: "classification" | "binary" | "regression";
  /** How many layers of each class were read. */
  readonly operators: Readonly<Record<string, number>>;
  readonly parameters: readonly ParameterOrigin[];
  readonly constants: readonly string[];
}

const where = "fromTensorFlowJs";

interface Layer {
  readonly name: string;
  readonly kind: string;
  readonly config: Config;
  /** For each time that it is applied, the names of what it is applied to: "layer:time". */
  readonly uses: readonly (readonly string[])[];
}

interface Topology {
  readonly layers: readonly Layer[];
  readonly input: string;
  readonly output: string;
}

function fail(why: string): never {
  throw new ModelError(where, [{ operator: "", node: "", why }]);
}

const record = (one: unknown): Config => (typeof one === "object" && one !== null ? (one as Config) : {});
// Arrays that are made by programs may have holes.
const list = (one: unknown): readonly unknown[] => (Array.isArray(one) ? Array.from(one) : []);

/** A name, or which use it is; empty for anything else, which names nothing. */
const word = (one: unknown): string => (typeof one === "string" || typeof one === "number" ? String(one) : "");

/** A model's layers and what each is applied to. @throws ModelError */
function topologyOf(json: Config): Topology {
  const outer = record(json.modelTopology);
  const model = record(outer.model_config ?? outer);
  const config = record(model.config);
  const found = list(Array.isArray(model.config) ? model.config : config.layers).map((one): Layer => {
    const layer = record(one);
    const own = record(layer.config);
    const uses = list(layer.inbound_nodes ?? layer.inboundNodes).map((node) =>
      list(node).map((from) => `${word(list(from)[0])}:${word(list(from)[1] ?? 0)}`),
    );
    return {
      name: word(layer.name ?? own.name),
      kind: word(layer.class_name ?? layer.className),
      config: own,
      uses,
    };
  });
  if (found.length === 0)
    fail("The file has no layers: expected the JSON of a layers model, with modelTopology. Graph models are not read.");
  if (model.class_name === "Sequential") {
    const all = found.map((layer, i) => ({ ...layer, uses: [[i === 0 ? "" : `${found[i - 1].name}:0`]] }));
    return {
      layers: all,
      input: all[0].kind === "InputLayer" ? all[0].name : "",
      output: `${all[all.length - 1].name}:0`,
    };
  }
  const ends = (name: string) => {
    const all = list(config[name]);
    const flat = typeof all[0] === "string" ? [all] : all;
    if (flat.length !== 1) fail(`The model has ${flat.length} ${name.replace("_", " ")}; a network has one.`);
    return list(flat[0]);
  };
  const [output, time] = ends("output_layers");
  return { layers: found, input: word(ends("input_layers")[0]), output: `${word(output)}:${word(time ?? 0)}` };
}

function inputShape({ layers: all, input }: Topology, { inputShape: given }: TensorFlowJsOptions): number[] {
  const first = input === "" ? all[0] : all.find(({ name }) => name === input);
  const shape = record(first?.config).batch_input_shape ?? record(first?.config).batchInputShape;
  const found = given ?? list(shape).slice(1);
  if (found.length > 0 && found.every((n) => Number.isInteger(n) && (n as number) > 0)) return found as number[];
  return fail(`The input's shape is ${JSON.stringify(shape)}: give that of one example by the option inputShape.`);
}

/** The layer before softmax or sigmoid at the end, or the layer without them. */
function cutOf({ layers: all, output }: Topology): {
  removed: Removed[];
  task?: "classification" | "binary";
  bare?: Layer;
} {
  const last = all.find(({ name }) => name === output.slice(0, output.lastIndexOf(":")));
  const name = last?.kind === "Softmax" ? "softmax" : last?.config.activation;
  if (last === undefined || (name !== "softmax" && name !== "sigmoid")) return { removed: [] };
  const task = name === "softmax" ? "classification" : "binary";
  return { removed: [{ operator: name, node: last.name }], task, bare: last };
}

/**
 * Reads a TensorFlow.js layers model, sequential or functional, as a network: the parsed JSON of model.json, and the bytes of its
 * weights' files, joined in the manifest's order. Quantised weights are read as what they stand for. Inputs are as the model
 * has them, images [height, width, channels]. softmax or sigmoid at the end is taken off, as `report.removed` says.
 * @throws ModelError listing all layers that cannot be read; OptionError
 */
export function fromTensorFlowJs(
  model: object,
  weights: Uint8Array | ArrayBuffer,
  options: TensorFlowJsOptions = {},
): { network: Network; report: TensorFlowJsReport } {
  const stray = Object.keys(options).find((name) => !["cut", "inputShape", "dtype"].includes(name));
  if (stray !== undefined) throw new OptionError(`${where}: unknown option "${stray}". Known: cut, inputShape, dtype.`);
  if (typeof model !== "object" || model === null)
    throw new OptionError(`${where}: expected the parsed JSON of a model.`);
  const bytes = weights instanceof Uint8Array ? weights : new Uint8Array(weights as ArrayBuffer);
  const json = record(model);
  const topology = topologyOf(json);
  const cut = (options.cut ?? true) ? cutOf(topology) : { removed: [] };
  const shape = inputShape(topology, options);
  const operators: Record<string, number> = {};
  let builder: Builder | undefined;
  let net: Network;
  try {
    const arrays = readWeights(json.weightsManifest, bytes);
    net = network({ inputs: shape, dtype: options.dtype ?? "float32" }, (x) => {
      builder = new Builder(x);
      const result = apply(topology, cut.bare, builder, arrays, valued(x, [1, ...shape]), operators);
      return as(result, result.dims.slice(1));
    });
  } catch (cause) {
    if (cause instanceof ModelError) throw cause;
    return fail(cause instanceof Error ? cause.message : String(cause));
  }
  const { origins, constants, numbers } = builder as unknown as Builder;
  for (const { name, offset } of net.parameterTable) net.parameters.data.set(numbers.get(name) ?? [], offset);
  for (const { name, offset } of net.bufferTable) net.buffers.data.set(numbers.get(name) ?? [], offset);
  const frozen = constants.filter((name) => net.parameterTable.some((one) => one.name === name));
  if (frozen.length > 0) net.freeze(...frozen);
  const report = {
    removed: cut.removed,
    task: cut.task ?? "regression",
    operators,
    parameters: origins,
    constants: frozen,
  } as const;
  return { network: net, report };
}

/** The model's output. @throws ModelError listing all layers that cannot be read */
function apply(
  { layers: all, input, output }: Topology,
  bare: Layer | undefined,
  builder: Builder,
  arrays: ReadonlyMap<string, Tensor>,
  x: Value,
  counts: Record<string, number>,
): Value {
  const problems: Problem[] = [];
  const byName = new Map(all.map((layer) => [layer.name, layer]));
  const values = new Map<string, Value | undefined>([
    ["", x],
    [`${input}:0`, x],
  ]);
  const made = (place: string): Value | undefined => {
    if (values.has(place)) return values.get(place);
    values.set(place, undefined); // what goes round in a circle has no value
    const layer = byName.get(place.slice(0, place.lastIndexOf(":")));
    const sources = layer?.uses[Number(place.slice(place.lastIndexOf(":") + 1))];
    if (layer === undefined || sources === undefined) return fail(`Nothing in the file makes "${place}".`);
    const inputs = sources.map(made);
    const layerOf = Object.hasOwn(layers, layer.kind) ? layers[layer.kind] : undefined;
    const note = (why: string) => problems.push({ operator: layer.kind, node: layer.name, why });
    if (layerOf === undefined) note("this layer is not known.");
    else if (inputs.every((one) => one !== undefined) && inputs.length > 0) {
      try {
        const weight = (role: string, within?: string) =>
          arrays.get([...arrays.keys()].find((name) => isOf(name, layer.name, role, within)) ?? "");
        // Without its activation where that is taken off.
        const plain =
          layer === bare && layer.kind !== "Softmax" ? { ...layer.config, activation: "linear" } : layer.config;
        const value =
          layer === bare && layer.kind === "Softmax" ? inputs[0] : layerOf({ builder, inputs, config: plain, weight });
        counts[layer.kind] = (counts[layer.kind] ?? 0) + 1;
        values.set(place, value);
        return value;
      } catch (cause) {
        if (!(cause instanceof Error)) throw cause;
        note(cause.message);
      }
    }
    return undefined;
  };
  const result = made(output);
  if (problems.length > 0) throw new ModelError(where, problems);
  if (result === undefined || sizeOf(result.dims) === 0) return fail(`"${output}" depends on itself.`);
  return result;
}

/** Whether an array is that of a layer: "dense/kernel", "model/dense/kernel", "bidirectional/forward_lstm/kernel". */
function isOf(array: string, layer: string, role: string, within = ""): boolean {
  const own = `${layer}/`;
  const inside = within === "" || array.includes(`/${within}_`);
  return inside && array.endsWith(`/${role}`) && (array.startsWith(own) || array.includes(`/${own}`));
}
