// `gaussNewton()` with the evidence on regression tables: eight hidden units and a linear way around them, a precision for each input. Eight
// starts, all complete rows, standardised: the medians. `node build/bench/bench/evidence.js`, after `node tools/prepare.mjs --bench`.

import { add, array, dense, gaussian, gaussNewton, kernels, network, tanh, train } from "laplace-ts";
import { readCells, standardised } from "./standardised.ts";

kernels.setThreads(1);
const STARTS = 8;

function read(file: string, target: string | undefined) {
  const [head, ...lines] = readCells(`../shared/data/${file}`);
  const kept = head.map((_, c) => c).filter((c) => head[c] !== "Date");
  const rows = lines
    .map((row) => kept.map((c) => row[c]))
    .filter((row) => row.every((cell) => cell !== "NA" && cell !== ""));
  const columns = kept.map((_, c) => standardised(rows.map((row) => Number(row[c]))));
  const at = target === undefined ? kept.length - 1 : kept.findIndex((c) => head[c] === target);
  const inputs = columns.filter((_, c) => c !== at);
  return { x: array(rows.map((_, i) => inputs.map((column) => column[i]))), y: array(columns[at].map((v) => [v])) };
}

const median = (values: number[]) => {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
};

for (const [file, target] of [
  ["airquality.csv", "Ozone"],
  ["diabetes.csv", undefined],
  ["tables/BostonHousing.csv", "medv"],
  ["tables/Friedman1.csv", undefined],
] as const) {
  const data = read(file, target);
  const [evidences, seconds]: number[][] = [[], []];
  for (let seed = 0; seed < STARTS; seed++) {
    const net = network({ inputs: data.x.shape[1], seed, dtype: "float64" }, (z) =>
      add(dense(1)(dense(8, tanh)(z)), dense(1, undefined, { bias: false })(z)),
    );
    const start = process.cpuUsage();
    const { evidence } = await train(net, data, {
      loss: gaussian(),
      optimizer: gaussNewton(),
      evidence: { groups: "inputs" },
    });
    const { user, system } = process.cpuUsage(start);
    seconds.push((user + system) / 1e6);
    evidences.push(evidence?.logMarginalLikelihood ?? Number.NaN);
  }
  console.log(file, data.x.shape[0], median(evidences).toFixed(1), "nats", median(seconds).toFixed(2), "s");
}
