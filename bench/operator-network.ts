// One network's posterior by products alone, in a process of its own, whose peak memory is what it took. Prints JSON; seconds are
// those of its processors, whatever else the machine does.
//   node operator-network.js WIDTH[,WIDTH…]

import {
  adam,
  array,
  chain,
  crossEntropy,
  DataLoader,
  dense,
  type Layer,
  laplace,
  Random,
  relu,
  solver,
  train,
} from "../src/index.ts";

const [INPUTS, CLASSES, EXAMPLES, PREDICTED, DRAWS, PROBES] = [784, 10, 512, 128, 10, 4];
const widths = process.argv[2].split(",").map(Number);

/** Examples around a centre for each class, a tenth of them with another's label. */
function examples(count: number, random: Random) {
  const centres = Array.from({ length: CLASSES }, (_, c) => {
    const own = new Random(100 + c);
    return Float64Array.from({ length: INPUTS }, () => own.normal());
  });
  const x = new Float32Array(count * INPUTS);
  const y = Array.from({ length: count }, (_, i) => {
    const label = random.integer(CLASSES);
    for (let j = 0; j < INPUTS; j++) x[i * INPUTS + j] = 0.15 * centres[label][j] + random.normal();
    return random.integer(10) === 0 ? random.integer(CLASSES) : label;
  });
  return { x: array(x, { shape: [count, INPUTS] }), y };
}

const megabytes = () => process.resourceUsage().maxRSS / 1024;
const seconds: Record<string, number> = {};
async function timed<Result>(name: string, work: () => Result | Promise<Result>): Promise<Result> {
  const start = process.cpuUsage();
  const result = await work();
  const { user, system } = process.cpuUsage(start);
  seconds[name] = (user + system) / 1e6;
  console.error(`${name}: ${seconds[name].toFixed(1)} s, ${megabytes().toFixed(0)} MB at most`);
  return result;
}

const random = new Random(1);
const data = examples(EXAMPLES, random);
const { x } = examples(PREDICTED, random);
const layers: Layer[] = [...widths.map((width) => dense(width, relu)), dense(CLASSES)];
const net = chain({ inputs: INPUTS, seed: 1 }, ...layers);
const loader = new DataLoader(data, { batchSize: 100, shuffle: true, seed: 1 });
const epochs = (count: number) =>
  train(net, loader, { loss: crossEntropy, optimizer: adam({ learningRate: 1e-3 }), epochs: count });
await epochs(2);
await timed("epoch", () => epochs(1));
const memory: Record<string, number> = { trained: megabytes() };
const posterior = await timed("fit", () =>
  laplace(net, {
    likelihood: "classification",
    structure: "operator",
    solver: solver({ draws: DRAWS, probes: PROBES, tolerance: 1e-2 }),
    priorPrecision: 50,
    checks: false,
    memoryBudget: 4e9,
  }).fit(data),
);
const evidence = await timed("evidence", () => posterior.evidence());
memory.evidence = megabytes();
const { functionVariance } = await timed("variances", () => posterior.predict(x));
memory.variances = megabytes();
const draws = await timed("draws", () => posterior.sample(DRAWS, { seed: 7 }));
memory.draws = megabytes();
console.log(
  JSON.stringify({
    weights: net.parameterCount,
    examples: EXAMPLES,
    seconds,
    memory,
    evidence,
    meanVariance: Array.from(functionVariance.data).reduce((sum, v) => sum + v, 0) / functionVariance.size,
    draws: draws.shape,
  }),
);
