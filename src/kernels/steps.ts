// Long work in steps, so that a page or a program can do other things between them. One algorithm serves both forms of a call:
// `atOnce` takes all of its steps, `inBursts` some at a time, with turns of the event loop between them.

import { checkOptions, OptionError } from "../errors.ts";
import { beginStack, endStack, onStack, scope } from "./memory.ts";
import { record, recording } from "./tape.ts";

/** Work that pauses between its parts, where it may report how far it is; its result comes at the end. */
export type Steps<Result, Report = never> = Generator<Report | Elsewhere<Report> | undefined, Result, void>;

/** A pause for as long as others work: bursts wait for what it gives. An error is kept for the steps that made it. */
export type Elsewhere<Report> = (
  tell: (report: Report | undefined) => void,
  signal: StopSignal | undefined,
) => Promise<void>;

/** What a promise gives, or the signal's reason if that comes first. */
export function unlessStopped<T>(promise: Promise<T>, signal: StopSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  const { addEventListener, removeEventListener } = signal as Partial<AbortSignal>;
  return new Promise((resolve, reject) => {
    const stop = () => {
      try {
        signal.throwIfAborted();
      } catch (reason) {
        reject(reason);
      }
    };
    addEventListener?.call(signal, "abort", stop);
    stop();
    promise.then(resolve, reject).finally(() => removeEventListener?.call(signal, "abort", stop));
  });
}

/**
 * What others give, whom the steps wait for; undefined where nobody waits, as `atOnce` does.
 * @throws what they reject with
 */
export function* waitedFor<Value, Report>(
  begin: (...given: Parameters<Elsewhere<Report>>) => Promise<Value>,
): Steps<Value | undefined, Report> {
  let value: Value | undefined;
  let failure: readonly [error: unknown] | undefined;
  yield (tell, signal) =>
    begin(tell, signal).then(
      (own) => {
        value = own;
      },
      (error) => {
        failure = [error];
      },
    );
  if (failure !== undefined) throw failure[0];
  return value;
}

/** When no other step begins: on a slow machine, where a step takes 20 ms, others then wait no longer than 26. */
export const BURST_MILLISECONDS = 6;

/** When the burst that runs now is to end; undefined outside of bursts. */
let deadline: number | undefined;
let clock = (): number => performance.now();

/** Tests: a clock of their own, to end bursts where they like; undefined for the runtime's. */
export function setClock(next: (() => number) | undefined): void {
  clock = next ?? (() => performance.now());
}

/** Whether work may pause: it is done in bursts. */
export function inBurst(): boolean {
  return deadline !== undefined;
}

/** All of it, without a pause. */
export function atOnce<Result>(steps: Steps<Result, unknown>): Result {
  const before = deadline;
  deadline = undefined;
  try {
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value as Result;
    }
  } finally {
    deadline = before;
  }
}

/** Results of items, with a pause behind each. */
export function* each<Item, Result>(items: Iterable<Item>, of: (item: Item, place: number) => Result): Steps<Result[]> {
  const results: Result[] = [];
  for (const item of items) {
    results.push(of(item, results.length));
    yield;
  }
  return results;
}

/** The same steps, each of which reports what `report` makes of its report; undefined for nothing. */
export function* reporting<Result, Own, Report>(
  steps: Steps<Result, Own>,
  report: (own: Own | undefined) => Report | undefined,
): Steps<Result, Exclude<Report, undefined>> {
  try {
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value as Result;
      yield typeof value === "function"
        ? (tell, signal) => (value as Elsewhere<Own>)((own) => tell(report(own) as never), signal)
        : (report(value as Own | undefined) as Exclude<Report, undefined> | undefined);
    }
  } finally {
    steps.return(undefined as never);
  }
}

/** The same steps, whose numbers of examples done are reports as callers know them. */
export function reportingExamples<Result>(steps: Steps<Result, number>): Steps<Result, ExamplesReport> {
  return reporting(steps, (examples) => (examples === undefined ? undefined : { examples }));
}

/** What stops long work, as an AbortSignal does. */
export interface StopSignal {
  throwIfAborted(): void;
}

/** How many examples are done. */
export interface ExamplesReport {
  readonly examples: number;
}

