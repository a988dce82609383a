// What `npm run bench -- scale` runs in processes of their own, with the packages as they are built.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { chain, dense, type Executor, laplace, NDArray, randomNormal, tanh, workers } from "laplace-ts";
import { cluster, folderStore, work } from "laplace-ts-cluster";

const [what, queue, store, count] = process.argv.slice(2);
const isQueue = queue.startsWith("redis:");
const milliseconds = async (times: number, ask: (i: number) => Promise<unknown>) => {
  const start = performance.now();
  for (let i = 0; i < times; i++) await ask(i);
  return (performance.now() - start) / times;
};

/** A network for images of 28 by 28, and as many of them as some seconds need. */
async function fit(): Promise<void> {
  const net = chain({ inputs: 784, seed: 1 }, dense(128, tanh), dense(64, tanh), dense(10));
  const examples = 16_384;
  const y = new NDArray(
    Float64Array.from({ length: examples }, (_, i) => i % 10),
    [examples],
  );
  const data = { x: randomNormal([examples, 784], { seed: 2, dtype: "float32" }), y };
  const pool = queue.startsWith("pool") ? workers({ count: 2 }) : undefined;
  const machines = isQueue ? cluster({ queue, store }) : undefined;
  // How long it takes to write the data: until the first word of progress there is nothing else.
  const counted = { shards: 0, first: 0, last: 0 };
  const on: Executor | undefined = machines && {
    run: (shards, options) => {
      const { jobs } = shards;
      const all = function* () {
        counted.first = performance.now();
        for (const job of jobs) {
          yield job;
          counted.shards++;
        }
        counted.last = performance.now();
      };
      return machines.run({ ...shards, jobs: { [Symbol.iterator]: all } }, options);
    },
  };
  const approximation = laplace(net, { likelihood: "classification", structure: "kronecker", checks: false });
  const start = performance.now();
  const used = process.cpuUsage();
  await approximation.fit(data, { on: on ?? pool });
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(used);
  await machines?.close();
  const found: Record<string, number> = { seconds, processor: (user + system) / 1e6, shards: counted.shards };
  if (isQueue) {
    const [name] = readdirSync(join(store, "fits"));
    const sums = readdirSync(join(store, "fits", name, "sums"));
    const folder = folderStore(store);
    const sum = `fits/${name}/sums/${sums[0]}`;
    const bytes = (await folder.get(sum)) as Uint8Array;
    const content = readdirSync(join(store, "content"));
    const sizes = await Promise.all(content.map(async (one) => (await folder.stat(`content/${one}`))?.size ?? 0));
    found.shardBytes = sizes.sort((a, b) => a - b)[sizes.length >> 1];
    found.sumBytes = bytes.length;
    found.writeMilliseconds = (counted.last - counted.first) / counted.shards;
    // Jobs are as large as the smallest sums that are there.
    found.jobs = sums.filter((one) => one.slice(0, 2) === sums[0].slice(0, 2)).length;
    found.putMilliseconds = await milliseconds(20, (i) => folder.putIfAbsent(`measured/${i}`, bytes));
    found.getMilliseconds = await milliseconds(20, (i) => folder.get(`measured/${i}`));
    found.statMilliseconds = await milliseconds(20, (i) => folder.stat(`measured/${i}`));
  }
  console.log(JSON.stringify(found));
  process.exit(0);
}

/** So many shards of one example each, made as they are asked for: what is kept is what whoever asks keeps of them. */
async function memory(): Promise<void> {
  const net = chain({ inputs: 8, seed: 1 }, dense(16, tanh), dense(2));
  const machines = cluster({ queue, store });
  const examples = Number(count);
  const dtype = "float32";
  const batch = (i: number) => ({
    x: randomNormal([1, 8], { seed: i, dtype }),
    y: randomNormal([1, 2], { seed: i + 1, dtype }),
  });
  interface Shard {
    readonly batches: readonly { readonly inputs: NDArray; readonly targets: NDArray }[];
  }
  const on: Executor = {
    run: (shards, options) => {
      const [given] = shards.jobs;
      const { batches, ...rest } = given as Shard;
      const each = function* () {
        for (let start = 0; start < examples; start++) {
          const { x: inputs, y: targets } = batch(start);
          yield { ...rest, start, most: 1, batches: [{ ...batches[0], inputs, targets }] } as typeof given;
        }
      };
      return machines.run({ ...shards, jobs: { [Symbol.iterator]: each } }, options);
    },
  };
  let [most, resident] = [0, 0];
  const look = () => {
    globalThis.gc?.();
    const { heapUsed, external, rss } = process.memoryUsage();
    most = Math.max(most, heapUsed + external);
    resident = Math.max(resident, rss);
  };
  const timer = setInterval(look, 200);
  const start = performance.now();
  await laplace(net, { likelihood: "regression", structure: "diagonal", checks: false }).fit(batch(0), { on });
  look();
  clearInterval(timer);
  const seconds = (performance.now() - start) / 1000;
  await machines.close();
  console.log(JSON.stringify({ megabytes: most / 1e6, resident: resident / 1e6, seconds }));
  process.exit(0);
}

if (what === "worker") {
  await work({ queue, store, onEvent: ({ event }) => event === "ready" && console.log("ready") });
} else if (what === "fit") await fit();
else await memory();
