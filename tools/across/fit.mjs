// Fits posteriors with the packed library, in whatever Node runs this, and writes them to a file with inputs and
// predictions; so it does with models of tables that the packed command line fits, and with what is estimated from a seed.
//
//   node fit.mjs <file to write> <table.csv>:<target> …
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import * as library from "laplace-ts";
import { estimates } from "./estimates.mjs";

const { adam, chain, crossEntropy, dense, kernels, laplace, loadTableModel, mse, savePosterior, tanh } = library;
const { toyMulti, toyRegression, train } = library;

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

/** A table's rows as texts by the names of the columns; these tables have no delimiter within quotes. */
function readRows(path) {
  const [names, ...rows] = readFileSync(path, "utf8")
    .trim()
    .split(/\r?\n/)
    .map((line) => line.split(",").map((cell) => cell.replace(/^"(.*)"$/, "$1")));
  return rows.map((row) => Object.fromEntries(row.map((cell, j) => [names[j], cell])));
}

const [output, ...tables] = process.argv.slice(2);
for (const table of tables) {
  const [path, target] = table.split(":");
  const model = "across.safetensors";
  const program = "node_modules/laplace-ts-cli/laplace.js";
  execFileSync(process.execPath, [program, "fit", path, "--target", target, "-o", model, "--no-report", "--json"]);
  const bytes = readFileSync(model);
  const rows = readRows(path);
  const { mean, sd, lower, upper, probabilities, epistemic, far } = loadTableModel(bytes).predict(rows);
  const numbers = mean === undefined ? { probabilities: probabilities.data } : { mean, sd, lower, upper };
  const prediction = Object.entries({ ...numbers, epistemic, far: far.map(Number) }).map(([key, data]) => [
    key,
    [...data],
  ]);
  const file = bytes.toString("base64");
  cases.push({ name: `${basename(path)}, ${target}`, file, rows, prediction: Object.fromEntries(prediction) });
}
const { build } = kernels.info();
const estimated = await estimates(library);
writeFileSync(output, JSON.stringify({ runtime: `Node ${process.version}`, build, cases, estimated }));
