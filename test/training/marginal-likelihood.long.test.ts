// Training by the marginal likelihood against training with a fixed prior whose prior and noise are tuned afterwards: on tables, which are
// not ours to copy and so are read where they lie.

import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  adam,
  categorical,
  chain,
  cosineDecay,
  dense,
  gaussian,
  type Likelihood,
  laplace,
  type MarginalLikelihoodOptions,
  marginalLikelihood,
  tanh,
  train,
} from "../../src/index.ts";

const folder = "../shared/data";

/** Standardised inputs and targets; a target that is text, or is said to be, is a class. */
function read(text: string, target: string, { classes = false, rows = Number.POSITIVE_INFINITY } = {}) {
  const [head, ...lines] = text
    .trim()
    .split("\n")
    .slice(0, rows + 1)
    .map((line) => line.replaceAll('"', "").split(","));
  const at = head.indexOf(target);
  const standard = (values: number[]) => {
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    const sd = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length);
    return values.map((value) => (sd === 0 ? 0 : (value - mean) / sd));
  };
  const columns = head.map((_, c) => lines.map((line) => line[c]));
  const inputs = columns.filter((_, c) => c !== at).map((column) => standard(column.map(Number)));
  const x = lines.map((_, n) => inputs.map((column) => column[n]));
  if (!classes && columns[at].every((cell) => Number.isFinite(Number(cell)))) {
    return { x, y: standard(columns[at].map(Number)).map((value) => [value]), outputs: 1 };
  }
  const names = [...new Set(columns[at])];
  return { x, y: columns[at].map((cell) => names.indexOf(cell)), outputs: names.length };
}

async function both(
  { x, y, outputs }: { x: number[][]; y: number[] | number[][]; outputs: number },
  options: MarginalLikelihoodOptions,
) {
  const data = { x, y };
  const likelihood: Likelihood = outputs === 1 ? gaussian() : categorical();
  const { structure } = options;
  const make = () => chain({ inputs: x[0].length, dtype: "float64", seed: 1 }, dense(10, tanh), dense(outputs));
  const how = {
    loss: likelihood,
    optimizer: adam({ learningRate: 0.01 }),
    schedule: cosineDecay(),
    epochs: 300,
    batchSize: 64,
  };
  const rule = marginalLikelihood({ ...options, burnIn: 20, every: 5 });
  const { evidence } = await train(make(), data, { ...how, evidence: rule });
  const fixed = make();
  // The prior of precision 1 in the mean over the examples.
  await train(fixed, data, { ...how, weightDecay: 1 / x.length });
  const fitted = await laplace(fixed, { likelihood, structure, checks: false }).fit(data);
  const tuned = fitted.optimizePrior({ priorStructure: "perParameter" });
  return [evidence?.logMarginalLikelihood as number, tuned.logMarginalLikelihood()].map((nats) => nats / x.length);
}

describe.skipIf(!existsSync(folder))(
  `the evidence, in nats for each example${existsSync(folder) ? "" : " (skipped: ../shared/data is not there)"}`,
  () => {
    test.each([
      ["tables/BostonHousing.csv", "medv"],
      ["diabetes.csv", "progression"],
      ["tables/Ionosphere.csv", "Class"],
      ["tables/Sonar.csv", "Class"],
      ["tables/PimaIndiansDiabetes.csv", "diabetes"],
    ])(
      "%s",
      async (file, target) => {
        const table = read(readFileSync(`${folder}/${file}`, "utf8"), target);
        const [learned, tuned] = await both(table, { structure: "full", groups: "inputs" });
        expect(learned).toBeGreaterThan(tuned);
      },
      300_000,
    );

    test("digits, by Kronecker factors, whose determinant the weights follow", async () => {
      const text = readFileSync(`${folder}/digits.csv`, "utf8");
      const digits = read(text, "digit", { classes: true, rows: 900 });
      const [learned, tuned] = await both(digits, { structure: "kronecker", groups: "layers", determinant: true });
      expect(learned).toBeGreaterThan(tuned + 0.1);
    }, 300_000);
  },
);
