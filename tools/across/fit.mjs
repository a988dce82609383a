// Fits posteriors with the packed library, in whatever Node runs this, and writes them to a file with inputs and
// predictions; so it does with models of tables that the packed command line fits, and with what is estimated from a seed.
//
//   node fit.mjs <file to write> <table.csv>:<target> …
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import * as library from "laplace-ts";
import { estimates } from "./estimates.mjs";

const { adam, binaryCrossEntropy, chain, crossEntropy, dense, kernels, laplace, loadTableModel, mse, NDArray } =
  library;
const { savePosterior, saveTableModel, tableEncoding, tableModel, tanh, toyMulti, toyRegression, train } = library;

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

/** What a table's model predicts of rows of texts. */
function predicted(model, rows) {
  const { mean, sd, lower, upper, probabilities, epistemic, far } = model.predict(rows);
  const numbers = mean === undefined ? { probabilities: probabilities.data } : { mean, sd, lower, upper };
  const all = Object.entries({ ...numbers, epistemic, far: far.map(Number) });
  return Object.fromEntries(all.map(([key, data]) => [key, [...data]]));
}

/** Models with an effect of each of 300 categories; one of classes raises its probabilities to a power. */
async function withEffects(likelihood) {
  const categories = 300;
  const targetOf = (i) => Math.sin(i) + Math.cos((i % categories) ** 2);
  const records = Array.from({ length: 900 }, (_, i) => ({
    a: String((i * 7) % 11),
    city: i % 13 === 0 ? "" : `c${i % categories}`,
    y: likelihood === "regression" ? targetOf(i).toFixed(4) : targetOf(i) > 0 ? "yes" : "no",
  }));
  const names = ["a", "city", "y"];
  const table = { names, rows: records.map((record) => names.map((name) => record[name])) };
  const open = tableEncoding(table, { target: "y", manyCategories: "effects" });
  const [, { categories: listed }] = open.columns;
  const encoding = open.withEffects({
    city: {
      values: listed.map((name) => Math.cos(Number(name.slice(1)) ** 2)),
      open: listed.map((_, k) => 0.1 + 0.3 / (1 + k)),
      deviations: [0.7],
    },
  });
  const { x } = encoding.encode(records);
  const size = records.length;
  const data = {
    x: new NDArray(x, [size, encoding.inputs.length]),
    y: new NDArray(
      Float64Array.from(records, ({ y }) => encoding.encodeTarget(y)),
      [size, 1],
    ),
  };
  const net = chain({ inputs: encoding.inputs.length, seed: 1, dtype: "float64" }, dense(6, tanh), dense(1));
  await train(net, data, {
    loss: likelihood === "binary" ? binaryCrossEntropy : mse,
    optimizer: adam({ learningRate: 0.02 }),
    epochs: 20,
    batchSize: 100,
  });
  const posterior = await laplace(net, { likelihood, checks: false }).fit(data);
  const model = tableModel({ posterior, encoding, ...(likelihood === "binary" && { probabilityPower: 1.7 }) });
  const fresh = ["c1", "c17", "elsewhere", ""].flatMap((city) => ["3", "9.5", ""].map((a) => ({ a, city })));
  const file = Buffer.from(saveTableModel(model)).toString("base64");
  const name = `effects of ${listed.length} categories, ${likelihood}`;
  return { name, file, rows: fresh, prediction: predicted(model, fresh) };
}
for (const likelihood of ["regression", "binary"]) cases.push(await withEffects(likelihood));

const [output, ...tables] = process.argv.slice(2);
for (const table of tables) {
  const [path, target] = table.split(":");
  const model = "across.safetensors";
  const program = "node_modules/laplace-ts-cli/laplace.js";
  execFileSync(process.execPath, [program, "fit", path, "--target", target, "-o", model, "--no-report", "--json"]);
  const bytes = readFileSync(model);
  const rows = readRows(path);
  const file = bytes.toString("base64");
  cases.push({ name: `${basename(path)}, ${target}`, file, rows, prediction: predicted(loadTableModel(bytes), rows) });
}
const { build } = kernels.info();
const estimated = await estimates(library);
writeFileSync(output, JSON.stringify({ runtime: `Node ${process.version}`, build, cases, estimated }));
