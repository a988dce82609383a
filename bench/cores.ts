// One core against two: a call on one thread, on two threads that share its products, and on this thread with a worker; what PyTorch
// gets of a second thread, in the same rounds. Beside the ratios of time, those of processor's time: what sharing costs.

import { Worker } from "node:worker_threads";
import {
  chain,
  connect,
  crossEntropy,
  dense,
  evaluateAsync,
  folds,
  kernels,
  type LaplaceOptions,
  laplace,
  loadPosterior,
  type Network,
  type Posterior,
  type Remote,
  relu,
  train,
  type Workers,
  workers,
} from "../src/index.ts";
import { drawn } from "./classifier.ts";
import { median } from "./compare.ts";
import { lenet } from "./lenet.ts";
import { Torch, type TorchJob } from "./peers/torch.ts";
import { digits, time } from "./table.ts";
import type { Setting } from "./units.ts";

/** A classifier that is fitted to so many examples, and asked of some. */
const nets: readonly (readonly [name: string, net: () => Network, fitted: number, asked: number])[] = [
  ["784-256-10", () => chain({ inputs: 784, seed: 1 }, dense(256, relu), dense(10)), 4096, 512],
  ["LeNet", () => lenet(1), 1024, 1024],
];

/** Fits, how many are asked of each where that is another number, and PyTorch's names for the fit and its predictions. */
const fits: readonly (readonly [string, Partial<LaplaceOptions>, TorchJob, TorchJob?])[] = [
  ["last layer, full", { structure: "full", weights: "lastLayer" }, "full lastLayer", "full lastLayer predict"],
  ["diagonal", { structure: "diagonal" }, "diagonal"],
  ["Kronecker", { structure: "kronecker" }, "kronecker"],
];

/** Rounds, unless fewer are asked for: every row together takes less than ten minutes. */
const MOST_ROUNDS = 5;
/** Seconds of warming up of each way, and calls at least: a worker compiles for itself. */
const [WARM_UP, CALLS] = [0.3, 2];
/** Two cores that are there give as much, at least. */
const TARGET = 1.7;

interface Spent {
  readonly seconds: number;
  /** Processor's time of all threads of this process, and not of Python's. */
  readonly processor: number;
}

type Way = () => Promise<Spent>;

/** Calls a function on so many threads. */
const onThreads =
  (count: number, work: () => Promise<unknown>): Way =>
  async () => {
    kernels.setThreads(count);
    const [start, before] = [performance.now(), process.cpuUsage()];
    await work();
    const { user, system } = process.cpuUsage(before);
    return { seconds: (performance.now() - start) / 1000, processor: (user + system) / 1e6 };
  };

const byTorch = (torch: Torch, job: TorchJob): Way => {
  const way = torch.way(job, 0);
  return async () => ({ seconds: await way.run(1), processor: 0 });
};

/** Times ways by turns. */
async function byTurns(ways: readonly Way[], rounds: number): Promise<Spent[][]> {
  for (const way of ways) {
    for (let [spent, calls] = [0, 0]; calls < CALLS || spent < WARM_UP; calls++) spent += (await way()).seconds;
  }
  const found: Spent[][] = ways.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, way] of ways.entries()) found[i].push(await way());
  }
  return found;
}

/** How many times as fast as the first, of each round, and the second-lowest and -highest. */
function ratioOf(one: readonly Spent[], other: readonly Spent[]) {
  const ratios = one.map(({ seconds }, i) => seconds / other[i].seconds).sort((a, b) => a - b);
  const n = ratios.length;
  return { ratio: median(ratios), spread: [ratios[Math.min(1, n - 1)], ratios[Math.max(0, n - 2)]] };
}

const medianOf = (all: readonly Spent[], what: keyof Spent) => median(all.map((one) => one[what]));

/** An executor that counts shards. */
function counting(pool: Workers) {
  const counted = { shards: 0, on: pool };
  counted.on = {
    ...pool,
    lanes: pool.lanes,
    run: (shards, options) => {
      const take: typeof shards.take = (...found) => {
        counted.shards++;
        shards.take(...found);
      };
      return pool.run({ ...shards, take, prepare: () => shards.prepare() }, options);
    },
  };
  return counted;
}

