/** The base of every error this library throws on purpose. */
export class LaplaceError extends Error {
  override name: string = "LaplaceError";
}

/** Shapes that do not fit together; the message shows both. */
export class ShapeError extends LaplaceError {
  override name: string = "ShapeError";
}

/** Values that cannot be used: not finite, out of range, not integers where labels are expected. */
export class ValueError extends LaplaceError {
  override name: string = "ValueError";
}

/** An option that does not exist or has an impossible value. */
export class OptionError extends LaplaceError {
  override name: string = "OptionError";
}

/** A result that would not fit the memory budget; refused before anything is computed. */
export class MemoryBudgetError extends LaplaceError {
  override name: string = "MemoryBudgetError";
  /** Bytes the request needs. */
  readonly bytes: number;
  /** Bytes allowed. */
  readonly budget: number;

  constructor(message: string, bytes: number, budget: number) {
    super(message);
    this.bytes = bytes;
    this.budget = budget;
  }
}

/** Bytes as people read them: "776 bytes", "1.2 MiB". */
export function bytesText(bytes: number): string {
  if (bytes < 1024) return `${bytes} bytes`;
  const units = ["KiB", "MiB", "GiB", "TiB", "PiB"];
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), units.length);
  return `${(bytes / 1024 ** power).toPrecision(4)} ${units[power - 1]}`;
}

/** Bytes a result may need unless the caller says otherwise: 1 GiB. */
export const defaultMemoryBudget: number = 2 ** 30;

/** The memory budget that was asked for. @throws OptionError for what is not a number of bytes */
export function readBudget(where: string, budget: number | undefined): number {
  if (budget === undefined) return defaultMemoryBudget;
  if (budget !== Number.POSITIVE_INFINITY) checkNumber(where, "memoryBudget", budget, 0);
  return budget;
}

/** @throws MemoryBudgetError for something that needs more than `budget` bytes; `instead` says what needs less */
export function checkNeed(where: string, what: string, bytes: number, budget: number, instead: string): void {
  if (bytes <= budget) return;
  throw new MemoryBudgetError(
    `${where}: ${what} needs ${bytesText(bytes)} (${bytes} bytes), the memory budget is ${bytesText(budget)}. ${instead} Or raise the option memoryBudget.`,
    bytes,
    budget,
  );
}

/** @throws MemoryBudgetError for float64 results of more than `budget` bytes */
export function checkBytes(where: string, shape: readonly number[], budget: number, instead: string): void {
  const bytes = shape.reduce((product, length) => product * length, 8);
  checkNeed(where, `an array of shape [${shape.join(", ")}]`, bytes, budget, instead);
}

/** Numbers of that shape, zeros. @throws LaplaceError where the runtime has no room for them, with the bytes */
export function newFloats(where: string, shape: readonly number[]): Float64Array;
export function newFloats(
  where: string,
  shape: readonly number[],
  dtype: "float32" | "float64",
): Float32Array | Float64Array;
export function newFloats(where: string, shape: readonly number[], dtype = "float64"): Float32Array | Float64Array {
  const length = shape.reduce((product, n) => product * n, 1);
  try {
    return dtype === "float32" ? new Float32Array(length) : new Float64Array(length);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    const message = `${where}: an array of shape [${shape.join(", ")}] needs ${length * (dtype === "float32" ? 4 : 8)} bytes, more than this runtime can give. Likely cause: a length that is not meant; otherwise ask for fewer at a time.`;
    throw new LaplaceError(message, { cause });
  }
}

/**
 * The runtime lacks or forbids what the library computes with: WebAssembly, its memory, or compiling it (a content security
 * policy without 'wasm-unsafe-eval'). The message says what to change.
 */
export class PlatformError extends LaplaceError {
  override name: string = "PlatformError";
}

/** A matrix that should be positive definite is not. */
export class NotPositiveDefiniteError extends LaplaceError {
  override name: string = "NotPositiveDefiniteError";
  /** The position on the diagonal, from 0, at which factorisation stopped. */
  readonly index: number;
  /** What was left of the diagonal there. */
  readonly pivot: number;

