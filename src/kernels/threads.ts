// A pool of threads for large products. A job is a list of kernel calls that do not depend on each other; the calling
// thread and the workers take them one by one. How a job is cut does not depend on the number of threads, and no sum is
// cut, so results are the same bits with any number. Without shared memory everything runs in the calling thread.

import { type Pointer, reserveBlock, shared, theMemory } from "./heap.ts";

/** One call of an exported kernel. */
export interface KernelCall {
  readonly name: string;
  readonly values: readonly number[];
}

const MAXIMUM_CALLS = 64;
const MAXIMUM_VALUES = 17;
const RECORD = 1 + MAXIMUM_VALUES; // a kernel's number and its values, as doubles

// The words of the control block. STATE counts jobs in its upper bits and the calls taken in its lower ones, so that a
// worker which is late for one job cannot take a call of the next. COUNT, the number of calls, is 0 between jobs: while
// they are written, nothing can be taken.
const STATE = 0;
const COUNT = 1;
const DONE = 2;
// Counts the modules that the workers had; those of an earlier one end when they have nothing in hand.
const MODULES = 3;
const TAKEN_BITS = 8;
const CONTROL_BYTES = 64;

/**
 * What a worker does, as text: it must run from a string, because a library cannot know where its files lie after
 * bundling. It spins for a while before it sleeps: waking takes 70 µs, a job may follow at once.
 */
const workerSource = `
function work({ module, memory, names, control, scratch, flag, modules }) {
  const kernels = new WebAssembly.Instance(module, { env: { memory } }).exports;
  kernels.setScratch(scratch);
  const state = new Int32Array(memory.buffer, control, ${CONTROL_BYTES / 4});
  const calls = new Float64Array(memory.buffer, control + ${CONTROL_BYTES}, ${MAXIMUM_CALLS * RECORD});
  for (let idle = 0; Atomics.load(state, ${MODULES}) === modules; ) {
    const seen = Atomics.load(state, ${STATE});
    const taken = seen & ${2 ** TAKEN_BITS - 1};
    if (taken < Atomics.load(state, ${COUNT})) {
      if (Atomics.compareExchange(state, ${STATE}, seen, seen + 1) !== seen) continue;
      const at = taken * ${RECORD};
      try {
        kernels[names[calls[at]]](...calls.subarray(at + 1, at + ${RECORD}));
      } finally {
        Atomics.add(state, ${DONE}, 1);
        Atomics.notify(state, ${DONE});
      }
      idle = 0;
    } else if (++idle > 2000) {
      Atomics.wait(state, ${STATE}, seen);
      idle = 0;
    }
  }
  Atomics.store(new Int32Array(memory.buffer), flag, 0);
}`;

/** A module's functions. */
export type Exports = Record<string, (...values: number[]) => number>;

/** A module, and its functions on the kernels' memory. */
export interface Instantiated {
  readonly module: WebAssembly.Module;
  readonly exported: Exports;
}

/** The workers of one module, and the memory through which they are told what to do. */
export interface Pool {
  readonly state: Int32Array;
  readonly calls: Float64Array;
  readonly names: readonly string[];
  readonly control: Pointer;
  readonly scratchBytes: number;
  /** Where workers work. Behind each is a word that is not 0 while one does. */
  readonly scratches: Pointer[];
  kernels: Exports;
  module: WebAssembly.Module;
  workers: number;
}

interface WorkerLike {
  unref?(): void;
  on?(event: "error", listener: () => void): void;
  postMessage(message: unknown): void;
}

type NodeProcess = {
  getBuiltinModule?(name: string): unknown;
};

const builtin = <T>(name: string): T | undefined =>
  (globalThis as { process?: NodeProcess }).process?.getBuiltinModule?.(name) as T | undefined;

/** A page's own thread may not sleep; Node's and any worker may. */
const mayWait = !("document" in globalThis);

let wanted: number | undefined;

/** The number of threads that large products use, the calling one included. */
export function threadCount(): number {
  if (!shared) return 1;
  wanted ??=
    builtin<{ availableParallelism(): number }>("node:os")?.availableParallelism() ??
    (globalThis as { navigator?: { hardwareConcurrency?: number } }).navigator?.hardwareConcurrency ??
    1;
  return wanted;
}

/** Sets that number; workers that are more than wanted stay asleep. */
export function setThreadCount(count: number): void {
  wanted = count;
}

