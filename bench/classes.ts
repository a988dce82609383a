// Fits of a last layer of many outputs, whose curvature is in closed form: a dense classifier, and tokens of positions.

import { array, categorical, chain, dense, embedding, layerNorm, Random, randomNormal, relu } from "../src/index.ts";
import type { LaplaceCase } from "./units.ts";
import { asynchronous, heading, measure, quietFit, type Setting } from "./units.ts";

const [SAMPLES, SEQUENCES, POSITIONS, TOKENS, WIDTH] = [2048, 128, 64, 1000, 128];

const labels = (count: number, classes: number) => {
  const random = new Random(2);
  return Array.from({ length: count }, () => random.integer(classes));
};

function* cases(): Generator<LaplaceCase> {
  const x = randomNormal([SAMPLES, 784], { seed: 1, dtype: "float32" });
  for (const classes of [100, 300, 1000]) {
    const net = chain({ inputs: 784 }, dense(256, relu), dense(classes));
    const y = labels(SAMPLES, classes);
    for (const structure of ["diagonal", "kronecker"] as const) {
      yield {
        name: `784-256-${classes}, ${SAMPLES} rows: ${structure} GGN fit`,
        ours: asynchronous(() => quietFit(net, { x, y }, { likelihood: "classification", structure })),
        ...(classes === 1000 && { target: { milliseconds: 5000 } }),
      };
    }
  }
  const net = chain({ inputs: [POSITIONS] }, embedding(TOKENS, WIDTH), layerNorm(), dense(TOKENS));
  const shape = [SEQUENCES, POSITIONS];
  const tokens = array(labels(SEQUENCES * POSITIONS, TOKENS), { shape });
  const options = {
    likelihood: categorical({ classAxis: "last" }),
    structure: "kronecker",
    weights: "lastLayer",
  } as const;
  yield {
    name: `${SEQUENCES} × ${POSITIONS} tokens of ${TOKENS}: last layer, Kronecker GGN fit`,
    ours: asynchronous(() => quietFit(net, { x: tokens, y: tokens }, options)),
    target: { milliseconds: 10_000 },
  };
}

/** Measures, prints, and gives what was measured. */
export async function runClasses(setting: Setting): Promise<object[]> {
  const results: object[] = [];
  console.log(heading(setting.suite));
  for (const item of cases()) results.push(...(await measure(item, false, setting)));
  console.log();
  return results;
}