  constructor(index: number, pivot: number, message?: string) {
    super(
      message ??
        `The matrix is not positive definite: pivot ${index} is ${pivot}. Likely causes: a curvature that is only semi-definite (add a prior precision to its diagonal), a negative eigenvalue of an exact Hessian, or rounding in a badly scaled matrix.`,
    );
    this.index = index;
    this.pivot = pivot;
  }
}

/** An exact Hessian that is not positive definite together with the prior: there is no Gaussian with that precision. */
export class IndefiniteHessianError extends NotPositiveDefiniteError {
  override name: string = "IndefiniteHessianError";
  /** The most negative eigenvalue of the precision P = H/(σ²T) + P₀. */
  readonly eigenvalue: number;

  constructor(eigenvalue: number) {
    super(
      0,
      eigenvalue,
      `The exact Hessian with the prior is not positive definite: the most negative eigenvalue of the precision is ${eigenvalue.toPrecision(4)}. Likely cause: the loss is not at a minimum in all weights. Train further, raise the prior precision by more than ${(-eigenvalue).toPrecision(4)}, take clip: true, which sets the Hessian's negative eigenvalues to 0, or curvature: "ggn", which has none.`,
    );
    this.eigenvalue = eigenvalue;
  }
}

/** Training met a loss that is not finite. The network keeps the last parameters whose loss was finite. */
export class NonFiniteLossError extends LaplaceError {
  override name: string = "NonFiniteLossError";
  /** Epoch, from 1. */
  readonly epoch: number;
  /** Batch within the epoch, from 1. */
  readonly batch: number;

  constructor(message: string, epoch: number, batch: number) {
    super(message);
    this.epoch = epoch;
    this.batch = batch;
  }
}

/** Why a file is refused. */
export type FileProblem =
  /** It ends before its header says. */
  | "truncated"
  /** It breaks the format's rules. */
  | "malformed"
  /** Its contents are not those that its checksum was made of. */
  | "altered"
  /** A later version of the library wrote it. */
  | "newer"
  /** It is well formed, but holds something else. */
  | "foreign"
  /** It has values of a kind that this library does not read. */
  | "unsupported";

/** A file that cannot be read. */
export class FileError extends LaplaceError {
  override name: string = "FileError";
  readonly reason: FileProblem;

  constructor(reason: FileProblem, message: string, options?: { cause?: unknown }) {
    super(message);
    this.reason = reason;
    if (options !== undefined) this.cause = options.cause;
  }
}

/** An array that has a parameter's name, but another shape. */
export interface ShapeMismatch {
  readonly name: string;
  /** The parameter's shape. */
  readonly expected: readonly number[];
  /** The array's shape. */
  readonly found: readonly number[];
}

/** Weights by name that do not fit a network. */
export class WeightsError extends LaplaceError {
  override name: string = "WeightsError";
  /** Parameters without an array. */
  readonly missing: readonly string[];
  /** Arrays without a parameter, by their own names. */
  readonly unexpected: readonly string[];
  readonly mismatched: readonly ShapeMismatch[];

  constructor(
    message: string,
    missing: readonly string[],
    unexpected: readonly string[],
    mismatched: readonly ShapeMismatch[],
  ) {
    super(message);
    this.missing = missing;
    this.unexpected = unexpected;
    this.mismatched = mismatched;
  }
}

/** The number of letters to change, add or leave out to make one text of the other (Levenshtein 1966). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[b.length];
}

/** The one of some names that another name may be meant for: one that begins like it, or differs in few letters. */
function nearestOf(name: string, known: readonly string[]): string | undefined {
  const plain = (text: string) => text.toLowerCase().replaceAll(/[^a-z0-9]/g, "");
  const given = plain(name);
  const start = given.slice(0, 3);
  const scored = known.map((candidate) => ({ candidate, score: distance(given, plain(candidate)) }));
  scored.sort((a, b) => a.score - b.score);
  const [best] = scored;
  if (best !== undefined && best.score <= Math.max(1, given.length / 3)) return best.candidate;
  return start === "" ? undefined : known.find((candidate) => plain(candidate).startsWith(start));
}

/**
 * Refuses what is not an object of options, and option names that are not in `known`, naming the nearest one.
 * @param elsewhere what to write instead of options that other functions have
 */
