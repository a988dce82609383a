// Laplace approximations: the small job in milliseconds, and a classifier's fits and predictions as multiples of what
// PyTorch needs for forward and backward over the same network and data in the same round.

import {
  chain,
  crossEntropy,
  type Data,
  DataLoader,
  dense,
  gradient,
  kernelArray,
  type LaplaceOptions,
  laplace,
  mse,
  NDArray,
  type Network,
  type Posterior,
  perSampleGradients,
  Random,
  randomNormal,
  randomUniform,
  relu,
  tanh,
  toyRegression,
  train,
} from "../src/index.ts";
import { type Comparison, compare, type Measured, type Way } from "./compare.ts";
import type { Torch } from "./peers/torch.ts";
import { digits, time } from "./table.ts";

/** A job, the most it should take, and what PyTorch has for it. */
interface LaplaceCase {
  readonly name: string;
  readonly ours: Way;
  /** Milliseconds, or multiples of PyTorch's forward and backward. */
  readonly target?: { readonly milliseconds: number } | { readonly units: number };
  /** Our result, flat, where PyTorch computes the same. */
  readonly gradient?: () => NDArray["data"];
  /** Our result, flat, where functorch computes the same; and how many times faster than it we should be. */
  readonly perSample?: () => NDArray["data"];
}

const FASTER_THAN_FUNCTORCH = 4;

/** A way whose work may be asynchronous. */
function asynchronous(work: () => unknown, warmUp = 0.25): Way {
  return {
    name: "laplace-ts",
    warmUp,
    async run(repetitions) {
      const start = performance.now();
      for (let i = 0; i < repetitions; i++) await work();
      return (performance.now() - start) / 1000;
    },
  };
}

const quiet = { onWarning: () => {} };

/** A 1-50-1 network on 150 points, trained before: everything in one, and its three parts. */
async function* toy(): AsyncGenerator<LaplaceCase> {
  const net = chain({ inputs: 1 }, dense(50, tanh), dense(1));
  const data = toyRegression({ samples: 150, seed: 1, dtype: "float32" });
  await train(net, data, { loss: mse, epochs: 2000, batchSize: 150 });
  const x = randomUniform([100, 1], { seed: 2, dtype: "float32" });
  for (const structure of ["full", "kronecker", "diagonal"] as const) {
    const fit = () => laplace(net, { likelihood: "regression", structure, ...quiet }).fit(data);
    const name = (part: string) => `toy 1-50-1, ${structure}: ${part}`;
    yield {
      name: name("fit, tune, predict"),
      ours: asynchronous(async () => (await fit()).optimizePrior().predict(x)),
      target: { milliseconds: 16 },
    };
    yield { name: name("fit"), ours: asynchronous(fit) };
    const posterior = await fit();
    const tuned = posterior.optimizePrior();
    tuned.predict(x);
    // What a posterior finds out about its curvature is kept: another fit for every repetition.
    const fresh: Posterior[] = [];
    const tune: Way = {
      name: "laplace-ts",
      async run(repetitions) {
        while (fresh.length < repetitions) fresh.push(await fit());
        const start = performance.now();
        for (let i = 0; i < repetitions; i++) fresh.pop()?.optimizePrior();
        return (performance.now() - start) / 1000;
      },
    };
    yield { name: name("tune"), ours: tune };
    yield { name: name("predict 100, factorised"), ours: asynchronous(() => tuned.predict(x)) };
  }
}

const SIZES = [784, 256, 10] as const;
const [BATCH, SAMPLES, POINTS] = [128, 2048, 128];

/** A classifier's network and data. */
function classifier() {
  const [inputs, hidden, outputs] = SIZES;
  const net = chain({ inputs }, dense(hidden, relu), dense(outputs));
  const x = randomNormal([SAMPLES, inputs], { seed: 1, dtype: "float32" });
  const random = new Random(2);
  const labels = Float32Array.from({ length: SAMPLES }, () => Math.floor(random.uniform() * outputs));
  const y = new NDArray(labels, [SAMPLES]);
  return { net, x, y, loader: new DataLoader({ x, y }, { batchSize: BATCH }) };
}

function* mlp(net: Network, loader: DataLoader): Generator<LaplaceCase> {
  const points = randomNormal([POINTS, SIZES[0]], { seed: 3, dtype: "float32" });
  const job = (name: string) => `784-256-10: ${name}`;
  const sum = new Float64Array(net.parameterCount);
  const part = kernelArray([net.parameterCount], { dtype: "float32" });
  yield {
    name: job("summed gradient"),
    ours: asynchronous(() => {
      sum.fill(0);
      for (const batch of loader) {
        const { data } = gradient(net, crossEntropy, batch, { reduction: "sum", out: part });
        for (let i = 0; i < sum.length; i++) sum[i] += data[i];
      }
    }),
    gradient: () => sum,
  };
  const out = kernelArray([BATCH, net.parameterCount], { dtype: "float32" });
  yield {
    name: job("per-sample gradients"),
    ours: asynchronous(() => {
      for (const batch of loader) perSampleGradients(net, crossEntropy, batch, { out });
    }),
    target: { units: 4 },
    perSample: () => out.data.slice(0, net.parameterCount),
  };
  const fit = (options: Partial<LaplaceOptions>, data: Data = loader) =>
    laplace(net, { likelihood: "classification", ...quiet, ...options }).fit(data);
  const fits: [name: string, units: number, options: Partial<LaplaceOptions>][] = [
    ["diagonal GGN fit", 1.5, { structure: "diagonal" }],
    ["Kronecker GGN fit", 2.5, { structure: "kronecker" }],
    ["last layer, full GGN fit", 4, { structure: "full", weights: "lastLayer" }],
  ];
  for (const [name, units, options] of fits) {
    yield { name: job(name), ours: asynchronous(() => fit(options)), target: { units } };
  }
  const predictions: [name: string, units: number, options: Partial<LaplaceOptions>][] = [
    ["all weights, Kronecker", 1, { structure: "kronecker" }],
    ["all weights, diagonal", 1, { structure: "diagonal" }],
    ["last layer, Kronecker", 0.3, { structure: "kronecker", weights: "lastLayer" }],
  ];
  for (const [name, units, options] of predictions) {
    // The first call factors, as it does in a program.
    let posterior: Posterior | undefined;
    const ours: Way = {
      ...asynchronous(() => posterior?.predict(points)),
      prepare: async () => {
        posterior = await fit(options);
      },
    };
    yield { name: job(`${POINTS} predictions, ${name}`), ours, target: { units } };
  }
  out.free();
  part.free();
}

