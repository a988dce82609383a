// Weights from elsewhere into a network, by name.

import { inType } from "../array/arguments.ts";
import { isPlainArray, type PlainArray } from "../array/entries.ts";
import { asArray, NDArray, sameShape, shapeText } from "../array/ndarray.ts";
import { checkBoolean, checkOptions, OptionError, type ShapeMismatch, WeightsError } from "../errors.ts";
import { checkIsNetwork, type Network } from "../network/network.ts";
import { quoted } from "./json.ts";
import { openFile, type StoredTensor } from "./safetensors.ts";

/** Options of `loadWeights`. */
export interface WeightsOptions {
  /** What the names of the network's arrays begin with; it is taken off, and other arrays are passed over. */
  prefix?: string;
  /** The parameter's name for an array's name, prefix taken off; undefined passes the array over. */
  rename?: (name: string) => string | undefined;
  /** Whether every parameter and every array must find its partner (default true). */
  strict?: boolean;
}

/** What matched and what did not. */
export interface LoadedWeights {
  /** The parameters that were set. */
  readonly loaded: readonly string[];
  /** Parameters without an array; they keep their values. */
  readonly missing: readonly string[];
  /** Arrays without a parameter, by their own names. */
  readonly unexpected: readonly string[];
  /** Arrays of another shape than their parameter; it keeps its values. */
  readonly mismatched: readonly ShapeMismatch[];
}

/** The arrays that are meant for the network, with the names of their parameters. */
function choose(where: string, tensors: ReadonlyMap<string, StoredTensor>, options: WeightsOptions) {
  const { prefix = "", rename = (name: string) => name } = options;
  if (typeof prefix !== "string" || typeof rename !== "function") {
    throw new OptionError(`${where}: prefix must be a text, and rename a function of a name.`);
  }
  const chosen = new Map<string, { own: string; tensor: StoredTensor }>();
  for (const [own, tensor] of tensors) {
    if (!own.startsWith(prefix)) continue;
    const name = rename(own.slice(prefix.length));
    if (name === undefined) continue;
    const other = chosen.get(name)?.own;
    if (other !== undefined) {
      throw new OptionError(`${where}: ${quoted(other)} and ${quoted(own)} are both renamed to ${quoted(name)}.`);
    }
    chosen.set(name, { own, tensor });
  }
  return chosen;
}

function describe({ missing, unexpected, mismatched }: LoadedWeights): string {
  const names = (list: readonly string[]) => list.map(quoted).join(", ");
  const lines = [];
  if (missing.length > 0) lines.push(`Missing: ${names(missing)}.`);
  if (unexpected.length > 0) lines.push(`Unexpected: ${names(unexpected)}.`);
  for (const { name, expected, found } of mismatched) {
    const transposed = expected.length === 2 && sameShape(expected, found.toReversed());
    const hint = transposed ? " (a weight is [outputs, inputs]; this looks like its transpose)" : "";
    lines.push(`${quoted(name)} has the shape ${shapeText(expected)}, its array ${shapeText(found)}${hint}.`);
  }
  return lines.join(" ");
}

/**
 * Sets a network's parameters and running statistics from arrays by name, as PyTorch names and shapes them ("0.weight" [out, in], "0.bias" [out]).
 * Nothing is transposed or cut. Without `strict`, what fits is loaded and the rest is listed. Only arrays that are loaded are
 * looked at: types, shapes and values of others do not matter.
 *
 * PyTorch's Sequential counts every layer, a network here those with parameters alone: after a relu or flatten, give a layer
 * PyTorch's number by its option `name` ("4"), or use `rename`. A norm's weight and bias are "scale" and "shift" here, and
 * num_batches_tracked is passed over: `rename: (name) => name.endsWith("tracked") ? undefined : name.replace("bn1.weight",
 * "bn1.scale").replace("bn1.bias", "bn1.shift")`. Attention and recurrent layers say what their parts are called.
 * @param weights arrays by name, or the bytes of a safetensors file
 * @throws WeightsError listing everything that did not match (strict), ValueError for values that are not finite,
 *   FileError, OptionError; the network is then unchanged
 */
export function loadWeights(
  net: Network,
  weights: Readonly<Record<string, NDArray | PlainArray>> | Uint8Array | ArrayBuffer,
  options: WeightsOptions = {},
): LoadedWeights {
  const where = "loadWeights";
  checkOptions(where, options, ["prefix", "rename", "strict"]);
  checkIsNetwork(where, net);
  const { strict = true } = options;
  checkBoolean(where, "strict", strict);
  const stored = isRecord(weights) ? storedIn(where, weights) : openFile(where, weights).tensors;
  const chosen = choose(where, stored, options);

  const loaded: string[] = [];
  const missing: string[] = [];
  const mismatched: ShapeMismatch[] = [];
  const parameters = net.parameters.data.slice();
  const buffers = net.buffers.data.slice();
  const targets = [
    ...net.parameterTable.map((parameter) => ({ ...parameter, into: parameters })),
    ...net.bufferTable.map((buffer) => ({ ...buffer, into: buffers })),
  ];
  for (const { name, shape, offset, into } of targets) {
    const tensor = chosen.get(name)?.tensor;
    if (tensor === undefined) missing.push(name);
    else if (!sameShape(tensor.shape, shape)) mismatched.push({ name, expected: shape, found: tensor.shape });
    else {
      into.set(inType(where, name, tensor.read(), net.dtype).data, offset);
      loaded.push(name);
    }
  }
  const known = new Set(targets.map(({ name }) => name));
  const unexpected = [...chosen].filter(([name]) => !known.has(name)).map(([, { own }]) => own);
  const result = { loaded, missing, unexpected, mismatched };
  if (strict && missing.length + unexpected.length + mismatched.length > 0) {
    throw new WeightsError(
      `${where}: the weights do not fit the network. ${describe(result)} (strict: false loads what fits.)`,
      missing,
      unexpected,
      mismatched,
    );
  }
  net.parameters.data.set(parameters);
  net.buffers.data.set(buffers);
  return result;
}

/** Arrays by name, each looked at when it is needed. */
function storedIn(where: string, arrays: Readonly<Record<string, NDArray | PlainArray>>): Map<string, StoredTensor> {
  return new Map(
    Object.keys(arrays).map((name): [string, StoredTensor] => {
      const read = () => {
        const array: unknown = arrays[name];
        if (array instanceof NDArray) return array;
        if (isPlainArray(array)) return asArray(array);
        throw new OptionError(`${where}: ${quoted(name)} must be an NDArray.`);
      };
      return [
        name,
        {
          read,
          get shape() {
            return read().shape;
          },
        },
      ];
    }),
  );
}

/** Whether these are arrays by name, and not a file's bytes. */
function isRecord(weights: object): weights is Readonly<Record<string, NDArray | PlainArray>> {
  const bytes = ArrayBuffer.isView(weights) || Object.prototype.toString.call(weights) === "[object ArrayBuffer]";
  return !bytes && weights !== null && typeof weights === "object";
}