export function checkOptions(
  where: string,
  options: object,
  known: readonly string[],
  elsewhere: Readonly<Record<string, string>> = {},
): void {
  if (options === null || typeof options !== "object" || typeof (options as { then?: unknown }).then === "function") {
    throw new OptionError(`${where}: the options must be an object, not ${valueText(options)}.`);
  }
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const near = nearestOf(name, known);
    const meant = Object.hasOwn(elsewhere, name) ? ` Write ${elsewhere[name]}.` : undefined;
    const hint = meant ?? (near === undefined ? "" : ` Did you mean "${near}"?`);
    throw new OptionError(`${where}: unknown option "${name}".${hint} Known options: ${known.join(", ")}.`);
  }
}

/** Any value as messages show it, cut short; what has no text is called by its kind. */
export function valueText(value: unknown): string {
  if (typeof value === "string") return value.length > 60 ? `${value.slice(0, 60)}…` : value;
  if (typeof value === "function") return "a function";
  if (typeof value === "symbol") return "a symbol";
  if (value === null || typeof value !== "object") return String(value);
  if (typeof (value as { then?: unknown }).then === "function") return "a promise (write await before it)";
  try {
    const text = String(value);
    return text.length > 60 ? `${text.slice(0, 60)}…` : text;
  } catch {
    return "an object";
  }
}

/** Refuses anything but an integer of at least `minimum`. */
export function checkInteger(where: string, name: string, value: unknown, minimum: number): void {
  if (typeof value !== "number" || !Number.isInteger(value) || value < minimum) {
    throw new OptionError(`${where}: ${name} must be an integer of at least ${minimum}, not ${valueText(value)}.`);
  }
}

/** Refuses anything but a finite number of at least `minimum` (more than it where `exclusive`). */
export function checkNumber(
  where: string,
  name: string,
  value: unknown,
  minimum = Number.NEGATIVE_INFINITY,
  exclusive = false,
): void {
  const fits = typeof value === "number" && Number.isFinite(value) && (exclusive ? value > minimum : value >= minimum);
  if (!fits) {
    const bound =
      minimum === Number.NEGATIVE_INFINITY ? "" : exclusive ? ` above ${minimum}` : ` of at least ${minimum}`;
    throw new OptionError(`${where}: ${name} must be a finite number${bound}, not ${valueText(value)}.`);
  }
}

/** Refuses anything but one of `choices`. */
export function checkChoice(where: string, name: string, value: unknown, choices: readonly string[]): void {
  if (typeof value === "string" && choices.includes(value)) return;
  const list = choices.map((choice) => `"${choice}"`).join(", ");
  const near = typeof value === "string" ? nearestOf(value, choices) : undefined;
  const hint = near === undefined ? "" : ` Did you mean "${near}"?`;
  throw new OptionError(
    `${where}: ${name} must be one of ${list}, not ${typeof value === "string" ? JSON.stringify(value) : valueText(value)}.${hint}`,
  );
}

/** Refuses anything but true and false. */
export function checkBoolean(where: string, name: string, value: unknown): void {
  if (typeof value !== "boolean")
    throw new OptionError(`${where}: ${name} must be true or false, not ${valueText(value)}.`);
}

/**
 * Marks an object of which structuredClone, postMessage and the like would make an empty one, its contents being private:
 * they refuse it instead, and Node shows the function's text, which says what to do. Functions cannot be cloned.
 */
export function refuseCloning(object: object, advice: () => string): void {
  (object as { cloning?: () => string }).cloning = advice;
}

/** Makes JSON.stringify throw what `advice` says. What has functions needs no more: they cannot be cloned. */
export function refuseJson<T extends object>(object: T, advice: () => string): T {
  const toJSON = () => {
    throw new LaplaceError(advice());
  };
  return Object.defineProperty(object, "toJSON", { value: toJSON });
}

/** `refuseCloning`, and `refuseJson` of all objects of its kind. */
export function refuseCopies(object: object, advice: () => string): void {
  refuseCloning(object, advice);
  const kind = Object.getPrototypeOf(object);
  if (!Object.hasOwn(kind, "toJSON")) refuseJson(kind, advice);
}