/** The largest difference, relative to the largest entry. */
function difference(ours: ArrayLike<number>, theirs: Float64Array): number {
  let [worst, largest] = [ours.length === theirs.length ? 0 : Number.POSITIVE_INFINITY, 0];
  theirs.forEach((x, i) => {
    worst = Math.max(worst, Math.abs(x - ours[i]));
    largest = Math.max(largest, Math.abs(x));
  });
  return worst / largest;
}

const heading = [
  "laplace".padEnd(52),
  ...["first", "steady", "PyTorch"].map((text) => text.padStart(11)),
  "ours/PyTorch (spread)".padStart(24),
  "target".padStart(12),
  "".padStart(8),
  "diff".padStart(8),
].join("");

/** Whether a job took no more than it should, if that is known. */
function met({ target }: LaplaceCase, { seconds }: Comparison, unit: Measured | undefined): boolean | undefined {
  if (target === undefined) return undefined;
  if ("milliseconds" in target) return 1000 * seconds <= target.milliseconds;
  return unit && 1 / unit.ratio <= target.units;
}

function line(item: LaplaceCase, result: Comparison, unit: Measured | undefined): string {
  const { target } = item;
  const most = target === undefined ? "" : "units" in target ? `≤ ${target.units}` : `≤ ${target.milliseconds} ms`;
  const ratio = unit && `${digits(1 / unit.ratio)} (${digits(1 / unit.spread[1])}–${digits(1 / unit.spread[0])})`;
  const reached = met(item, result, unit);
  return [
    item.name.padEnd(52),
    time(result.firstCall).padStart(11),
    time(result.seconds).padStart(11),
    (unit ? time(unit.seconds) : "").padStart(11),
    (ratio ?? "").padStart(24),
    most.padStart(12),
    (reached === undefined ? "" : reached ? "met" : "missed").padStart(8),
    (unit?.difference?.toExponential(0) ?? "").padStart(8),
  ]
    .join("")
    .trimEnd();
}

/** Measures, prints, and gives what was measured. */
export async function runLaplace(
  torch: Torch | undefined,
  { rounds, threads, filter }: { rounds: number; threads: number; filter: string },
): Promise<object[]> {
  const results: object[] = [];
  const run = async (item: LaplaceCase, others: readonly Way[]) => {
    if (!item.name.includes(filter)) return;
    const comparison = await compare(item.ours, others, rounds);
    const measured = comparison.others.filter((other): other is Measured => "ratio" in other);
    const unit = measured.find(({ name }) => name === "PyTorch");
    console.log(line(item, comparison, unit));
    for (const other of comparison.others) {
      if ("reason" in other) console.log(`  ${other.name} is skipped: ${other.reason}`);
      if (other.name !== "functorch" || !("ratio" in other)) continue;
      const spread = other.spread.map(digits).join("–");
      const wanted = `target ≥ ${FASTER_THAN_FUNCTORCH} ${other.ratio >= FASTER_THAN_FUNCTORCH ? "met" : "missed"}`;
      const diff = `diff ${other.difference?.toExponential(0)}`;
      console.log(
        `  functorch, vmap(grad): ${time(other.seconds)}, theirs / ours ${digits(other.ratio)} (${spread}), ${wanted}, ${diff}`,
      );
    }
    const { name, target } = item;
    results.push({ suite: "laplace", name, target, met: met(item, comparison, unit), ...comparison });
  };
  console.log(heading);
  for await (const item of toy()) await run(item, []);
  const { net, x, y, loader } = classifier();
  await torch?.load({ network: SIZES, batch: BATCH, threads, theta: net.parameters.data, x: x.data, y: y.data });
  for (const item of mlp(net, loader)) {
    const others: Way[] = [];
    if (torch !== undefined) {
      const check = (ours: (() => ArrayLike<number>) | undefined): Partial<Way> =>
        ours === undefined ? {} : { difference: async () => difference(ours(), await torch.result()) };
      others.push({ ...torch.way("gradient", 0.25), ...check(item.gradient) });
      // Last: its result is compared after the last round.
      if (item.perSample !== undefined) {
        others.push({ ...torch.way("per-sample gradients", 0), ...check(item.perSample) });
      }
    }
    await run(item, others);
  }
  console.log();
  return results;
}