/** A pool whose workers run this module. It starts none before the first job. */
export function makePool(module: WebAssembly.Module, exported: Exports, scratchBytes: number): Pool {
  const control = reserveBlock(CONTROL_BYTES + 8 * MAXIMUM_CALLS * RECORD);
  // Views that are kept: there is a pool where memory is shared, and such memory does not move.
  const { buffer } = theMemory();
  const state = new Int32Array(buffer, control, CONTROL_BYTES / 4).fill(0);
  const calls = new Float64Array(buffer, control + CONTROL_BYTES, MAXIMUM_CALLS * RECORD);
  return {
    module,
    scratchBytes,
    control,
    kernels: exported,
    names: Object.keys(exported),
    state,
    calls,
    scratches: [],
    workers: 0,
  };
}

/**
 * Has a pool's jobs done by another module, which has the kernels of jobs, to the same bits. Its workers start with the next job. One of
 * before may do a call of that yet, by the names that all have.
 */
export function giveModule(pool: Pool, module: WebAssembly.Module, exported: Exports): void {
  Object.assign(pool, { module, kernels: exported, workers: 0 });
  Atomics.add(pool.state, MODULES, 1);
  Atomics.notify(pool.state, STATE);
}

/**
 * Starts workers until there are as many threads as wanted. They come into a job when they are ready. Where the runtime
 * refuses one (a content security policy without `worker-src blob:`, Node's --permission without --allow-worker), one
 * thread does everything from then on.
 */
function startWorkers(current: Pool): void {
  try {
    while (current.workers + 1 < threadCount()) {
      startWorker(current);
      current.workers++;
    }
  } catch {
    wanted = 1;
  }
}

/** Room for a worker, of one that has ended if there is some. */
function scratchOf({ scratches, scratchBytes }: Pool): { readonly scratch: Pointer; readonly flag: number } {
  const flagOf = (scratch: Pointer) => (scratch + scratchBytes) / 4;
  const flags = () => new Int32Array(theMemory().buffer);
  let scratch = scratches.find((one) => Atomics.load(flags(), flagOf(one)) === 0);
  if (scratch === undefined) {
    scratch = reserveBlock(scratchBytes + 4);
    scratches.push(scratch);
  }
  Atomics.store(flags(), flagOf(scratch), 1);
  return { scratch, flag: flagOf(scratch) };
}

function startWorker(pool: Pool): void {
  const { module, names, control, state } = pool;
  const modules = Atomics.load(state, MODULES);
  const data = { module, memory: theMemory(), names, control, ...scratchOf(pool), modules };
  const threads = builtin<{ Worker: new (code: string, options: object) => WorkerLike }>("node:worker_threads");
  if (threads !== undefined) {
    const code = `${workerSource}\nwork(process.getBuiltinModule("node:worker_threads").workerData);`;
    const worker = new threads.Worker(code, { eval: true, workerData: data, execArgv: [] });
    // A worker that cannot start takes no call, and so changes no result.
    worker.on?.("error", () => {});
    worker.unref?.();
  } else {
    const code = `${workerSource}\nonmessage = (message) => work(message.data);`;
    const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    const Constructor = (globalThis as unknown as { Worker: new (url: string) => WorkerLike }).Worker;
    new Constructor(url).postMessage(data);
  }
}

/** Runs calls that do not depend on each other, on all threads there are; returns when all are done. */
export function runCalls(current: Pool, calls: readonly KernelCall[]): void {
  const { state, names, kernels } = current;
  if (threadCount() === 1 || calls.length === 1 || calls.length > MAXIMUM_CALLS) {
    for (const { name, values } of calls) kernels[name](...values);
    return;
  }
  startWorkers(current);
  calls.forEach(({ name, values }, i) => {
    current.calls[i * RECORD] = names.indexOf(name);
    current.calls.fill(0, i * RECORD + 1, (i + 1) * RECORD);
    current.calls.set(values, i * RECORD + 1);
  });
  Atomics.store(state, DONE, 0);
  Atomics.store(state, STATE, ((Atomics.load(state, STATE) >> TAKEN_BITS) + 1) << TAKEN_BITS);
  Atomics.store(state, COUNT, calls.length);
  Atomics.notify(state, STATE);
  for (;;) {
    const seen = Atomics.load(state, STATE);
    const taken = seen & (2 ** TAKEN_BITS - 1);
    if (taken >= calls.length) break;
    if (Atomics.compareExchange(state, STATE, seen, seen + 1) !== seen) continue;
    kernels[calls[taken].name](...calls[taken].values);
    Atomics.add(state, DONE, 1);
  }
  // What the workers still have in hand is as short as one call of ours; where their cores are busy, they get this one.
  for (let spins = 0; ; spins++) {
    const done = Atomics.load(state, DONE);
    if (done >= calls.length) break;
    if (spins > 2000 && mayWait) Atomics.wait(state, DONE, done, 1);
  }
  Atomics.store(state, COUNT, 0);
}
