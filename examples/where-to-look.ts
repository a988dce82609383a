// Where to look next: a function of two inputs that is dear to evaluate. A network learns it from a few values, its posterior
// says where the smallest may still be, and the next value is taken there: Bayesian optimisation, against random search.
//
//   node build/examples/where-to-look.js

import {
  chain,
  dense,
  expectedImprovement,
  fourierFeatures,
  gaussian,
  laplace,
  lastLayerEvidence,
  Random,
  train,
} from "laplace-ts";

const [STARTS, VALUES, CANDIDATES, SEEDS] = [8, 30, 300, 10];

/** Branin's function on the unit square: three hills down to 0.3979, and a slope. */
function branin([u, v]: readonly number[]): number {
  const [x, y] = [15 * u - 5, 15 * v];
  const bend = y - (5.1 * x * x) / (4 * Math.PI ** 2) + (5 * x) / Math.PI - 6;
  return bend * bend + 10 * (1 - 1 / (8 * Math.PI)) * Math.cos(x) + 10;
}
const LEAST = 0.39788735773;

const point = (random: Random) => [random.uniform(), random.uniform()];

/** The smallest value after each evaluation. */
async function bayesian(seed: number): Promise<number[]> {
  const random = new Random(seed);
  const x = Array.from({ length: STARTS }, () => point(random));
  // Squares of distances to a hill's foot are easier to learn as their logarithms.
  const y = x.map(branin);
  while (x.length < VALUES) {
    const logs = y.map(Math.log);
    const mean = logs.reduce((a, b) => a + b, 0) / logs.length;
    const sd = Math.sqrt(logs.reduce((a, b) => a + (b - mean) ** 2, 0) / logs.length);
    const data = { x: x.map(([u, v]) => [4 * u - 2, 4 * v - 2]), y: logs.map((log) => [(log - mean) / sd]) };
    const net = chain(
      { inputs: 2, seed, dtype: "float64" },
      fourierFeatures({ features: 100, relevance: true }),
      dense(1),
    );
    const { evidence } = await train(net, data, { loss: gaussian(), optimizer: lastLayerEvidence(), evidence: {} });
    const posterior = await laplace(net, {
      likelihood: gaussian({ noise: evidence?.noise }),
      weights: "lastLayer",
      priorPrecision: evidence?.priorPrecision,
      checks: false,
    }).fit(data);
    const candidates = Array.from({ length: CANDIDATES }, () => point(random));
    const { functionMean, functionVariance } = posterior.predict(candidates.map(([u, v]) => [4 * u - 2, 4 * v - 2]));
    const best = Math.min(...data.y.flat());
    const { data: gains } = expectedImprovement(functionMean, functionVariance, { best, goal: "min" });
    const next = candidates[gains.indexOf(Math.max(...gains))];
    x.push(next);
    y.push(branin(next));
  }
  return y.map((_, i) => Math.min(...y.slice(0, i + 1)));
}

function randomSearch(seed: number): number[] {
  const random = new Random(seed);
  const y = Array.from({ length: VALUES }, () => branin(point(random)));
  return y.map((_, i) => Math.min(...y.slice(0, i + 1)));
}

// ── Ten seeds of both: how far from the least value the best one so far is, in powers of ten ─────────────────────────

const logs = (values: number[]) => values.map((value) => Math.log10(value - LEAST));
const runs: { ours: number[]; theirs: number[] }[] = [];
for (let seed = 1; seed <= SEEDS; seed++) {
  runs.push({ ours: logs(await bayesian(seed)), theirs: logs(randomSearch(seed)) });
}

const meanOf = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
/** Of the mean, over seeds. */
const errorOf = (values: number[]) =>
  Math.sqrt(meanOf(values.map((v) => (v - meanOf(values)) ** 2)) / (values.length - 1));
const cell = (value: number | string) => (typeof value === "number" ? value.toFixed(2) : value).padStart(12);

console.log(`log10(best value − least), mean over ${SEEDS} seeds, of Branin's function`);
console.log(`${"values".padEnd(8)}${["posterior", "random", "difference", "two errors"].map(cell).join("")}`);
for (let n = STARTS + 2; n <= VALUES; n += 5) {
  const [ours, theirs] = [runs.map((run) => run.ours[n - 1]), runs.map((run) => run.theirs[n - 1])];
  const differences = ours.map((value, i) => theirs[i] - value);
  const cells = [meanOf(ours), meanOf(theirs), meanOf(differences), 2 * errorOf(differences)];
  console.log(`${String(n).padEnd(8)}${cells.map(cell).join("")}`);
}
