// npm run bench                      every suite
// npm run bench -- kernels           one of them
//   --peers                          against OpenBLAS and LAPACK in the same run
//   --filter TEXT                    only the cases whose name contains it
//   --rounds N                       rounds of each comparison (default 11)
//   --threads N                      threads on both sides (default 1)
// Writes a table, and JSON into bench/results/.

import { mkdirSync, writeFileSync } from "node:fs";
import { arch, cpus, release, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { kernels } from "../src/kernels/kernels.ts";
import { compare, inProcess, type Way } from "./compare.ts";
import { pairs } from "./gradients.ts";
import { cases, difference } from "./kernels.ts";
import { Blas } from "./peers/blas.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    peers: { type: "boolean", default: false },
    filter: { type: "string", default: "" },
    rounds: { type: "string", default: "11" },
    threads: { type: "string", default: "1" },
  },
});
const suites = ["kernels", "gradients"];
for (const name of positionals) {
  if (suites.includes(name)) continue;
  console.error(`There is no suite "${name}"; there are: ${suites.join(", ")}.`);
  process.exit(2);
}

kernels.setThreads(Number(values.threads));
const { build, threads } = kernels.info();
const blas = values.peers ? await Blas.start(threads) : undefined;
const machine = {
  cpu: cpus()[0]?.model ?? "unknown",
  cores: cpus().length,
  memory: totalmem(),
  system: `${process.platform} ${arch()} ${release()}`,
};
const header = { date: new Date().toISOString(), machine, node: process.version, v8: process.versions.v8, build };
const setting = { threads, peer: blas?.description };
console.log(`${machine.cpu}, ${machine.cores} cores, ${machine.system}`);
console.log(
  `Node ${process.version}, kernels "${build}", ${threads} thread${threads === 1 ? "" : "s"}; peer: ${setting.peer ?? "none (--peers)"}`,
);
console.log(
  "Buffers are reused on both sides. Ratio: their time / ours, median of the rounds; above 1 we are faster.\n",
);
console.log(row("case", "first call", "steady", "GFLOP/s", "theirs", "ratio", "spread", "difference"));

const wanted = (suite: string) => positionals.length === 0 || positionals.includes(suite);
const rounds = Number(values.rounds);
const results: object[] = [];
for (const make of wanted("kernels") ? cases : []) {
  const item = make();
  if (!item.name.includes(values.filter)) continue;
  let peer: Way | undefined;
  if (blas !== undefined) {
    await blas.setup(item.job, item.inputs);
    peer = { name: "OpenBLAS", run: (repetitions) => blas.run(repetitions) };
  }
  const comparison = await compare(inProcess("laplace-ts", item.work), peer, rounds);
  const deviation = blas === undefined ? undefined : difference(item, await blas.result());
  const gigaflops = item.flops / comparison.seconds / 1e9;
  results.push({ name: item.name, ...comparison, gigaflops, deviation });
  console.log(
    row(
      item.name,
      time(comparison.firstCall),
      time(comparison.seconds),
      gigaflops.toFixed(1),
      comparison.peerSeconds === undefined ? "" : time(comparison.peerSeconds),
      comparison.ratio?.toFixed(2) ?? "",
      comparison.spread?.map((ratio) => ratio.toFixed(2)).join("–") ?? "",
      deviation?.toExponential(0) ?? "",
    ),
  );
}
blas?.stop();
for (const make of wanted("gradients") ? pairs : []) {
  const { name, ours, theirs } = make();
  if (!name.includes(values.filter)) continue;
  const comparison = await compare(ours, theirs, rounds);
  results.push({ name, against: theirs.name, ...comparison });
  const { firstCall, seconds, peerSeconds, ratio, spread } = comparison;
  const range = spread?.map((r) => r.toFixed(2)).join("–") ?? "";
  console.log(
    row(name, time(firstCall), time(seconds), "", time(peerSeconds ?? 0), ratio?.toFixed(2) ?? "", range, ""),
  );
  console.log(`  against ${theirs.name}`);
}

mkdirSync("bench/results", { recursive: true });
const file = `bench/results/${header.date.replace(/[:.]/g, "-")}.json`;
writeFileSync(file, `${JSON.stringify({ ...header, ...setting, results }, null, 2)}\n`);
console.log(`\n${file}`);

function time(seconds: number): string {
  return seconds < 1e-3 ? `${(1e6 * seconds).toFixed(1)} µs` : `${(1e3 * seconds).toFixed(2)} ms`;
}

function row(name: string, ...cells: string[]): string {
  const widths = [12, 11, 8, 11, 6, 11, 11];
  return `${name.padEnd(42)}${cells.map((cell, i) => cell.padStart(widths[i])).join("")}`;
}
