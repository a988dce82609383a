// Fits posteriors with the packed library, in whatever Node runs this, and writes them with inputs and predictions to a file.
import { writeFileSync } from "node:fs";
import {
  adam,
  chain,
  crossEntropy,
  dense,
  kernels,
  laplace,
  mse,
  savePosterior,
  tanh,
  toyMulti,
  toyRegression,
  train,
} from "laplace-ts";

const regression = {
  likelihood: "regression",
  data: toyRegression({ samples: 60, centerOrigin: true, seed: 1 }),
  net: chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(12, tanh), dense(1)),
  loss: mse,
  x: Array.from({ length: 25 }, (_, i) => [i / 2 - 6]),
};
const classification = {
  likelihood: "classification",
  data: toyMulti({ samples: 60, seed: 1 }),
  net: chain({ inputs: 2, seed: 1, dtype: "float64" }, dense(8, tanh), dense(4)),
  loss: crossEntropy,
  x: Array.from({ length: 25 }, (_, i) => [i - 12, (i * i) / 20 - 8]),
};

const cases = [];
for (const { likelihood, data, net, loss, x } of [regression, classification]) {
  await train(net, data, {
    loss,
    optimizer: adam({ learningRate: 0.01 }),
    epochs: 500,
    batchSize: 60,
    weightDecay: 1e-3,
  });
  for (const structure of ["full", "kronecker"]) {
    const posterior = (await laplace(net, { likelihood, structure, checks: false }).fit(data)).optimizePrior();
    const prediction = Object.entries(posterior.predict(x)).map(([name, { data }]) => [name, [...data]]);
    const file = Buffer.from(savePosterior(posterior)).toString("base64");
    cases.push({ name: `${likelihood}, ${structure}`, file, x, prediction: Object.fromEntries(prediction) });
  }
}
writeFileSync(
  process.argv[2],
  JSON.stringify({ runtime: `Node ${process.version}`, build: kernels.info().build, cases }),
);
