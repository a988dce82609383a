// laplace jobs: what workers do for fits on many machines.

import { setTimeout as wait } from "node:timers/promises";
import { Command } from "commander";
import type { ClusterNow, FitNow } from "laplace-ts-cluster";
import { clusterPackage } from "../fitting/elsewhere.ts";
import { plain, printJson } from "../output/terminal.ts";
import { integer } from "./options.ts";

interface Options {
  readonly queue: string;
  readonly store: string;
  readonly every?: number;
  readonly mixBuilds?: true;
  readonly json?: true;
}

/** The command. */
export function jobsCommand(): Command {
  return new Command("jobs")
    .description("show fits on many machines: shards, workers, rate, remaining time, failures")
    .requiredOption("--queue <address>", "Redis or Valkey: redis://host:6379")
    .requiredOption("--store <place>", "the folder that all machines share, or s3://bucket/prefix")
    .option("--every <seconds>", "show it again and again (default: once)", integer(1))
    .option("--mix-builds", "fits that allow machines of any arithmetic")
    .option("--json", "print it as JSON, a line each time")
    .action(run);
}

async function run({ queue, store, every, mixBuilds, json }: Options): Promise<void> {
  const { openStore, Watch } = await clusterPackage("laplace jobs");
  const watch = new Watch("jobs", queue, openStore("jobs", store), mixBuilds);
  /** What was done at the first look, and when that was. */
  const first = new Map<string, { readonly at: number; readonly was: FitNow }>();
  try {
    for (let again = false; ; again = true) {
      const now = await watch.now();
      const at = performance.now();
      for (const one of now.fits) if (!first.has(one.fit)) first.set(one.fit, { at, was: one });
      const rateOf: RateOf = (one, what) => {
        const before = first.get(one.fit);
        return before === undefined || at <= before.at ? 0 : (1000 * (one[what] - before.was[what])) / (at - before.at);
      };
      const ratedBy = (one: FitNow) => ({ ...one, examplesPerSecond: rateOf(one, "examplesDone") });
      if (json) printJson({ ...now, fits: now.fits.map(ratedBy) });
      else process.stdout.write(`${again && process.stdout.isTTY ? "\x1b[H\x1b[J" : ""}${tableOf(now, rateOf)}\n`);
      if (every === undefined) return;
      await wait(1000 * every);
    }
  } finally {
    await watch.close();
  }
}

/** How many examples, or shards, of a fit are done in a second; 0 where it is not known. */
type RateOf = (fit: FitNow, what: "examplesDone" | "done") => number;

/** What there is, as a table. */
export function tableOf({ workers, fits }: ClusterNow, rateOf: RateOf): string {
  const rows = fits.map((one) => {
    const rate = rateOf(one, "examplesDone");
    // Work on data before a fit, such as counts of cells, has shards without examples.
    const seconds =
      one.examples > 0 ? (one.examples - one.examplesDone) / rate : (one.shards - one.done) / rateOf(one, "done");
    return [
      one.fit.slice(0, 8),
      `${one.done.toLocaleString("en")} of ${one.shards.toLocaleString("en")}`,
      `${one.active}`,
      `${one.waiting}`,
      `${one.failed.length}`,
      rate > 0 ? `${Math.round(rate).toLocaleString("en")}/s` : "",
      one.done >= one.shards ? "done" : Number.isFinite(seconds) ? timeText(seconds) : "",
    ];
  });
  const all = [["fit", "shards done", "active", "waiting", "failing", "examples", "left"], ...rows];
  const widths = all[0].map((_, i) => Math.max(...all.map((row) => row[i].length)));
  const lines = all.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]))
      .join("  ")
      .trimEnd(),
  );
  const failures = fits.flatMap(({ fit, failed }) =>
    failed.slice(0, 10).map(({ shard, attempts, reason }) => {
      return `${fit.slice(0, 8)} shard ${shard}, tried ${attempts === 1 ? "once" : `${attempts} times`}: ${plain(reason)}`;
    }),
  );
  const who =
    workers.length === 0
      ? "no worker listens"
      : `${workers.length === 1 ? "1 worker" : `${workers.length} workers`}: ${workers.map(plain).join(", ")}`;
  return [who, ...(fits.length === 0 ? ["no fits"] : lines), ...failures].join("\n");
}

/** Seconds as people read them. */
function timeText(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
