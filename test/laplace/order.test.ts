// The order of the examples, and how they are cut into batches, are nothing to a posterior: for every structure, also where
// factors are singular or eigenvalues equal. (Draws of "monteCarlo" belong to places in the data, and are not looked at.)

import { describe, expect, test } from "vitest";
import {
  chain,
  conv2d,
  dense,
  globalAveragePool,
  laplace,
  type Network,
  type Posterior,
  randomNormal,
  type Structure,
  tanh,
} from "../../src/index.ts";

const likelihoods = ["regression", "classification", "count"] as const;

function imageNet(outputs: number): Network {
  const net = chain(
    { inputs: [1, 6, 6], dtype: "float64", seed: 1 },
    conv2d(4, 3, tanh),
    conv2d(4, 3, tanh),
    globalAveragePool,
    dense(outputs),
  );
  net.setParameters(net.parameters.data.map((w) => 2 * w));
  return net;
}

/** Two hidden units that are the same: eigenvalues of 0 in the factors after them. */
function twinNet(outputs: number): Network {
  const net = chain({ inputs: 3, dtype: "float64", seed: 1 }, dense(4, tanh), dense(outputs));
  const { data } = net.parameters;
  for (let j = 0; j < 3; j++) data[3 + j] = data[j];
  data[13] = data[12];
  for (let o = 0; o < outputs; o++) data[16 + 4 * o + 1] = data[16 + 4 * o];
  return net;
}

type Make = (outputs: number) => Network;
const nets: [string, Make, (n: number) => number[][] | object][] = [
  ["images", imageNet, (n) => randomNormal([n, 1, 6, 6], { seed: 3 })],
  ["equal units", twinNet, (n) => randomNormal([n, 3], { seed: 3 })],
];

describe.each(nets)("%s", (_, make, inputs) => {
  const n = 6;
  describe.each(likelihoods)("%s", (likelihood) => {
    const outputs = likelihood === "classification" ? 3 : 2;
    const net = make(outputs);
    const x = inputs(n) as ReturnType<typeof randomNormal>;
    const y = Array.from({ length: n }, (_, i) => (likelihood === "classification" ? i % 3 : [i % 2, (i + 1) % 3]));
    const order = [3, 0, 5, 1, 4, 2];
    const taken = { x: order.map((i) => x.sub(i)), y: order.map((i) => y[i]) };
    const cut = [order.slice(0, 2), order.slice(2)].map((some) => ({
      x: some.map((i) => x.sub(i)),
      y: some.map((i) => y[i]),
    }));
    const results = (posterior: Posterior) => [
      posterior.logMarginalLikelihood(),
      ...posterior.evidenceGradient().logPriorPrecision.data,
      ...posterior.functionCovariance(x).data,
      ...posterior.variance().data,
      ...posterior.sample(2, { seed: 1 }).data,
    ];
    for (const structure of ["full", "diagonal", "kronecker", "ekfac"] as Structure[]) {
      for (const sharing of structure === "kronecker" || structure === "ekfac"
        ? (["expand", "reduce"] as const)
        : [undefined]) {
        for (const curvature of ["ggn", "empiricalFisher"] as const) {
          test(`${structure} ${sharing ?? ""} ${curvature}`, async () => {
            const la = laplace(net, { likelihood, structure, sharing, curvature, priorPrecision: 0.01, checks: false });
            const hyperparameters = likelihood === "regression" ? { noise: 0.1 } : {};
            const due = results((await la.fit({ x, y } as never)).with(hyperparameters));
            for (const data of [taken, cut]) {
              const found = results((await la.fit(data as never)).with(hyperparameters));
              const largest = Math.max(...due.map(Math.abs));
              found.forEach((value, i) => {
                expect(Math.abs(value - due[i])).toBeLessThanOrEqual(1e-9 * Math.max(Math.abs(due[i]), 1e-3 * largest));
              });
            }
          });
        }
      }
    }
  });
});
