// Inputs of a network that runs elsewhere, and data with them.

import { type ArrayLike, array, dataset, type NDArray, OptionError, ShapeError, ValueError } from "laplace-ts";

/** Inputs of a batch, [B, …]; of a network with several inputs by their names. */
export type Inputs = ArrayLike | Readonly<Record<string, ArrayLike>>;

/** Inputs with their targets, and how much each example counts. */
export interface InputsAndTargets {
  readonly x: Inputs;
  readonly y: ArrayLike;
  readonly weights?: ArrayLike | undefined;
}

type Batches = Iterable<InputsAndTargets> | AsyncIterable<InputsAndTargets>;

/** Data: { x, y }, batches of them (a DataLoader's, a list), async ones, or a function that gives batches. */
export type InputData = InputsAndTargets | Batches | (() => Batches);

/** An input of the file. */
export interface InputInfo {
  readonly name: string;
  /** Element type, by ONNX's number. */
  readonly type: number;
  /** The shape of one example. */
  readonly shape: readonly number[];
}

/** Rows of every input, by name. */
export interface ReadInputs {
  readonly rows: number;
  readonly arrays: readonly NDArray[];
}

const isNested = (x: unknown): x is ArrayLike =>
  Array.isArray(x) ||
  ArrayBuffer.isView(x) ||
  (typeof x === "object" && x !== null && "data" in x && "shape" in x && Array.isArray((x as NDArray).shape));

/** Checks inputs: their names, their shapes, and that they are finite. @throws ShapeError, ValueError, OptionError */
export function readInputs(where: string, infos: readonly InputInfo[], x: Inputs): ReadInputs {
  const list = infos.map(({ name, shape }) => `"${name}" [B${shape.map((n) => `, ${n}`).join("")}]`).join(", ");
  const expected = `${where}: expected inputs ${list}`;
  if (x === null || typeof x !== "object") throw new OptionError(`${expected}, got ${x === null ? "null" : typeof x}.`);
  const named: Readonly<Record<string, ArrayLike>> = isNested(x) ? { [infos[0].name]: x } : (x as never);
  if (isNested(x) && infos.length > 1) throw new OptionError(`${expected}, by their names.`);
  const stray = Object.keys(named).find((name) => !infos.some((one) => one.name === name));
  if (stray !== undefined) throw new OptionError(`${expected}, got "${stray}".`);
  const arrays = infos.map(({ name, shape }) => {
    if (!Object.hasOwn(named, name)) throw new OptionError(`${expected}; "${name}" is missing.`);
    const one = array(named[name]);
    const [rows, ...rest] = one.shape;
    if (one.rank === 0 || rest.length !== shape.length || rest.some((n, i) => n !== shape[i])) {
      throw new ShapeError(`${expected}, got "${name}" of shape [${one.shape.join(", ")}].`);
    }
    if (rows === 0) throw new ShapeError(`${where}: "${name}" has no examples.`);
    const wrong = one.data.findIndex((value) => !Number.isFinite(value));
    if (wrong >= 0) throw new ValueError(`${where}: element ${wrong} of "${name}" is ${one.data[wrong]}.`);
    return one;
  });
  const rows = arrays[0].shape[0];
  const other = arrays.findIndex((one) => one.shape[0] !== rows);
  if (other < 0) return { rows, arrays };
  throw new ShapeError(
    `${where}: "${infos[0].name}" has ${rows} examples, "${infos[other].name}" ${arrays[other].shape[0]}.`,
  );
}

/** Data batch by batch. @throws ValueError for what cannot be data, or none */
export async function* batchesOf(where: string, data: InputData): AsyncGenerator<InputsAndTargets> {
  const given = typeof data === "function" ? data() : data;
  const isOne = typeof given === "object" && given !== null && "x" in given && "y" in given;
  const kinds = Object(given) as Partial<AsyncIterable<unknown> & Iterable<unknown>>;
  if (!isOne && (typeof given === "string" || !(kinds[Symbol.asyncIterator] ?? kinds[Symbol.iterator]))) {
    throw new ValueError(
      `${where}: data must be an object { x, y } of inputs and targets, or batches of them: a DataLoader, a list, an async iterable, or a function that gives one.`,
    );
  }
  let some = false;
  for await (const batch of isOne ? [given] : (given as Batches)) {
    if (batch === null || typeof batch !== "object" || batch.x === undefined || batch.y === undefined) {
      throw new ValueError(`${where}: a batch must be an object { x, y } of inputs and targets.`);
    }
    some = true;
    yield batch;
  }
  if (!some) throw new ValueError(`${where}: there are no data: no batch came.`);
}

/** Arrays below each other. @throws ShapeError */
export function stacked(where: string, name: string, parts: readonly NDArray[]): NDArray {
  const [first] = parts;
  if (parts.length === 1) return first;
  const rest = first.shape.slice(1);
  const size = parts.reduce((sum, part) => sum + part.size, 0);
  const wide = parts.some(({ dtype }) => dtype === "float64");
  const to = wide ? new Float64Array(size) : new Float32Array(size);
  let at = 0;
  for (const { data, shape } of parts) {
    if (String(shape.slice(1)) !== String(rest)) {
      throw new ShapeError(
        `${where}: batches of ${name} differ in shape: [${first.shape.join(", ")}], [${shape.join(", ")}].`,
      );
    }
    to.set(data, at);
    at += data.length;
  }
  return array(to, { shape: [parts.reduce((rows, { shape }) => rows + shape[0], 0), ...rest] });
}

/** Batches as one dataset. @throws ShapeError, ValueError where some have weights and others none */
export function joined(where: string, batches: readonly ReturnType<typeof dataset>[]): ReturnType<typeof dataset> {
  const weights = batches.flatMap((batch) => batch.weights ?? []);
  if (weights.length !== 0 && weights.length !== batches.length) {
    throw new ValueError(`${where}: some batches have weights and others have none; give all of them weights.`);
  }
  const of = (name: "x" | "y") =>
    stacked(
      where,
      name,
      batches.map((batch) => batch[name]),
    );
  return dataset(of("x"), of("y"), weights.length === 0 ? undefined : stacked(where, "weights", weights));
}
