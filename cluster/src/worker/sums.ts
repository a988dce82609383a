// The process that sums: it does shards of fits, one after the other. Its parent renews the leases meanwhile, and when that ends,
// so does this.

import { pathToFileURL } from "node:url";
import { kernels, MemoryBudgetError } from "laplace-ts";
import { errorMessage } from "laplace-ts/executor";
import { digestTask } from "../data/blocks.ts";
import "../data/in-store.ts";
import { isLasting } from "../errors.ts";
import { FitWork } from "../fits/doing.ts";
import type { ShardJob } from "../queue/jobs.ts";
import { openStore } from "../store/open.ts";
import { retrying } from "../store/retrying.ts";
import type { Store } from "../store/store.ts";
import { defineTask } from "../tasks.ts";
import type { FromSums, ToSums } from "./messages.ts";

defineTask(digestTask);

/** Fits that are kept, begun: what their shards have in common is read once. */
const MOST_KEPT = 2;
/** Milliseconds between two words of progress. */
const OFTEN = 500;

/** Tells the parent; one that was killed hears nothing, and then this process ends too. */
const say = (message: FromSums) => process.send?.(message, undefined, undefined, () => {});

class Sums {
  readonly #store: Store;
  readonly #by: string;
  readonly #kept = new Map<string, Promise<FitWork>>();
  #running: AbortController | undefined;

  constructor(store: Store, by: string) {
    this.#store = store;
    this.#by = by;
  }

  stop(): void {
    this.#running?.abort();
  }

  /** Whether it does shards. */
  get busy(): boolean {
    return this.#running !== undefined;
  }

  async do({ fit, ...block }: ShardJob): Promise<void> {
    const controller = new AbortController();
    this.#running = controller;
    let said = 0;
    const onProgress = ({ examples }: { readonly examples: number }) => {
      if (performance.now() - said < OFTEN) return;
      said = performance.now();
      say({ progress: examples });
    };
    try {
      const work = await this.#open(fit);
      say({ done: await work.do(block, this.#by, { signal: controller.signal, onProgress }) });
    } catch (error) {
      say({ failed: errorMessage(error), lasting: isLasting(error) });
    } finally {
      this.#running = undefined;
    }
  }

  /** The fit, begun; the last ones are kept. */
  async #open(fit: string): Promise<FitWork> {
    const opening = this.#kept.get(fit) ?? FitWork.open(this.#store, fit);
    this.#kept.delete(fit);
    this.#kept.set(fit, opening);
    for (const oldest of this.#kept.keys()) if (this.#kept.size > MOST_KEPT) this.#kept.delete(oldest);
    opening.catch(() => this.#kept.delete(fit));
    return opening;
  }
}

let sums: Sums | undefined;

/** Milliseconds between two looks at the memory. */
const LOOK = 200;

/** Ends this process when it takes more than it may: what it kept goes with it, and the shard is tried again. */
function keepWithin(budget: number, by: string): void {
  setInterval(() => {
    const rss = process.memoryUsage.rss();
    if (rss <= budget) return;
    if (sums?.busy) {
      const text = `The process that summed on ${by} took ${Math.ceil(rss / 2 ** 20)} MiB, and may take ${Math.floor(budget / 2 ** 20)}: the share of one of --concurrency in --memory-budget.`;
      say({ failed: errorMessage(new MemoryBudgetError(text, rss, budget)), lasting: false, ends: true });
    }
    process.exit(1);
  }, LOOK).unref();
}

async function hear(message: ToSums): Promise<void> {
  if ("stop" in message) sums?.stop();
  else if ("do" in message) await sums?.do(message.do);
  else {
    const { store, by, imports, budget } = message.begin;
    // Others have the other cores.
    kernels.setThreads(1);
    for (const path of imports) await import(pathToFileURL(path).href);
    sums = new Sums(retrying(openStore("worker", store)), by);
    if (budget !== undefined) keepWithin(budget, by);
    say({ ready: true });
  }
}

process.on("message", (message: ToSums) => {
  hear(message).catch((error) => {
    say({ failed: errorMessage(error), lasting: true });
  });
});
// The parent hears signals, and says what is to be done; a parent that was killed says nothing.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});
process.on("disconnect", () => process.exit(1));
