// Laplace approximations of a small curve, and of a classifier of pixels.

import { chain, dense, mse, type Posterior, randomUniform, relu, tanh, toyRegression, train } from "../src/index.ts";
import { classifier } from "./classifier.ts";
import { now } from "./clock.ts";
import type { Way } from "./compare.ts";
import { asynchronous, heading, type LaplaceCase, measure, quietFit, type Setting } from "./units.ts";

/** A 1-50-1 network on 150 points, trained before: everything in one, and its three parts. */
async function* toy(): AsyncGenerator<LaplaceCase> {
  const net = chain({ inputs: 1 }, dense(50, tanh), dense(1));
  const data = toyRegression({ samples: 150, seed: 1, dtype: "float32" });
  await train(net, data, { loss: mse, epochs: 2000, batchSize: 150 });
  const x = randomUniform([100, 1], { seed: 2, dtype: "float32" });
  for (const structure of ["full", "kronecker", "diagonal"] as const) {
    const fit = () => quietFit(net, data, { likelihood: "regression", structure });
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
        const start = now();
        for (let i = 0; i < repetitions; i++) fresh.pop()?.optimizePrior();
        return (now() - start) / 1000;
      },
    };
    yield { name: name("tune"), ours: tune };
    yield { name: name("predict 100, factorised"), ours: asynchronous(() => tuned.predict(x)) };
  }
}

/** Measures, prints, and gives what was measured. */
export async function runLaplace(setting: Setting): Promise<object[]> {
  const results: object[] = [];
  console.log(heading(setting.suite));
  for await (const item of toy()) results.push(...(await measure(item, false, setting)));
  const cases = classifier({
    name: "784-256-10",
    net: chain({ inputs: 784 }, dense(256, relu), dense(10)),
    samples: 2048,
    targets: { perSample: 4, functorch: 4, norms: 1.5, epoch: 2.3 },
    fits: [
      ["diagonal GGN fit", 2.2, { structure: "diagonal" }, "diagonal"],
      ["Kronecker GGN fit", 3.8, { structure: "kronecker" }, "kronecker"],
      [
        "Kronecker fit, Monte Carlo",
        undefined,
        { structure: "kronecker", curvature: "monteCarlo" },
        "kronecker monteCarlo",
      ],
      [
        "last layer, Kronecker GGN fit",
        undefined,
        { structure: "kronecker", weights: "lastLayer" },
        "kronecker lastLayer",
      ],
      ["last layer, full GGN fit", 7, { structure: "full", weights: "lastLayer" }, "full lastLayer"],
    ],
    evidences: [["Kronecker GGN fit", 7, { structure: "kronecker" }, "kronecker evidence"]],
    tunings: [
      ["Kronecker", undefined, { structure: "kronecker" }, "kronecker tune"],
      ["the diagonal", undefined, { structure: "diagonal" }, "diagonal tune"],
    ],
    predictions: [
      ["all weights, Kronecker", 1, { structure: "kronecker" }],
      ["all weights, diagonal", 1, { structure: "diagonal" }],
      ["last layer, Kronecker", 0.3, { structure: "kronecker", weights: "lastLayer" }],
      ["last layer, full", undefined, { structure: "full", weights: "lastLayer" }, "full lastLayer predict"],
    ],
  });
  for await (const item of cases(setting.torch)) results.push(...(await measure(item, true, setting)));
  console.log();
  return results;
}
