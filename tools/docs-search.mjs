// Asks the built site's own search index what readers type. A page must be among the first answers.
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { searchOptions } from "../docs/.vitepress/search.mjs";

/** What is typed, and a page that must be found. Words that the pages themselves do not use are among them. */
const questions = {
  chart: "/drawing",
  plot: "/drawing",
  graph: "/drawing",
  d3: "/drawing",
  interval: "/conformal",
  "prediction interval": "/conformal",
  confidence: "/conformal",
  "confidence interval": "/conformal",
  "error bar": "/predictions",
  "error bars": "/start",
  probability: "/predictions",
  uncertain: "/predictions",
  uncertainty: "/evaluation",
  overconfident: "/diagnosis",
  calibration: "/evaluation",
  accuracy: "/evaluation",
  anomaly: "/evaluation",
  "standard deviation": "/predictions",
  csv: "/command-line",
  excel: "/command-line",
  pytorch: "/pytorch",
  save: "/files",
  install: "/start",
  cdn: "/import-maps",
  webpack: "/vite",
  react: "/vite",
  freeze: "/workers",
  "web worker": "/workers",
  csp: "/csp",
  "unsafe-eval": "/csp",
  slow: "/performance",
  memory: "/performance",
  threads: "/performance",
  hyperparameter: "/evidence",
  overfitting: "/evidence",
  regression: "/predictions",
  classification: "/likelihoods",
  counts: "/likelihoods",
  lstm: "/networks",
  transformer: "/networks",
  example: "/gallery",
  jacobian: "/derivatives",
  hessian: "/curvature",
  kfac: "/structures",
};

/** How many answers a reader sees without scrolling. */
const seen = 5;

/** @throws Error listing every question whose page is not seen */
export async function checkSearch(folder) {
  const chunks = join(folder, "assets/chunks");
  const name = readdirSync(chunks).find((file) => file.startsWith("@localSearchIndexroot."));
  if (name === undefined) throw new Error("The site has no search index.");
  // The chunk is one string of JSON, exported.
  const text = readFileSync(join(chunks, name), "utf8").replace(/export\s*\{[^}]*\};?\s*$/, "");
  const json = new Function(`${text}\nreturn ${text.match(/^const (\w+)/)[1]};`)();
  const require = createRequire(resolve("docs/package.json"));
  const { default: MiniSearch } = await import(require.resolve("minisearch"));
  const index = MiniSearch.loadJSON(json, {
    fields: ["title", "titles", "text"],
    storeFields: ["title", "titles"],
    searchOptions,
  });
  const bad = [];
  for (const [question, page] of Object.entries(questions)) {
    const found = index.search(question).slice(0, seen);
    const pages = found.map(({ id }) => id.replace(/(\.html)?(#.*)?$/, ""));
    if (!pages.includes(page)) bad.push(`"${question}" finds ${found.map(({ id }) => id).join(", ")}, not ${page}`);
  }
  if (bad.length > 0) throw new Error(`The search does not find:\n${bad.join("\n")}`);
  return Object.keys(questions).length;
}