/** Options of long work that gives the event loop its turns. */
export interface BurstOptions<Report> {
  /** Called with what the work reports, between two steps. */
  readonly onProgress?: ((report: Report) => void) | undefined;
  /** Stops it between two steps: the signal's reason is thrown, and nothing is changed. */
  readonly signal?: StopSignal | undefined;
}

/** The options of a call, and those of bursts: progress in examples. */
export type InBursts<Options> = Options & BurstOptions<ExamplesReport>;

/** Work that is one step. */
// biome-ignore lint/correctness/useYield: as the others
export function* oneStep<Result>(body: () => Result): Steps<Result> {
  return body();
}

/**
 * Takes the steps in bursts, with a turn of the event loop between them. What they hold of the kernels' memory lies on a stack
 * of its own, so that other calls may come in between; it is released at the end, also of what is stopped.
 * @param milliseconds how long a burst is, asked before each
 */
export async function inBursts<Result, Report>(
  steps: Steps<Result, Report>,
  { onProgress, signal }: BurstOptions<Report> = {},
  milliseconds: () => number = () => BURST_MILLISECONDS,
): Promise<Result> {
  const stack = beginStack();
  let end = clock() + milliseconds();
  const tell = (report: Report | undefined) => {
    if (report) onProgress?.(report);
  };
  const next = () => {
    const before = deadline;
    deadline = end;
    try {
      return steps.next();
    } finally {
      deadline = before;
    }
  };
  try {
    for (;;) {
      signal?.throwIfAborted();
      const { done, value } = onStack(stack, next);
      if (done) return value as Result;
      if (typeof value === "function") await (value as Elsewhere<Report>)(tell, signal);
      else tell(value);
      if (clock() < end) continue;
      await nextTurn();
      end = clock() + milliseconds();
    }
  } finally {
    // Steps that are left give back what they hold.
    onStack(stack, () => steps.return(undefined as never));
    endStack(stack);
  }
}

/**
 * What a body asks of the kernels, in bursts in pieces of some milliseconds, however large it is: what a burst has no time for
 * `body` writes down, reading none of its values. What it allocates is released at the end.
 */
export function* inPieces<Result>(body: () => Result): Steps<Result> {
  if (deadline === undefined || recording()) return scope(body);
  const own = beginStack();
  const end = deadline;
  try {
    const { result, works } = onStack(own, () => record(body, () => clock() >= end));
    for (const work of works) {
      // Writing it down took time, too.
      if (deadline !== undefined && clock() >= deadline) yield;
      if (work.steps) yield* work.steps();
      else work();
    }
    return result();
  } finally {
    endStack(own);
  }
}

/** Resolves after the event loop had its turn. `setTimeout` alone waits 4 ms in browsers when nested. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    const { setImmediate } = globalThis as { setImmediate?: (callback: () => void) => void };
    if (setImmediate !== undefined) {
      setImmediate(resolve);
      return;
    }
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(0);
  });
}

/**
 * The asynchronous form of a call: its steps in bursts, with what is left of the options when those of bursts are taken out.
 * @throws OptionError for a signal or an onProgress of another type; what the steps throw; the signal's reason
 */
export async function asynchronously<Result, Options, Report>(
  where: string,
  options: Options & BurstOptions<Report>,
  stepsOf: (rest: Options) => Steps<Result, Report>,
): Promise<Result> {
  // A value that is not an object is refused as the synchronous form refuses it.
  if (typeof options !== "object" || options === null) return inBursts(stepsOf(options));
  // A call without options of its own has nobody else to read them.
  if (stepsOf.length === 0) checkOptions(where, options, ["onProgress", "signal"]);
  const { onProgress, signal, ...rest } = options;
  return inBursts(stepsOf(rest as Options), readBursts(where, { onProgress, signal }));
}

/** @throws OptionError */
export function readBursts<Report>(where: string, { onProgress, signal }: BurstOptions<Report>): BurstOptions<Report> {
  if (onProgress !== undefined && typeof onProgress !== "function") {
    throw new OptionError(`${where}: onProgress must be a function, not ${typeof onProgress}.`);
  }
  if (signal !== undefined && typeof signal?.throwIfAborted !== "function") {
    throw new OptionError(`${where}: signal must be an AbortSignal, such as the signal of an AbortController.`);
  }
  return { onProgress, signal };
}
