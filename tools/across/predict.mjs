// Loads the files that Node wrote, in a page, and holds its own predictions against Node's: the same bits on the same build
// of the kernels, 1e-10 relative on another, where numbers below a thousandth of the largest count as that; of tables 1e-9, since
// the root of a kernel's matrix multiplies rounding. What Node estimated from a seed is estimated here, too.
import * as library from "laplace-ts";
import { estimates } from "/estimates.mjs";

const { kernels, loadPosterior, loadTableModel } = library;

const [RELATIVE, OF_TABLES] = [1e-10, 1e-9];

function worstOf(ours, theirs) {
  if (ours.length !== theirs.length) return Number.POSITIVE_INFINITY;
  const floor = Math.max(...theirs.map(Math.abs)) / 1000;
  return Math.max(...theirs.map((value, i) => Math.abs(ours[i] - value) / Math.max(Math.abs(value), floor)));
}

/** Predictions here: of a posterior for inputs, or of a table's model for rows of texts. */
function predict(bytes, { x, rows }) {
  if (rows === undefined) return loadPosterior(bytes).predict(x);
  const { mean, sd, lower, upper, probabilities, epistemic, far } = loadTableModel(bytes).predict(rows);
  const numbers = mean === undefined ? { probabilities: probabilities.data } : { mean, sd, lower, upper };
  const all = { ...numbers, epistemic, far: far.map(Number) };
  return Object.fromEntries(Object.entries(all).map(([name, data]) => [name, { data }]));
}

const { build } = kernels.info();
const estimated = await estimates(library);
let same = 0;
for (const path of ["/predicted-this.json", "/predicted-lts.json"]) {
  const { runtime, build: theirBuild, cases, estimated: theirs } = await (await fetch(path)).json();
  // Logarithms of Math may differ in the last digit, on the same build too.
  const apart = Object.entries(theirs).map(([name, values]) => worstOf(estimated[name], values));
  if (!(Math.max(...apart) < RELATIVE))
    throw new Error(`Estimates differ from those of ${runtime}: ${apart.join(", ")}.`);
  console.log(`${apart.length} estimates under a seed, of ${runtime}: ${Math.max(...apart).toExponential(0)}`);
  for (const { name, file, prediction, ...inputs } of cases) {
    const bytes = Uint8Array.from(atob(file), (character) => character.charCodeAt(0));
    const ours = predict(bytes, inputs);
    const worst = Object.entries(prediction).map(([key, theirs]) => {
      const identical = theirs.every((value, i) => Object.is(value, ours[key].data[i]));
      return identical ? 0 : worstOf([...ours[key].data], theirs) || Number.MIN_VALUE;
    });
    const bound = build === theirBuild ? 0 : inputs.rows === undefined ? RELATIVE : OF_TABLES;
    if (build === theirBuild) same++;
    if (Math.max(...worst) > bound || worst.some(Number.isNaN)) {
      throw new Error(
        `${name}, of ${runtime} (${theirBuild}): predictions here (${build}) differ by ${worst.join(", ")}.`,
      );
    }
    console.log(
      `${name}, of ${runtime} (${theirBuild}), here (${build}): ${worst.map((w) => w.toExponential(0)).join(", ")}`,
    );
  }
}
if (same === 0) throw new Error(`No file came from the build of this page, ${build}.`);