/** Measures, prints, and gives what was measured: ratios are one thread's time by theirs. */
export async function runCores({ suite, rounds: most, filter, torch: asked }: Setting): Promise<object[]> {
  const rounds = Math.min(MOST_ROUNDS, most);
  const results: object[] = [];
  const [alone, pool] = [1, 2].map((count) => workers({ count }));
  const peers = asked && (await Promise.all([1, 2].map((threads) => Torch.start(threads))));
  const columns = ["one thread", "two threads", "with a worker", "spread", "processor", "shards", "PyTorch, 2 by 1"];
  console.log([suite.padEnd(44), ...columns.map((text) => text.padStart(16))].join(""));
  const measure = async (
    name: string,
    work: (on: Workers) => Promise<unknown>,
    { job, shared = work }: { job?: TorchJob | undefined; shared?: typeof work } = {},
  ) => {
    if (!name.includes(filter)) return;
    const counted = counting(pool);
    const ways = [
      onThreads(1, () => work(alone)),
      onThreads(2, () => work(alone)),
      onThreads(1, () => shared(counted.on)),
      ...(job === undefined ? [] : (peers ?? []).flatMap((peer) => (peer === undefined ? [] : [byTorch(peer, job)]))),
    ];
    kernels.setThreads(1);
    await shared(counted.on);
    const { shards } = counted;
    const [one, two, worker, ...theirs] = await byTurns(ways, rounds);
    const [threads, sharing] = [two, worker].map((other) => ratioOf(one, other));
    const cost = medianOf(worker, "processor") / medianOf(one, "processor");
    const peer = theirs.length === 2 ? ratioOf(theirs[0], theirs[1]) : undefined;
    const best = Math.max(threads.ratio, sharing.ratio);
    const cells = [
      time(medianOf(one, "seconds")),
      digits(threads.ratio),
      `${digits(sharing.ratio)}${best >= TARGET ? " met" : ""}`,
      sharing.spread.map(digits).join("–"),
      digits(cost),
      `${shards}`,
      peer === undefined ? "" : digits(peer.ratio),
    ];
    console.log([name.padEnd(44), ...cells.map((text) => text.padStart(16))].join("").trimEnd());
    results.push({ suite, name, one, two, worker, theirs, shards, threads, sharing, cost, peer });
  };

  for (const [name, make, fitted, points] of nets) {
    const net = make();
    const data = drawn(net, fitted);
    const { x, y } = data;
    for (const peer of peers ?? []) {
      await peer?.load({
        network: name,
        batch: 128,
        theta: net.parameters.data,
        buffers: net.buffers.data,
        x: x.data,
        y: Float32Array.from(y.data),
        points: data.points.data,
      });
    }
    for (const [what, options, job, predicts] of fits) {
      const all = { likelihood: "classification", checks: false, ...options } as const;
      const la = laplace(net, all);
      await measure(`${name}: fit, ${what}, ${fitted}`, (on) => la.fit({ x, y }, { on }), { job });
      // Of 2570 weights with all covariances it is work for a second already.
      const count = predicts !== undefined && net.parameterCount > 1e5 ? 128 : points;
      const some = drawn(net, count);
      const posterior = await la.fit({ x, y }, { on: alone });
      await measure(`${name}: predict ${count}, ${what}`, (on) => posterior.predictAsync(some.x, { on }), {
        job: count === 128 ? predicts : undefined,
      });
      const scored = { x: some.x, y: some.y };
      await measure(`${name}: evaluate ${count}, ${what}`, (on) => evaluateAsync(posterior, scored, { on }));
      if (predicts !== undefined) continue;
      const tuned = { on: scored, steps: 4, onWarning: () => {} };
      await measure(`${name}: tune on ${count}, ${what}`, (on) =>
        posterior.optimizePriorAsync({ ...tuned, workers: on }),
      );
    }
    for (const batchSize of [128, 512]) {
      const epoch = (on: Workers) => train(net.clone(), { x, y }, { loss: crossEntropy, epochs: 1, batchSize, on });
      const job = batchSize === 128 ? "epoch" : undefined;
      await measure(`${name}: epoch of Adam, batches of ${batchSize}`, epoch, { job });
    }
    await measureFolds(name, net, { x, y }, measure);
  }
  for (const peer of peers ?? []) peer?.stop();
  pool.close();
  console.log();
  return results;
}

/** Two folds, trained for an epoch and fitted: one after the other, or each on a worker of its own. */
async function measureFolds(
  name: string,
  net: Network,
  data: Pick<ReturnType<typeof drawn>, "x" | "y">,
  measure: (name: string, work: (on: Workers) => Promise<unknown>, more: { shared: () => Promise<unknown> }) => unknown,
): Promise<void> {
  const training = { loss: crossEntropy, epochs: 1, batchSize: 128 };
  const options = { likelihood: "classification", structure: "diagonal", checks: false } as const;
  const alone = (on: Workers) =>
    folds(data, 2, async (rest) => {
      const own = net.clone();
      await train(own, rest, { ...training, on });
      return laplace(own, options).fit(rest, { on });
    });
  const remotes: Remote[] = await Promise.all(
    [0, 1].map(() => connect(new Worker(new URL("../src/worker.js", import.meta.url)) as never, { threads: 1 })),
  );
  const onWorker = async (remote: Remote, rest: Parameters<Parameters<typeof folds>[2]>[0]) => {
    const own = await remote.send(net.clone());
    await remote.train(own, rest, training);
    const posterior = await remote.laplace(own, options).fit(rest);
    return loadPosterior(await remote.savePosterior(posterior)) as Posterior;
  };
  const side = () => folds(data, 2, (rest, fold) => onWorker(remotes[fold], rest), { concurrency: 2 });
  await measure(`${name}: two folds, trained and fitted`, alone, { shared: side });
  for (const remote of remotes) remote.close();
}
