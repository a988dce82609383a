// laplace worker: does shards of fits that others asked for.

import { fileURLToPath } from "node:url";
import { Command } from "commander";
import type { WorkerEvent } from "laplace-ts-cluster";
import { UsageError } from "../errors.ts";
import { clusterPackage } from "../fitting/elsewhere.ts";
import { bytes, integer, listed } from "./options.ts";

interface Options {
  readonly queue: string;
  readonly store: string;
  readonly concurrency: number;
  readonly memoryBudget?: number;
  readonly lease: number;
  readonly grace: number;
  readonly stopWhenIdle?: number;
  readonly mixBuilds?: true;
  readonly metrics?: { readonly port: number; readonly host?: string };
  readonly import: string[];
  readonly name?: string;
  readonly json?: true;
}

/** The command. */
export function workerCommand(): Command {
  return new Command("worker")
    .description("do shards of fits that others ask for with --queue")
    .requiredOption(
      "--queue <address>",
      "Redis or Valkey: redis://host:6379, rediss://user:password@host:6380/0 with TLS",
    )
    .requiredOption("--store <place>", "the folder that all machines share, or s3://bucket/prefix")
    .option("--concurrency <n>", "shards at the same time, each in a process of its own", integer(1), 1)
    .option(
      "--memory-budget <bytes>",
      "what its processes may take together, such as 8GiB: one that takes more than its share is ended, and its shard tried again (default: any)",
      bytes,
    )
    .option("--lease <seconds>", "how long a shard stays this worker's when nothing is heard of it", integer(1), 30)
    .option(
      "--grace <seconds>",
      "how long shards may be finished when it is told to end; then they are given back",
      integer(0),
      20,
    )
    .option("--stop-when-idle <seconds>", "end after so long without a shard (default: never)", integer(0))
    .option("--mix-builds", "take shards of fits that allow machines of any arithmetic, and no others")
    .option(
      "--import <file>",
      "a module that defines likelihoods or primitives of your own; may be given again",
      listed,
      [],
    )
    .option("--metrics <[host:]port>", "serve metrics for Prometheus at http://host:port/metrics", addressOf)
    .option("--name <name>", "what it is called in messages and results (default: host and process)")
    .option("--json", "print what happens as lines of JSON")
    .action(run);
}

async function run(options: Options): Promise<void> {
  const { work } = await clusterPackage("laplace worker");
  const stop = new AbortController();
  // It finishes its shards, or gives them back, before it ends; told twice, it ends at once.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.removeAllListeners(signal);
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(1);
      stop.abort();
    });
  }
  const { queue, store, concurrency, memoryBudget, lease, grace, stopWhenIdle, mixBuilds, metrics, name } = options;
  await work({
    queue,
    store,
    concurrency,
    memoryBudget,
    lease: 1000 * lease,
    grace: 1000 * grace,
    stopWhenIdle: stopWhenIdle && 1000 * stopWhenIdle,
    mixBuilds,
    metrics,
    name,
    imports: [...options.import, fileURLToPath(new URL("./machine-tasks.js", import.meta.url))],
    signal: stop.signal,
    onEvent: (event) => process.stdout.write(`${options.json ? jsonLine(event) : textLine(event)}\n`),
  }).catch((error: unknown) => {
    throw error instanceof TypeError ? new UsageError(error.message) : error;
  });
}

/** Where metrics are served, of "9464" or "127.0.0.1:9464". @throws UsageError */
function addressOf(text: string): { readonly port: number; readonly host?: string } {
  const found = /^(?:(?:\[([\da-f:.]+)\]|([\w.-]+)):)?(\d{1,5})$/i.exec(text);
  if (found === null) throw new UsageError(`--metrics takes a port, or host:port, not ${JSON.stringify(text)}.`);
  return { port: Number(found[3]), host: found[1] ?? found[2] };
}

/** How much what happened is of somebody's concern. */
const severities: Partial<Record<WorkerEvent["event"], string>> = { failed: "error", queue: "warn", lost: "warn" };

const jsonLine = ({ event, ...rest }: WorkerEvent) =>
  JSON.stringify({ time: new Date().toISOString(), severity: severities[event] ?? "info", event, ...rest });

/** What happened, for people. */
function textLine({ event, worker, fit, level = 0, place = 0, milliseconds, examples, reason }: WorkerEvent): string {
  const time = new Date().toISOString().slice(11, 19);
  const [first, count] = [place * 2 ** level, 2 ** level];
  const shards = count === 1 ? `shard ${first}` : `shards ${first} to ${first + count - 1}`;
  const what = fit === undefined ? "" : ` ${shards} of ${fit.slice(0, 8)}`;
  const how =
    milliseconds === undefined
      ? ""
      : `, ${examples?.toLocaleString("en")} examples in ${(milliseconds / 1000).toFixed(1)} s`;
  const why = reason === undefined ? "" : `: ${reason}`;
  return `${time} ${worker} ${event}${what}${how}${why}`;
}
