// One core against two: a call on one thread, on two threads that share its products, and on this thread with a worker.

import {
  chain,
  crossEntropy,
  dense,
  evaluateAsync,
  kernels,
  laplace,
  type Network,
  relu,
  train,
  workers,
} from "../src/index.ts";
import { drawn } from "./classifier.ts";
import { compare, type Way } from "./compare.ts";
import { lenet } from "./lenet.ts";
import { digits, time } from "./table.ts";
import type { Setting } from "./units.ts";

/** What is measured: the network, and how many examples it is fitted to, and asked of. */
const nets: readonly (readonly [name: string, net: () => Network, fitted: number, asked: number])[] = [
  ["784-256-10", () => chain({ inputs: 784, seed: 1 }, dense(256, relu), dense(10)), 4096, 512],
  ["LeNet", () => lenet(1), 1024, 1024],
];

const fits = [
  ["last layer, full", { structure: "full", weights: "lastLayer" }],
  ["diagonal", { structure: "diagonal" }],
  ["Kronecker", { structure: "kronecker" }],
] as const;

/** Calls a function on so many threads. */
const onThreads = (name: string, count: number, work: () => Promise<unknown>): Way => ({
  name,
  async run(repetitions) {
    kernels.setThreads(count);
    const start = performance.now();
    for (let i = 0; i < repetitions; i++) await work();
    return (performance.now() - start) / 1000;
  },
});

/** Measures, prints, and gives what was measured: ratios are one thread's time by theirs. */
export async function runCores({ suite, rounds, filter }: Setting): Promise<object[]> {
  const results: object[] = [];
  const on = workers({ count: 2 });
  const alone = workers({ count: 1 });
  const columns = ["one thread", "two threads", "ratio (spread)", "with a worker", "ratio (spread)"];
  console.log([suite.padEnd(44), ...columns.map((text) => text.padStart(18))].join(""));
  const measure = async (name: string, work: (on: typeof alone) => Promise<unknown>, shares = true) => {
    if (!name.includes(filter)) return;
    const two = onThreads("two threads", 2, () => work(alone));
    const pool = onThreads("with a worker", 1, () => work(on));
    const found = await compare(
      onThreads("one thread", 1, () => work(alone)),
      shares ? [two, pool] : [two],
      rounds,
    );
    const cells = found.others.flatMap((other) => {
      if ("reason" in other) return ["–", "–"];
      // How many times as fast as one thread.
      const [low, high] = other.spread.map((x) => digits(1 / x));
      return [time(other.seconds), `${digits(1 / other.ratio)} (${high}–${low})`];
    });
    console.log([name.padEnd(44), ...[time(found.seconds), ...cells].map((text) => text.padStart(18))].join(""));
    results.push({ suite, name, ...found });
  };
  for (const [name, make, fitted, asked] of nets) {
    const net = make();
    const { x, y } = drawn(net, fitted);
    const { x: points, y: labels } = drawn(net, asked);
    for (const [what, options] of fits) {
      const la = laplace(net, { likelihood: "classification", checks: false, ...options });
      await measure(`${name}: fit, ${what}, ${fitted}`, (by) => la.fit({ x, y }, { on: by }));
      const posterior = await la.fit({ x, y }, { on: alone });
      await measure(`${name}: predict ${asked}, ${what}`, (by) => posterior.predictAsync(points, { on: by }));
      const scored = { x: points, y: labels };
      await measure(`${name}: evaluate ${asked}, ${what}`, (by) => evaluateAsync(posterior, scored, { on: by }));
    }
    const epoch = () => train(net.clone(), { x, y }, { loss: crossEntropy, epochs: 1, batchSize: 128 });
    await measure(`${name}: epoch of Adam, ${fitted}`, epoch, false);
  }
  on.close();
  console.log();
  return results;
}
