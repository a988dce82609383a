// laplace bench: a few tasks of the library on this machine, the batched way beside one example at a time.

import { Command } from "commander";
import {
  chain,
  crossEntropy,
  dense,
  gradient,
  kernelArray,
  kernels,
  laplace,
  NDArray,
  type Network,
  perSampleGradients,
  Random,
  randomNormal,
  relu,
} from "laplace-ts";
import { Progress, printJson, styled } from "../output/terminal.ts";
import { withJson } from "./options.ts";

/** A task, and the same done one example at a time, where that makes sense. */
interface Case {
  readonly name: string;
  readonly batched: () => unknown;
  readonly oneByOne?: () => unknown;
}

interface Result {
  readonly name: string;
  readonly batchedMs: number;
  readonly oneByOneMs?: number;
}

const BATCH = 128;
/** Each way is timed at least so often and so long, in turns. */
const [LEAST_RUNS, MILLISECONDS] = [5, 1000];

/** The command. */
export function benchCommand(): Command {
  const command = new Command("bench").description(
    "time the library on this machine, batched and one example at a time",
  );
  return withJson(command).action(run);
}

async function run({ json }: { json?: true }): Promise<void> {
  const progress = new Progress(json === true);
  const results: Result[] = [];
  for (const one of await cases()) {
    progress.show(() => one.name);
    results.push(await timed(one));
  }
  progress.done();
  const { build } = kernels.info();
  const about = { node: process.version, kernels: build, threads: kernels.info().threads };
  if (json) {
    printJson({ ...about, results });
    return;
  }
  const width = Math.max(...results.map(({ name }) => name.length));
  const cell = (ms: number) => `${ms.toPrecision(3)} ms`.padStart(14);
  const ratio = (value: number) => `${value.toPrecision(2)} ×`.padStart(8);
  const lines = results.map(({ name, batchedMs, oneByOneMs }) => {
    const beside = oneByOneMs === undefined ? "" : ` ${cell(oneByOneMs)} ${ratio(oneByOneMs / batchedMs)}`;
    return `${name.padEnd(width)} ${cell(batchedMs)}${beside}`;
  });
  const head = `${"".padEnd(width)} ${"batched".padStart(14)} ${"one by one".padStart(14)} ${"ratio".padStart(8)}`;
  const machine = `Medians on this machine: Node ${process.version}, kernels ${build}.`;
  process.stdout.write(`${[styled("bold", machine), styled("dim", head), ...lines].join("\n")}\n`);
}

async function cases(): Promise<Case[]> {
  const net = chain({ inputs: 784, seed: 1 }, dense(256, relu), dense(10));
  const x = randomNormal([BATCH, 784], { seed: 2 });
  const random = new Random(3);
  const y = new NDArray(
    Float64Array.from({ length: BATCH }, () => Math.floor(10 * random.uniform())),
    [BATCH],
  );
  const row = (source: NDArray, i: number) => source.sub(i).reshape(1, ...source.shape.slice(1));
  const each = <T>(of: (x: NDArray, y: NDArray) => T) =>
    Array.from({ length: BATCH }, (_, i) => of(row(x, i), row(y, i)));
  const options = { likelihood: "classification", structure: "kronecker", checks: false } as const;
  const fit = (model: Network, data: { x: NDArray; y: NDArray }) => laplace(model, options).fit(data);
  const posterior = await fit(net, { x, y });
  posterior.predict(x);
  // Written again and again: making 100 MB anew would take longer than filling them.
  const out = kernelArray([BATCH, net.parameterCount], { dtype: net.dtype });
  return [
    {
      name: `gradients of ${BATCH} samples, 784-256-10`,
      batched: () => perSampleGradients(net, crossEntropy, { x, y }, { out }),
      oneByOne: () => each((one, label) => gradient(net, crossEntropy, { x: one, y: label })),
    },
    {
      name: `Kronecker fit of ${BATCH} samples`,
      batched: () => fit(net, { x, y }),
    },
    {
      name: `predictions of ${BATCH} samples with variances`,
      batched: () => posterior.predict(x),
      oneByOne: () => each((one) => posterior.predict(one)),
    },
  ];
}

async function timed({ name, batched, oneByOne }: Case): Promise<Result> {
  const times: [number[], number[]] = [[], []];
  const ways = oneByOne === undefined ? [batched] : [batched, oneByOne];
  for (const way of ways) await way();
  const end = performance.now() + MILLISECONDS;
  while (times[0].length < LEAST_RUNS || performance.now() < end) {
    for (const [i, way] of ways.entries()) {
      const start = performance.now();
      await way();
      times[i].push(performance.now() - start);
    }
  }
  return { name, batchedMs: median(times[0]), ...(oneByOne && { oneByOneMs: median(times[1]) }) };
}

function median(values: number[]): number {
  const sorted = Float64Array.from(values).sort();
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}
