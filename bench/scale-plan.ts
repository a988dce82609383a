// npm run bench -- scale-plan: what a fit of up to 10⁹ examples on up to 1,000 machines costs, by the simulation of scale-simulation.ts,
// fed with what `npm run bench -- scale` measured. docs/scale.md has its figures.

import { type ScalePlan, type ScaleResult, simulate } from "./scale-simulation.ts";

/** Microseconds. */
const [MS, SECOND] = [1000, 1_000_000];

/** Of a network of 784, 128, 64 and 10 with Kronecker factors, on the machine of the measurement. */
const measured = {
  /** Examples of a shard, bytes of its data and of a sum, and how long a core needs for it. */
  examples: 4096,
  shardBytes: 13_009_480,
  sumBytes: 6_287_280,
  shardTime: 600 * MS,
  addTime: 20 * MS,
};

/** Stores, as they are assumed: what they move in a microsecond, how long a request takes them, and the way there. */
const stores = {
  "a disk that all share (10 Gbit/s)": { storeRate: 1250, storeRequest: 100, storeLatency: 1 * MS },
  "an object store (100 GB/s, 20,000 requests/s)": { storeRate: 100_000, storeRequest: 50, storeLatency: 30 * MS },
} as const;

/** Cores of a machine that sum. */
const LANES = 8;
/** How many jobs there are for each worker: as in cluster/src/fits/blocks.ts. */
const FOR_EACH = 16;
const SOON = 4;

/** A plan for so many examples on so many machines. */
export function planOf(
  examples: number,
  machines: number,
  store: keyof typeof stores,
  more: Partial<ScalePlan> = {},
): ScalePlan {
  const shards = Math.ceil(examples / measured.examples);
  const blocks = FOR_EACH * Math.max(machines, SOON);
  return {
    shards,
    level: Math.max(0, Math.floor(Math.log2(shards / blocks))),
    machines,
    lanes: LANES,
    seed: 1,
    shardTime: measured.shardTime,
    addTime: measured.addTime,
    spread: 0.2,
    slowPart: 0.02,
    slowness: 2,
    // A machine in 30 days.
    lifeTime: 30 * 24 * 3600 * SECOND,
    restartTime: 300 * SECOND,
    lease: 30 * SECOND,
    shardBytes: measured.shardBytes,
    sumBytes: measured.sumBytes,
    ...stores[store],
    queueRequest: 300,
    ...more,
  };
}

const seconds = (microseconds: number) => {
  const s = microseconds / SECOND;
  return s < 90 ? `${s.toFixed(1)} s` : s < 5400 ? `${(s / 60).toFixed(1)} min` : `${(s / 3600).toFixed(1)} h`;
};
const bytes = (count: number) =>
  count < 1e9
    ? `${(count / 1e6).toFixed(0)} MB`
    : count < 1e12
      ? `${(count / 1e9).toFixed(0)} GB`
      : `${(count / 1e12).toFixed(2)} TB`;

function line(
  name: string,
  plan: ScalePlan,
  { time, requests, bytesIn, bytesOut, summed, ended, storeBusy, busy, depth }: ScaleResult,
) {
  return [
    name,
    seconds(time),
    `${Math.round(100 * busy)} %`,
    bytes(bytesOut),
    bytes(bytesIn),
    requests.toLocaleString("en"),
    `${Math.round((100 * storeBusy) / time)} %`,
    `${depth}`,
    `${ended}`,
    (summed - plan.shards).toLocaleString("en"),
  ];
}

const head = [
  "",
  "time",
  "cores at work",
  "read",
  "written",
  "requests",
  "store at work",
  "depth",
  "ended",
  "shards again",
];

/** Prints the tables of docs/scale.md. */
export function runScalePlan(): void {
  const table = (title: string, rows: readonly (readonly string[])[]) => {
    console.log(`\n${title}\n| ${head.join(" | ")} |\n|${head.map(() => "---").join("|")}|`);
    for (const cells of rows) console.log(`| ${cells.join(" | ")} |`);
  };
  const of = (name: string, plan: ScalePlan) => line(name, plan, simulate(plan));
  for (const store of Object.keys(stores) as (keyof typeof stores)[]) {
    const rows = [1e6, 1e7, 1e8, 1e9].flatMap((examples) =>
      [1, 10, 100, 1000].map((machines) =>
        of(`10${"⁰¹²³⁴⁵⁶⁷⁸⁹"[Math.log10(examples)]} on ${machines}`, planOf(examples, machines, store)),
      ),
    );
    table(store, rows);
  }
  const far = "an object store (100 GB/s, 20,000 requests/s)";
  table("10⁹ examples on 1,000 machines, where more goes wrong", [
    of("as above", planOf(1e9, 1000, far)),
    of("no machine is slow", planOf(1e9, 1000, far, { slowPart: 0 })),
    of("one in 10 is 5 times slower", planOf(1e9, 1000, far, { slowPart: 0.1, slowness: 5 })),
    of("a machine lives an hour", planOf(1e9, 1000, far, { lifeTime: 3600 * SECOND })),
    of("a machine lives ten minutes", planOf(1e9, 1000, far, { lifeTime: 600 * SECOND })),
    of("jobs of a quarter the size", planOf(1e9, 1000, far, { level: planOf(1e9, 1000, far).level - 2 })),
  ]);
  const rate = (LANES * measured.examples * SECOND) / measured.shardTime;
  console.log(`\nOne machine of ${LANES} cores sums ${Math.round(rate).toLocaleString("en")} examples a second.`);
  for (const examples of [1e6, 1e7, 1e8, 1e9]) {
    const data = (examples / measured.examples) * measured.shardBytes;
    console.log(
      `${examples.toExponential(0)}: by itself ${seconds((examples / rate) * SECOND)}; its data, ${bytes(data)}, are written by whoever asks at 10 Gbit/s in ${seconds(data / 1250)}`,
    );
  }
}
