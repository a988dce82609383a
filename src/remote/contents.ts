// Messages as files: what a structured clone keeps, as arrays by name and a document of everything else, from which it comes back
// to the bit.

import { NDArray } from "../array/ndarray.ts";
import { FileError, LaplaceError, valueText } from "../errors.ts";
import { numberJson } from "../io/fields.ts";
import { type Json, type JsonObject, parseJson, quoted } from "../io/json.ts";
import type { Safetensors } from "../io/safetensors.ts";

const DOCUMENT = "laplace-ts.document";
const DEEPEST = 60;

/** Arrays that come back as they were. Integers of 32 bits are float64 in the file. */
const types = { Float64Array, Float32Array, Uint8Array, Uint32Array, Int32Array };
type TypeName = keyof typeof types;

/** The type of an array; undefined for others. */
const typeOf = (view: ArrayBufferView): TypeName | undefined =>
  (Object.keys(types) as TypeName[]).find((name) => view instanceof types[name]);

/** A value without functions, as `pack` makes it, as arrays and texts. @param texts what is kept beside it, by names of one's own */
export function contentsOf(value: unknown, texts: Readonly<Record<string, string>> = {}): Safetensors {
  const tensors: Record<string, NDArray> = {};
  const write = (one: unknown): unknown => {
    if (one === undefined) return { undefined: true };
    if (one === null || typeof one === "boolean" || typeof one === "string") return one;
    if (typeof one === "number") {
      const json = numberJson(one);
      return typeof json === "number" ? json : { number: json };
    }
    if (ArrayBuffer.isView(one)) {
      const type = typeOf(one);
      if (type === undefined) throw new LaplaceError(`Arrays like ${valueText(one)} are not written to files.`);
      const own = one as Float64Array;
      const name = `${Object.keys(tensors).length}`;
      const floats = type === "Float32Array" || type === "Float64Array" ? own : Float64Array.from(own);
      tensors[name] = new NDArray(floats, [own.length]);
      return { array: name, type };
    }
    if (Array.isArray(one)) return { list: one.map(write) };
    if (typeof one !== "object") throw new LaplaceError(`Values like ${valueText(one)} are not written to files.`);
    const entries = Object.entries(one as object).filter(([, own]) => own !== undefined);
    return { object: Object.fromEntries(entries.map(([key, own]) => [key, write(own)])) };
  };
  const document = JSON.stringify(write(value));
  return { tensors, metadata: { ...texts, [DOCUMENT]: document } };
}

/** The value that `contentsOf` wrote. @throws FileError for what it cannot have written */
export function valueFrom(where: string, { tensors, metadata }: Safetensors): unknown {
  const malformed = (what: string) => new FileError("malformed", `${where}: ${what}.`);
  if (!Object.hasOwn(metadata, DOCUMENT)) throw malformed("the file has no document of a shard's work");
  const used = new Set<string>();
  const read = (json: Json): unknown => {
    if (json === null || typeof json !== "object") return json;
    const entries = Object.entries(json as JsonObject);
    const [kind, own] = entries[0] ?? [];
    const one = Array.isArray(json)
      ? undefined
      : entries.length === 1
        ? kind
        : entries.length === 2
          ? "array"
          : undefined;
    if (one === "undefined") return undefined;
    if (one === "number") {
      const numbers: Readonly<Record<string, number>> = {
        NaN: Number.NaN,
        Infinity: 1 / 0,
        "-Infinity": -1 / 0,
        "-0": -0,
      };
      if (typeof own === "string" && Object.hasOwn(numbers, own)) return numbers[own];
    }
    if (one === "list" && Array.isArray(own)) return own.map(read);
    if (one === "object" && own !== null && typeof own === "object" && !Array.isArray(own)) {
      const made: Record<string, unknown> = {};
      for (const [key, value] of Object.entries(own as JsonObject)) {
        // A name of the prototype's would change more than a field.
        Object.defineProperty(made, key, { value: read(value), enumerable: true, writable: true, configurable: true });
      }
      return made;
    }
    if (one === "array") {
      const { array: name, type } = json as JsonObject;
      if (typeof name === "string" && typeof type === "string" && Object.hasOwn(types, type) && !used.has(name)) {
        used.add(name);
        const tensor = Object.hasOwn(tensors, name) ? tensors[name] : undefined;
        const found = tensor?.data;
        if (found === undefined) throw malformed(`the array ${quoted(name)} is not there`);
        return readArray(found, type as TypeName, () => malformed(`the array ${quoted(name)} is not a ${type}`));
      }
    }
    throw malformed("the document has something that is never written");
  };
  return read(parseJson(`${where}: the document`, metadata[DOCUMENT], { depth: DEEPEST, integers: false }));
}

/** The numbers of a file's array as one of that type. */
function readArray(found: Float64Array | Float32Array, type: TypeName, wrong: () => FileError) {
  if (type === "Float32Array" || type === "Float64Array") {
    if (found instanceof types[type]) return found;
    throw wrong();
  }
  const own = types[type].from(found);
  if (found instanceof Float64Array && found.every((x, i) => x === own[i])) return own;
  throw wrong();
}
