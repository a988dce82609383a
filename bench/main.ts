// npm run bench                      every suite
// npm run bench -- kernels           one of them: kernels, gradients, laplace, lenet, resnet, transformer, classes,
//                                    operator, cores
// npm run bench -- tables            `laplace fit` on tables: those of ../shared, or FILE[:TARGET[:IGNORED,…]] after it
// npm run bench -- scale             fits by worker processes on a queue, beside the pool (needs redis-server)
// npm run bench -- scale-plan        what a fit of 10^9 examples on 1,000 machines costs, by a simulation
//   --splits N                       its splits of each table (default 2)
//   --without NAME                   its peer that is left out, such as process, whose splits take minutes
//   --peers                          against OpenBLAS and LAPACK, jax-js and PyTorch, in the same run; what is missing is
//                                    skipped
//   --filter TEXT                    only the cases whose name contains it
//   --rounds N                       rounds of each comparison (default 11)
//   --threads N                      threads, ours, OpenBLAS's and PyTorch's (default 1)
//   LAPLACE_WIDE_SIMD=0              without wide products, which Node 24 and later has by itself where they take long
//   LAPLACE_BENCH_CLOCK=processor    the processor's time in the place of the clock's, where other work runs beside; =thread: see clock.ts
// Writes a table, and JSON into bench/results/.

import { mkdirSync, writeFileSync } from "node:fs";
import { arch, cpus, release, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { kernels } from "../src/kernels/kernels.ts";
import { becomesWide } from "../src/kernels/long-products.ts";
import { type Case, difference, type Peer } from "./case.ts";
import { runClasses } from "./classes.ts";
import { compare, type Way } from "./compare.ts";
import { runCores } from "./cores.ts";
import { cases as gradientCases } from "./gradients.ts";
import { instantiation } from "./instantiation.ts";
import { cases as kernelCases } from "./kernels.ts";
import { runLaplace } from "./laplace.ts";
import { runLenet } from "./lenet.ts";
import { runOperator } from "./operator.ts";
import { Blas } from "./peers/blas.ts";
import { Jax } from "./peers/jax.ts";
import { Torch } from "./peers/torch.ts";
import { runResnet } from "./resnet.ts";
import { runScale } from "./scale.ts";
import { runScalePlan } from "./scale-plan.ts";
import { heading, row } from "./table.ts";
import { runTables } from "./tables.ts";
import { runTransformer } from "./transformer.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    peers: { type: "boolean", default: false },
    filter: { type: "string", default: "" },
    rounds: { type: "string", default: "11" },
    threads: { type: "string", default: "1" },
    splits: { type: "string", default: "2" },
    without: { type: "string", default: "" },
  },
});
const machine = {
  cpu: cpus()[0]?.model ?? "unknown",
  cores: cpus().length,
  memory: totalmem(),
  system: `${process.platform} ${arch()} ${release()}`,
};
const date = new Date().toISOString();

function write(measured: object): void {
  mkdirSync("bench/results", { recursive: true });
  const file = `bench/results/${date.replace(/[:.]/g, "-")}.json`;
  writeFileSync(file, `${JSON.stringify({ date, machine, node: process.version, ...measured }, null, 2)}\n`);
  console.log(file);
}

const classifiers = {
  laplace: runLaplace,
  lenet: runLenet,
  resnet: runResnet,
  transformer: runTransformer,
  classes: runClasses,
  operator: runOperator,
  cores: runCores,
};
const suites = ["kernels", "gradients", ...Object.keys(classifiers)];
if (positionals[0] === "tables") {
  const { peers, filter, without } = values;
  const setting = {
    named: positionals.slice(1),
    splits: Number(values.splits),
    threads: Number(values.threads),
    peers,
    without,
    filter,
  };
  write({ results: await runTables(setting) });
  process.exit();
}
if (positionals[0] === "scale") {
  write({ results: await runScale(Math.min(5, Number(values.rounds))) });
  process.exit();
}
if (positionals[0] === "scale-plan") {
  runScalePlan();
  process.exit();
}
const wanted = (...names: string[]) => positionals.length === 0 || names.some((name) => positionals.includes(name));
for (const name of positionals) {
  if (suites.includes(name)) continue;
  console.error(`There is no suite "${name}"; there are: ${suites.join(", ")}.`);
  process.exit(2);
}

const start = await instantiation();
// As in Node after half a second of large products.
if (becomesWide()) kernels.useWideSimd();
kernels.setThreads(Number(values.threads));
const { build, threads } = kernels.info();
const blas = values.peers && wanted("kernels") ? await Blas.start(threads) : undefined;
const jax = values.peers && wanted("kernels", "gradients") ? await Jax.start() : undefined;
const torch = values.peers && wanted(...Object.keys(classifiers)) ? await Torch.start(threads) : undefined;
const present = (...peers: (Peer | undefined)[]) => peers.filter((peer) => peer !== undefined);
const peers = [blas, jax, torch].flatMap((peer) => (peer === undefined ? [] : [{ description: peer.description }]));
const setting = { v8: process.versions.v8, build, threads, peers };
console.log(`${machine.cpu}, ${machine.cores} cores, ${machine.system}`);
console.log(`Node ${process.version}, kernels "${build}", ${threads} thread${threads === 1 ? "" : "s"}`);
console.log(`Peers: ${peers.map(({ description }) => description).join("; ") || "none (--peers)"}`);
console.log(
  `Default build "${start.build}": first use ${start.firstUseMilliseconds.toFixed(1)} ms (compiling and instantiating ` +
    `alone: ${start.moduleMilliseconds.toFixed(1)} ms); ${start.bytes} bytes, ${start.gzipBytes} gzipped`,
);
console.log(
  "Buffers are reused, but by jax-js. Ratio: their time / ours, median of the rounds; above 1 we are faster.\n",
);

const rounds = Number(values.rounds);
const results: object[] = [];
/** The cases each reason applies to. */
const reasons = new Map<string, string[]>();

async function runSuite(suite: string, cases: readonly (() => Case)[], entering: readonly Peer[]): Promise<void> {
  if (!wanted(suite)) return;
  let headed = false;
  for (const make of cases) {
    const item = make();
    if (!item.name.includes(values.filter)) continue;
    const others = entering.map((peer): Way => {
      const check = async () => difference(item, await peer.result());
      return { ...peer.way(item.job, item.inputs), difference: check };
    });
    if (item.rival !== undefined) others.unshift(item.rival);
    const comparison = await compare(item.ours, others, rounds);
    const gigaflops = item.flops && item.flops / comparison.seconds / 1e9;
    results.push({ suite, name: item.name, ...comparison, gigaflops });
    if (!headed)
      console.log(heading(suite, [...(item.rival ? ["plain JS"] : []), ...entering.map(({ name }) => name)]));
    headed = true;
    console.log(row(item.name, comparison, item.flops));
    for (const other of comparison.others) {
      if (!("reason" in other)) continue;
      const reason = `${other.name}: ${other.reason}`;
      reasons.set(reason, [...(reasons.get(reason) ?? []), item.name]);
    }
  }
  console.log();
}

await runSuite("kernels", kernelCases, present(blas, jax));
await runSuite("gradients", gradientCases, present(jax));
for (const [suite, run] of Object.entries(classifiers)) {
  if (wanted(suite)) results.push(...(await run({ suite, torch, rounds, filter: values.filter })));
}
for (const peer of [blas, jax, torch]) peer?.stop();
for (const [reason, names] of reasons) console.log(`– ${reason} (${names.join("; ")})`);

write({ ...setting, instantiation: start, results });
