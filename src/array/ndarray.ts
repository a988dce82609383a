// Shaped arrays of floats: row-major, without gaps, in ordinary JavaScript memory.

import {
  checkChoice,
  checkOptions,
  LaplaceError,
  refuseCloning,
  ShapeError,
  ValueError,
  valueText,
} from "../errors.ts";
import {
  bytesPerElement,
  type DType,
  type FloatArray,
  giveBlock,
  type Pointer,
  placeOf,
  shared,
  sharedView,
  takeBlock,
} from "../kernels/memory.ts";
import { indicesOf, isPlainArray, noNumber, type PlainArray, refuseDetached } from "./entries.ts";
import { type FormatOptions, format } from "./format.ts";
import { type Loan, loans, refuseFreed } from "./loans.ts";
import { checkShape, MOST_AXES, sameShape, shapeText, sizeOf } from "./shapes.ts";

export { sameShape, shapeText, sizeOf };

/** Where Node's console.log looks for an object's text. */
export const inspect: unique symbol = Symbol.for("nodejs.util.inspect.custom") as never;

/** Numbers nested to any depth, as `toArray` gives them. */
export type Nested = number | readonly Nested[];

/**
 * An array of float32 or float64 numbers with a shape. Elements lie row-major without gaps in `data`; `sub` and
 * `reshape` share it, everything else copies. An array without axes holds one number.
 *
 * Its numbers go where it goes: `for … of`, `[...a]` and `Float64Array.from(a)` give them row-major; JSON.stringify writes
 * them as nested lists; structuredClone and postMessage make a plain object { shape, size, dtype, data } of it, which every
 * function takes for an array. `array` makes an NDArray of either form again.
 */
export class NDArray implements Iterable<number> {
  /** The length of each axis. */
  readonly shape: readonly number[];
  /** The number of elements. */
  readonly size: number;
  readonly dtype: DType;
  /** The elements, row-major. */
  declare readonly data: FloatArray;
  readonly #elements: FloatArray;
  readonly #place: Pointer | undefined;
  readonly #loan: Loan | undefined;

