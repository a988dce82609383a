// Which tensor of a checkpoint is which parameter of a network: found by shapes, by the tree of names, and by numbers in them.

import { array, type NDArray, type Network, OptionError } from "laplace-ts";
import { type Checkpoint, openCheckpoint, type StoredTensor } from "./checkpoint.ts";
import { decide } from "./decide.ts";
import type { Pair } from "./layouts.ts";
import { leavesOf, within } from "./names.ts";
import { type MatchedWeights, tableOf } from "./report.ts";
import { type Unit, unitsOf } from "./units.ts";
import { weightsOf } from "./weights.ts";

/** Options of `matchWeights`. */
export interface MatchOptions {
  /**
   * Corrections: the layer or parameter here for a module or tensor there, `{ "encoder.norm": "12" }`; null for what is passed
   * over, `{ fc: null }`, with all whose names go on behind it and a dot.
   */
  rename?: Readonly<Record<string, string | null>>;
  /** Layers and parameters here that keep their values, such as a new last layer: `["20"]`. */
  keep?: readonly string[];
  /** Weights that the checkpoint has as [inputs, outputs], by their names or what these end in: `["c_attn.weight"]`. */
  transposed?: readonly string[];
}

/** A checkpoint's tensors under the names of a network. */
export interface WeightMatch {
  /** What `loadWeights` takes: an array for every parameter and running statistic. Those that are kept are the network's own. */
  readonly weights: Readonly<Record<string, NDArray>>;
  readonly rows: readonly MatchedWeights[];
  /** The rows as text, with what was passed over and kept. */
  readonly table: string;
  /** Tensors without a part in this: counters, and those that `rename` says. */
  readonly passedOver: readonly string[];
  readonly kept: readonly string[];
}

function rowOf({ source: { names, rows }, slot, change }: Pair): MatchedWeights {
  const joined = names.length > 1 ? `${names.length} joined` : rows && `rows ${rows[0]} to ${rows[1] - 1}`;
  return { from: names, to: slot.name, shape: slot.shape, change: [joined, change].filter(Boolean).join(", ") };
}

function checkOptions(where: string, options: MatchOptions): void {
  if (typeof options !== "object" || options === null) throw new OptionError(`${where}: options must be an object.`);
  const names = ["rename", "keep", "transposed"];
  const stray = Object.keys(options).find((name) => !names.includes(name));
  if (stray !== undefined) throw new OptionError(`${where}: unknown option "${stray}". Known: ${names.join(", ")}.`);
  const { rename = {}, keep = [], transposed = [] } = options;
  if (typeof rename !== "object" || rename === null || Array.isArray(rename)) {
    throw new OptionError(`${where}: rename must be names by names, or null for what is passed over.`);
  }
  const renamed = Object.values(rename).every((one) => one === null || typeof one === "string");
  const texts = [keep, transposed].every((list) => Array.isArray(list) && list.every((one) => typeof one === "string"));
  if (renamed && texts) return;
  throw new OptionError(`${where}: rename must have names or null, keep and transposed be lists of names.`);
}

/** The network's units without what is kept, and what that is. @throws OptionError */
function cut(where: string, net: Network, keep: readonly string[]): { units: Unit[]; kept: string[] } {
  const kept: string[] = [];
  const units = unitsOf(net).flatMap((unit) => {
    const slots = new Map([...unit.slots].filter(([, { name }]) => !keep.some((one) => within(name, one))));
    for (const { name } of unit.slots.values()) if (keep.some((one) => within(name, one))) kept.push(name);
    return slots.size === 0 ? [] : [{ ...unit, slots }];
  });
  for (const one of keep) {
    if (!kept.some((name) => within(name, one)))
      throw new OptionError(`${where}: the network has no "${one}" to keep.`);
  }
  return { units, kept };
}

/**
 * Finds which tensor of a checkpoint is which parameter of a network, without a list of names: by their shapes, by the tree of
 * modules (what belongs to one module lies together in the network too), and by numbers in names, which count up in the order in
 * which the network applies its layers. Queries, keys and values are joined for `multiHeadAttention`, or PyTorch's in_proj split;
 * [inputs, outputs] is turned. Norms have weight and bias, gamma and beta, or scale and shift. Counters are passed over.
 *
 *     const match = matchWeights(net, readFileSync("resnet18.safetensors"));
 *     console.log(match.table);
 *     loadWeights(net, match.weights);
 *
 * Where that leaves a choice, or no way, nothing is guessed: the error lists what could be what, and `rename` says it.
 * @param checkpoint the bytes of a safetensors file (or of several that make up one), or arrays by name
 * @throws ModelError listing what is open or has no partner; OptionError; FileError
 */
export function matchWeights(net: Network, checkpoint: Checkpoint, options: MatchOptions = {}): WeightMatch {
  const where = "matchWeights";
  if (net?.graph === undefined || net.parameterTable === undefined)
    throw new OptionError(`${where}: expected a network.`);
  checkOptions(where, options);
  const tensors = openCheckpoint(where, checkpoint);
  const { rename = {}, keep = [], transposed } = options;
  for (const name of Object.keys(rename)) {
    if (![...tensors.keys()].some((own) => within(own, name))) {
      throw new OptionError(`${where}: rename: the checkpoint has no "${name}".`);
    }
  }
  const gone = Object.keys(rename).filter((name) => rename[name] === null);
  const corrected = Object.keys(rename).filter((name) => rename[name] !== null);
  const passes = (name: string, tensor: StoredTensor) =>
    gone.some((one) => within(name, one)) || (!tensor.real && !corrected.includes(name));
  const passedOver = [...tensors].filter(([name, tensor]) => passes(name, tensor)).map(([name]) => name);
  const chosen = [...tensors].filter(([name]) => !passedOver.includes(name));
  const leaves = leavesOf(new Map(chosen.map(([name, { shape }]) => [name, shape])));
  const { units, kept } = cut(where, net, keep);
  const pairs = decide(where, net, leaves, units, { rename, transposed });
  const weights: Record<string, NDArray> = Object.create(null);
  for (const { source, slot, change } of pairs) {
    const stored = source.names.map((name) => (tensors.get(name) as StoredTensor).read());
    weights[slot.name] = weightsOf(source, slot, change, stored);
  }
  const own = net.named();
  for (const name of kept) weights[name] = array(own[name]);
  const rows = pairs.map(rowOf);
  return { weights, rows, table: tableOf(rows, passedOver, kept), passedOver, kept };
}
