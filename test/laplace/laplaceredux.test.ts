// Networks, data and reference matrices of LaplaceRedux.jl's test suite, which laplace-torch computed (with unit prior
// precision and noise). They are not ours to copy, so they are read where they lie, beside the repository.

import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  chain,
  crossEntropy,
  curvatureOf,
  dense,
  type Layer,
  laplace,
  mse,
  type Network,
  sigmoid,
  tanh,
  type Weights,
} from "../../src/index.ts";

const folder = "../shared/oracles/laplaceredux";
const missing = !existsSync(`${folder}/nn_multi.json`);
const why = missing ? ` (skipped: ${folder} is not there; it does not come with a clone of this repository)` : "";

const lines = (name: string) => readFileSync(`${folder}/${name}`, "utf8").trim().split("\n");
const table = (name: string) => lines(name).map((line) => line.split(",").map(Number));
/** Rows below a heading. */
const rows = (name: string) => table(name).slice(1);

/** A network at the parameters of a file, where a weight is a list of columns. */
function read(name: string, inputs: number, ...layers: Layer[]): Network {
  const net = chain({ inputs, dtype: "float64" }, ...layers);
  const file = JSON.parse(readFileSync(`${folder}/${name}`, "utf8")) as { bias: number[]; weight: number[][] }[];
  const parameters = file.flatMap(({ bias, weight }) => [
    ...bias.flatMap((_, out) => weight.map((column) => column[out])),
    ...bias,
  ]);
  net.setParameters(parameters);
  return net;
}

describe.skipIf(missing)(`classes: 2-3-4, sigmoid${why}`, () => {
  const setUp = () => {
    const data = rows("data_multi.csv");
    // Labels count from 1 there.
    return {
      net: read("nn_multi.json", 2, dense(3, sigmoid), dense(4)),
      data: { x: data.map(([a, b]) => [a, b]), y: data.map(([, , label]) => label - 1) },
    };
  };

  test("the network is the one that was trained", () => {
    const { net, data } = setUp();
    const loss = crossEntropy(net.forward(data.x), data.y, { reduction: "sum" });
    // By NumPy; the notes have another digit in the eleventh place.
    expect([loss]).toBeAllClose([0.1666567623453292], { relative: 1e-12 });
  });

  const subsets: [string, string, Weights][] = [
    ["all weights", "all", "all"],
    ["the last layer", "ll", "lastLayer"],
    ["single weights", "subnet", { indices: [0, 5, 6, 8, 9, 20, 21, 24] }],
  ];
  test.each(subsets)("curvature of %s", (_, key, weights) => {
    const { net, data } = setUp();
    for (const [curvature, name, absolute] of [
      ["ggn", "ggn", 1e-5],
      ["empiricalFisher", "empfisher", 1e-8],
    ] as const) {
      const due = table(`hessian_multi_${key}_full_${name}.csv`).flat();
      const found = curvatureOf(net, "classification", data, { structure: "full", weights, curvature });
      expect(found.dense().data).toBeAllClose(due, { relative: 0, absolute });
      // The tolerance is well below what there is to see.
      expect(Math.max(...due.map(Math.abs))).toBeGreaterThan(1000 * absolute);
    }
  });

  test.each(subsets.slice(0, 2))("probabilities of Kronecker factors over %s", async (_, key, weights) => {
    const { net, data } = setUp();
    const posterior = await laplace(net, {
      likelihood: "classification",
      structure: "kronecker",
      weights,
      checks: false,
    }).fit(data);
    const due = table(`predictions_multi_${key}_kron_ggn.csv`);
    // The reference's probit looks at each class alone.
    const found = posterior.predict(data.x, { approximation: "probit" }).mean;
    const transposed = data.x.flatMap((_, n) => due.map((row) => row[n]));
    expect(found.data).toBeAllClose(transposed, { relative: 0, absolute: 1e-6 });
  });

  test("evidence at the numbers of the notes", async () => {
    const { net, data } = setUp();
    const fit = (structure: "full" | "kronecker", weights: Weights) =>
      laplace(net, { likelihood: "classification", structure, weights, checks: false }).fit(data);
    const { logDetPosterior, scatter, logMarginalLikelihood } = (await fit("full", "all")).evidence();
    const due = [0.9529043732808574, 537.6701281797195, -269.4781730388455];
    expect([logDetPosterior, scatter, logMarginalLikelihood]).toBeAllClose(due, { relative: 1e-12 });
    const kronecker = [await fit("kronecker", "all"), await fit("kronecker", "lastLayer")];
    const found = kronecker.map((posterior) => posterior.evidence().logDetPosterior);
    expect(found).toBeAllClose([1.0298740850383967, 0.7858270671858845], { relative: 1e-12 });
  });
});

describe.skipIf(missing)(`regression: 1-10-1, tanh${why}`, () => {
  const setUp = () => {
    const data = rows("data_regression.csv");
    return {
      net: read("nn_regression.json", 1, dense(10, tanh), dense(1)),
      data: { x: data.map(([x]) => [x]), y: data.map(([, y]) => [y]) },
    };
  };

  test("the network is the one that was trained", () => {
    const { net, data } = setUp();
    expect([mse(net.forward(data.x), data.y)]).toBeAllClose([0.08535026741838202], { relative: 1e-12 });
  });

  test.each<[string, string, Weights]>([
    ["all weights", "all", "all"],
    ["the last layer", "ll", "lastLayer"],
    ["single weights", "subnet", { indices: [1, 3, 5, 6, 7, 9] }],
  ])("curvature of %s, to 5e-7 of its norm", (_, key, weights) => {
    const { net, data } = setUp();
    const due = table(`hessian_regression_${key}_full_ggn.csv`).flat();
    const found = curvatureOf(net, "regression", data, { structure: "full", weights });
    expect(found.dense().data).toBeAllClose(due, { relative: 0, absolute: 5e-7 * Math.hypot(...due) });
  });

  test("evidence and a prediction at the numbers of the notes", async () => {
    const { net, data } = setUp();
    const posterior = await laplace(net, { likelihood: "regression", structure: "full", checks: false }).fit(data);
    const { logLikelihood, logDetPosterior, scatter, logMarginalLikelihood } = posterior.evidence();
    expect([posterior.loss, logLikelihood, logDetPosterior, scatter, logMarginalLikelihood]).toBeAllClose(
      [12.802540112757303, -288.4841000741591, 37.0737420708701, 37.97340875671092, -326.0076754879496],
      { relative: 1e-10 },
    );
    const { mean, functionVariance, variance } = posterior.predict([[7.233209025552167]]);
    expect([mean.item(), functionVariance.item()]).toBeAllClose([0.73649593, 0.0147738288026803], { relative: 2e-8 });
    expect([variance.item()]).toBeAllClose([1 + 0.0147738288026803], { relative: 1e-9 });
  });
});