  /** @throws ShapeError if `data` has not as many elements as `shape`. */
  constructor(data: FloatArray, shape: readonly number[]) {
    if (!(data instanceof Float32Array || data instanceof Float64Array)) {
      throw new ValueError("NDArray: data must be a Float32Array or a Float64Array; `array` takes other numbers.");
    }
    checkShape(shape);
    if (data.length !== sizeOf(shape)) {
      refuseDetached("NDArray", "data", data);
      throw new ShapeError(`${data.length} elements do not fill an array of shape ${shapeText(shape)}.`);
    }
    this.shape = shape.slice();
    this.size = data.length;
    this.dtype = data instanceof Float32Array ? "float32" : "float64";
    this.#elements = data;
    this.#place = placeOf(data);
    this.#loan = loans.get(data);
    const enumerable = this.#place === undefined;
    // Defined once, and by one function: engines keep objects of one form then, whose properties are found at once.
    if (this.#loan !== undefined) Object.defineProperty(this, "data", { get: this.#lent, enumerable });
    else if (enumerable) this.data = data;
    else Object.defineProperty(this, "data", { value: data, enumerable });
    // A clone would hold the kernels' whole memory.
    if (!enumerable) refuseCloning(this, cloneFirst);
  }

  #lent(): FloatArray {
    refuseFreed(this.#loan as Loan, this.shape);
    return this.#elements;
  }

  /** @internal Where the elements lie in the kernels' memory; undefined for those in JavaScript's. */
  get place(): Pointer | undefined {
    if (this.#loan !== undefined) refuseFreed(this.#loan, this.shape);
    return this.#place;
  }

  /**
   * Gives back the memory of an array that `kernelArray` made; a second time does nothing, and other arrays are left to
   * JavaScript. Afterwards this array, and those that `sub` and `reshape` made of it, throw a LaplaceError where their
   * elements are read or written. A typed array that was taken from `data` before must not be used any more: it shows
   * memory that others use.
   */
  free(): void {
    const loan = this.#loan;
    if (loan === undefined || loan.freed || loan.of !== this) return;
    loan.freed = true;
    if (this.#place !== undefined) giveBlock(this.#place, loan.bytes);
  }

  /** The number of axes. */
  get rank(): number {
    return this.shape.length;
  }

  /** One element; negative indices count from the end. @throws ShapeError for an index out of range. */
  at(...indices: number[]): number {
    if (indices.length !== this.rank) {
      throw new ShapeError(`at: ${indices.length} indices for an array of shape ${shapeText(this.shape)}.`);
    }
    let offset = 0;
    indices.forEach((index, axis) => {
      offset = offset * this.shape[axis] + this.#position(index, axis);
    });
    return this.data[offset];
  }

  /** The array at one position of the first axis, sharing its elements: `g.sub(0)` is the first row of a matrix. */
  sub(index: number): NDArray {
    if (this.rank === 0) throw new ShapeError("sub: an array without axes has no parts.");
    const shape = this.shape.slice(1);
    const size = sizeOf(shape);
    const start = this.#position(index, 0) * size;
    const part = this.data.subarray(start, start + size);
    if (this.#loan !== undefined) loans.set(part, this.#loan);
    return new NDArray(part, shape);
  }

  #position(index: number, axis: number): number {
    const length = this.shape[axis];
    const position = typeof index === "number" && index < 0 ? index + length : index;
    if (!Number.isInteger(index) || position < 0 || position >= length) {
      throw new ShapeError(
        `Index ${valueText(index)} is out of range for axis ${axis} of shape ${shapeText(this.shape)}.`,
      );
    }
    return position;
  }

  /** The same elements in another shape, shared; one length may be -1, meaning "what is left". @throws ShapeError */
  reshape(...shape: number[]): NDArray {
    const unknown = shape.indexOf(-1);
    const target = shape.slice();
    if (unknown >= 0) {
      target[unknown] = 1;
      const known = sizeOf(target);
      target[unknown] = known === 0 ? 0 : this.size / known;
    }
    if (!target.every((length) => Number.isInteger(length) && length >= 0) || sizeOf(target) !== this.size) {
      throw new ShapeError(`An array of shape ${shapeText(this.shape)} cannot take the shape ${shapeText(shape)}.`);
    }
    return new NDArray(this.data, target);
  }

  /** This array, or a copy with the other element type. */
  as(dtype: DType): NDArray {
    checkChoice("as", "dtype", dtype, ["float32", "float64"]);
    if (dtype === this.dtype) return this;
    return new NDArray(dtype === "float32" ? new Float32Array(this.data) : new Float64Array(this.data), this.shape);
  }

  /** A copy. */
  clone(): NDArray {
    return new NDArray(this.data.slice(), this.shape);
  }

  /** The single element. @throws ShapeError if there is not exactly one. */
  item(): number {
    if (this.size !== 1) throw new ShapeError(`item: shape ${shapeText(this.shape)} has ${this.size} elements.`);
    return this.data[0];
  }

  /** Nested ordinary arrays of numbers. */
  toArray(): Nested {
    const nest = (axis: number, offset: number, size: number): Nested => {
      if (axis === this.rank) return this.data[offset];
      const length = this.shape[axis];
      const step = length === 0 ? 0 : size / length;
      return Array.from({ length }, (_, index) => nest(axis + 1, offset + index * step, step));
    };
    return nest(0, 0, this.size);
  }

  /** The elements, row-major, whatever the number of axes; `sub(i)` gives a row. */
  [Symbol.iterator](): IterableIterator<number> {
    if (this.data.length !== this.size) refuseDetached("An NDArray", "its elements", this.data);
    return this.data.values();
  }

  /** What JSON.stringify writes: nested lists, as `toArray` gives them. @throws ValueError for NaN and infinities */
  toJSON(): Nested {
    const i = this.data.findIndex((x: number) => !Number.isFinite(x));
    if (i >= 0) {
      const at = shapeText(indicesOf(this.shape, i));
      throw new ValueError(`toJSON: the array has the value ${this.data[i]} at ${at}, which JSON has no number for.`);
    }
    return this.toArray();
  }

  /**
   * @internal The element of an array of one, where a number is expected: other arrays would become NaN without a word.
   * @throws ShapeError
   */
  [Symbol.toPrimitive](hint: string): number | string {
    if (hint !== "number") return this.toString();
    if (this.size === 1) return this.data[0];
    throw new ShapeError(
      `An array of shape ${shapeText(this.shape)} is not a number; \`at\` and \`data\` give its numbers.`,
    );
  }

  /** @internal Refused: what goes through numbered entries would find none. @throws ShapeError */
  get length(): never {
    throw new ShapeError(
      `An NDArray (shape ${shapeText(this.shape)}) has no length: \`shape[0]\` counts its rows, \`size\` its numbers, and \`data\` is the list of them.`,
    );
  }

  /** A heading and the elements, rows and columns cut with ⋮ and … where there are too many. */
  toString(options: FormatOptions = {}): string {
    if (this.#loan?.freed) return `NDArray(${this.dtype}, shape ${shapeText(this.shape)}, freed)`;
    return format(this.data, this.shape, this.dtype, options);
  }

  [inspect](): string {
    return this.toString();
  }
}

const cloneFirst = () =>
  "An array in the kernels' memory is not copied by structuredClone or postMessage: clone() it first";

export function makeFloats(dtype: DType, length: number): FloatArray {
  checkChoice("array", "dtype", dtype, ["float32", "float64"]);
  try {
    return dtype === "float32" ? new Float32Array(length) : new Float64Array(length);
  } catch (cause) {
    throw new LaplaceError(`No memory for an array of ${length} ${dtype} numbers.`, { cause });
  }
}

/** Options of the functions that make arrays. */
export interface ArrayOptions {
  /** Element type; "float64" unless the source is a Float32Array. */
  dtype?: DType;
}

/** What stands for an array in the library's arguments: numbers, typed arrays and arrays, nested to any depth. */
export type ArrayLike =
  | NDArray
  | PlainArray
  | number
  | FloatArray
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | readonly ArrayLike[];

/** The parts of a list, or undefined for a single number. */
function partsOf(value: ArrayLike): readonly ArrayLike[] | undefined {
  if (value instanceof NDArray) {
    if (value.rank === 0) return undefined;
    return value.rank === 1 ? Array.from(value.data) : Array.from({ length: value.shape[0] }, (_, i) => value.sub(i));
  }
  if (isPlainArray(value)) return partsOf(new NDArray(value.data, value.shape));
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) return Array.from(value);
  return Array.isArray(value) ? value : undefined;
}

/**
 * A new array from numbers nested to any depth: ordinary lists, typed arrays, arrays, or lists of them. With `shape`, the
 * same elements in that shape.
 * @throws ShapeError if rows differ in length. @throws ValueError for an entry that is not a number.
 */
export function array(values: ArrayLike, options: ArrayOptions & { shape?: readonly number[] } = {}): NDArray {
  checkOptions("array", options, ["dtype", "shape"]);
  if (options.shape !== undefined && !Array.isArray(options.shape)) checkShape(options.shape);
  return readArray("array", "", values, options);
}

/** `array` on behalf of another function, of its argument `name`. */
function readArray(
  where: string,
  name: string,
  values: ArrayLike,
  options: ArrayOptions & { shape?: readonly number[] } = {},
): NDArray {
  if (values instanceof NDArray || isPlainArray(values)) {
    const { data, shape } = values instanceof NDArray ? values : new NDArray(values.data, values.shape);
    return readArray(where, name, data, { ...options, shape: options.shape ?? shape });
  }
  if (ArrayBuffer.isView(values)) refuseDetached(where, name, values);
  if (values instanceof Float32Array || values instanceof Float64Array) {
    const dtype = options.dtype ?? (values instanceof Float32Array ? "float32" : "float64");
    const data = makeFloats(dtype, values.length);
    data.set(values);
    const flat = new NDArray(data, [values.length]);
    return options.shape === undefined ? flat : flat.reshape(...options.shape);
  }
  const of = name === "" ? "" : ` of ${name}`;
  const shape: number[] = [];
  for (let parts = partsOf(values); parts !== undefined; parts = partsOf(parts[0])) {
    shape.push(parts.length);
    if (parts.length === 0) break;
    if (shape.length > MOST_AXES) {
      throw new ShapeError(
        `${where}: lists${of} are nested ${MOST_AXES} deep. Likely cause: a list that contains itself.`,
      );
    }
  }
  const data = makeFloats(options.dtype ?? "float64", sizeOf(shape));
  let next = 0;
  const read = (value: ArrayLike, axis: number): void => {
    const parts = partsOf(value);
    if (parts !== undefined) {
      if (axis >= shape.length || parts.length !== shape[axis]) {
        throw new ShapeError(
          `${where}: rows differ in length at depth ${axis}${of}: ${parts.length}, where the first has ${shape[axis] ?? "none"}.`,
        );
      }
      for (const part of parts) read(part, axis + 1);
      return;
    }
    const number = value instanceof NDArray ? value.item() : value;
    if (typeof number !== "number") throw noNumber(where, name, shape.slice(0, axis), positionOf(next, axis), number);
    if (axis !== shape.length) throw new ShapeError(`${where}: expected a row, got a number.`);
    data[next++] = number;
  };
  const positionOf = (i: number, axis: number) => Math.floor(i / Math.max(1, sizeOf(shape.slice(axis))));
  read(values, 0);
  const flat = new NDArray(data, shape);
  return options.shape === undefined ? flat : flat.reshape(...options.shape);
}

/** An array of zeros. */
export function zeros(shape: readonly number[], options: ArrayOptions = {}): NDArray {
  checkOptions("zeros", options, ["dtype"]);
  checkShape(shape);
  return new NDArray(makeFloats(options.dtype ?? "float64", sizeOf(shape)), shape);
}

/**
 * An array of zeros in the kernels' memory, until `free()` is called: functions read it and, as their `out`, write into it
 * without a copy. Made once and used again, it saves what a new large array costs, which is mostly its memory's pages.
 * Where that memory is not shared (`kernels.info().sharedMemory`; pages that are not cross-origin isolated) it moves when it
 * grows, and nothing can lie there for long: the array is then an ordinary one, used in the same way.
 */
export function kernelArray(shape: readonly number[], options: ArrayOptions = {}): NDArray {
  checkOptions("kernelArray", options, ["dtype"]);
  checkShape(shape);
  const { dtype = "float64" } = options;
  checkChoice("kernelArray", "dtype", dtype, ["float32", "float64"]);
  const length = sizeOf(shape);
  const bytes = Math.max(length, 1) * bytesPerElement(dtype);
  const data = shared ? sharedView(dtype, takeBlock(bytes), length).fill(0) : makeFloats(dtype, length);
  const loan: Loan = { of: undefined, bytes, freed: false };
  loans.set(data, loan);
  const result = new NDArray(data, shape);
  loan.of = result;
  return result;
}

/** An array of one value. */
export function full(shape: readonly number[], value: number, options: ArrayOptions = {}): NDArray {
  checkOptions("full", options, ["dtype"]);
  const result = zeros(shape, options);
  if (typeof value !== "number") throw noNumber("full", "", [], 0, value);
  result.data.fill(value);
  return result;
}

/** An array argument as an NDArray; NDArrays pass unchanged, plain numbers become float64. */
export function asArray(values: ArrayLike): NDArray {
  return namedArray("array", "", values);
}

/** `asArray` of a function's argument `name`, which errors name. @throws ShapeError, ValueError */
export function namedArray(where: string, name: string, values: ArrayLike): NDArray {
  const view = values instanceof NDArray ? values.data : values;
  if (ArrayBuffer.isView(view)) refuseDetached(where, name, view);
  if (values instanceof NDArray) return values;
  if (typeof values === "number") return new NDArray(Float64Array.of(values), []);
  if (values instanceof Float32Array || values instanceof Float64Array) return new NDArray(values, [values.length]);
  if (isPlainArray(values)) return new NDArray(values.data, values.shape);
  return readArray(where, name, values);
}

/** The element type that holds both. */
export function widest(arrays: readonly NDArray[]): DType {
  return arrays.some((a) => a.dtype === "float64") ? "float64" : "float32";
}
