// The API's pages: TypeDoc writes a page for each export from its docstrings; they are put together here, a page for each
// topic and for each other entry point, with an overview of first sentences and a sidebar.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * What readers look for, in the order of the sidebar: groups of pages, each with its name, a line about it, and where in src/
 * the exports are that it has. The longest of the names that fit counts.
 */
const groups = {
  Posteriors: {
    laplace: ["Laplace", "Fit, tune, predict, diagnose.", ["laplace", "posterior", "prediction", "diagnosis"]],
    likelihood: ["Likelihoods", "What targets are: numbers, classes, labels, counts, or your own.", ["likelihood"]],
    evaluation: ["Evaluation", "Scores of predictions, calibration, conformal intervals and sets.", ["evaluation"]],
    search: ["Where to look next", "Acquisition functions, Thompson draws, inputs worth a label.", ["search"]],
    structures: ["Structures", "Which covariances of weights are kept, which weights, which prior.", ["structures"]],
    curvature: ["Curvature", "The matrix that a posterior is made of, by itself.", ["curvature"]],
  },
  "Networks and training": {
    layers: ["Layers", "What networks are built of.", ["network/layers"]],
    network: ["Networks", "A network as a value: outputs, parameters, clones.", ["network"]],
    training: ["Training", "The training loop, optimisers, a progress bar.", ["training"]],
    losses: ["Losses", "What training makes small.", ["losses"]],
    derivatives: ["Derivatives", "Gradients for each example, Jacobians, products with vectors.", ["derivatives"]],
  },
  "Data and files": {
    data: [
      "Data",
      "Datasets, batches, splits, toy data.",
      ["data/batches", "data/class-weights", "data/dataset", "data/gather", "data/loader", "data/split", "data/toy"],
    ],
    tables: ["Tables", "Columns of texts to numbers and back, and models of tables.", ["data", "io/table"]],
    io: ["Files", "Posteriors, fits and weights as bytes.", ["io"]],
  },
  "Numbers and runtime": {
    array: ["Arrays", "Arrays of numbers, random numbers, products of many matrices.", ["array"]],
    linalg: ["Linear algebra", "Cholesky, triangular solves, eigenvalues.", ["linalg"]],
    remote: ["Workers", "The same calls on a worker.", ["remote", "shards", "worker.ts"]],
    kernels: ["Kernels", "Threads, memory, which build of the kernels runs.", ["kernels"]],
    errors: ["Errors", "Every error that the library throws.", ["errors.ts"]],
  },
  "Other entry points": {
    graph: ["laplace-ts/graph", "Primitives of your own, and importers of networks.", []],
    executor: ["laplace-ts/executor", "Work in shards as files, for executors of your own.", []],
    cluster: ["laplace-ts-cluster", "One fit over many machines.", []],
    models: ["laplace-ts-models", "Networks trained elsewhere, read and written.", []],
  },
};

/** Entry points with a page of their own, as TypeDoc names them. */
const entries = { "src/graph": "graph", "src/executor": "executor", "models/src": "models", "cluster/src": "cluster" };

const topics = Object.values(groups).flatMap((pages) => Object.entries(pages));

/** The page that an export is on. @throws Error for a file of src/ that no page names */
function topicOf(module, file) {
  if (entries[module] !== undefined) return entries[module];
  const fits = topics.flatMap(([topic, [, , files]]) =>
    files.filter((name) => file.startsWith(name)).map((name) => ({ topic, length: name.length })),
  );
  if (fits.length === 0) throw new Error(`tools/docs-api.mjs has no page for src/${file}.`);
  return fits.reduce((best, fit) => (fit.length > best.length ? fit : best)).topic;
}

/** TypeDoc's folders: functions and values come first on a page, then what they take and give. */
const folders = ["functions", "variables", "classes", "interfaces", "type-aliases"];

/** The first sentence of a docstring, on one line of a table. */
function firstSentence({ comment, signatures, type }) {
  const summary = (comment ?? signatures?.[0]?.comment ?? type?.declaration?.signatures?.[0]?.comment)?.summary ?? [];
  const text = summary
    .map((part) => part.text)
    .join("")
    .replace(/\s+/g, " ");
  const sentence = text.match(/^.*?[.:](?= [A-Z`(]|$)/)?.[0] ?? text;
  return sentence.replace(/:$/, ".").replaceAll("|", "\\|").replaceAll("<", "&lt;");
}

/**
 * TypeDoc's page as a section of another: headings one level down, with places of their own on the page, and links to where
 * things are now.
 */
function asSection(page, { name }, pageOf) {
  const places = new Map();
  const placeOf = (heading) => {
    const place = `${name}-${heading.replace(/\W+/g, "")}`;
    const before = places.get(place) ?? 0;
    places.set(place, before + 1);
    return before === 0 ? place : `${place}-${before + 1}`;
  };
  return page
    .replace(/^(#{2,5}) (.*)$/gm, (_, level, heading) => `#${level} ${heading} {#${placeOf(heading)}}`)
    .replace(/^# .*$/m, `## ${name} {#${name}}`)
    .replace(/<a id="[^"]*"><\/a> /g, "")
    .replace(/\[([^\]]*)\]\(#property-\w+\)/g, "$1")
    .replace(/\]\((?:[^)]*\/)?([\w$]+)\.md(?:#[^)]*)?\)/g, (_, target) => `](./${pageOf.get(target)}.md#${target})`)
    .trim();
}

/** Writes docs/api. @throws Error for an export from a floor without a heading, or without a docstring */
export function writeApi() {
  const [members, api] = ["build/docs/api", "docs/api"];
  for (const folder of [members, api]) rmSync(folder, { recursive: true, force: true });
  mkdirSync(api, { recursive: true });
  const json = join(members, "api.json");
  const typedoc = ["docs/node_modules/typedoc/bin/typedoc", "--options", "docs/typedoc.json"];
  execFileSync(process.execPath, [...typedoc, "--out", members, "--json", json], { stdio: "inherit" });

  const { children, symbolIdMap } = JSON.parse(readFileSync(json, "utf8"));
  // What both export is a reference in one of the two.
  const all = children.flatMap((module) =>
    module.children.filter(({ variant }) => variant !== "reference").map((child) => ({ module: module.name, child })),
  );
  const exported = all.map(({ module, child }) => {
    const topic = topicOf(module, symbolIdMap[child.id].packagePath.replace(/^src\//, ""));
    const pages = folders.map((folder) => join(members, module, folder, `${child.name}.md`));
    const order = pages.findIndex((page) => existsSync(page));
    const about = firstSentence(child);
    if (!topics.some(([name]) => name === topic)) throw new Error(`tools/docs-api.mjs has no page "${topic}".`);
    if (about === "") throw new Error(`${child.name} has no docstring.`);
    return { name: child.name, topic, order, about, page: pages[order] };
  });
  exported.sort((a, b) => a.order - b.order || (a.name < b.name ? -1 : 1));
  const pageOf = new Map(exported.map(({ name, topic }) => [name, topic]));
  if (pageOf.size < exported.length) throw new Error("tools/docs-api.mjs: two exports have the same name.");

  const index = [
    "# API by topic",
    "",
    "Everything the package exports, from its docstrings, which your editor shows too.",
  ];
  const sidebar = [{ text: "By topic", link: "/api/" }];
  for (const [group, pages] of Object.entries(groups)) {
    index.push("", `## ${group}`);
    const items = [];
    for (const [topic, [heading, line]] of Object.entries(pages)) {
      const entries = exported.filter((one) => one.topic === topic);
      if (entries.length === 0) throw new Error(`tools/docs-api.mjs: nothing is exported for the page "${topic}".`);
      const rows = entries.map(({ name, about }) => `| [${name}](./${topic}.md#${name}) | ${about} |`);
      index.push("", `### ${heading}`, "", line, "", "| export | what it is |", "|---|---|", ...rows);
      items.push({ text: heading, link: `/api/${topic}` });
      const sections = entries.map((one) => asSection(readFileSync(one.page, "utf8"), one, pageOf));
      writeFileSync(
        join(api, `${topic}.md`),
        `---\noutline: 2\neditLink: false\n---\n\n# ${heading} {#page}\n\n${line}\n\n${sections.join("\n\n")}\n`,
      );
    }
    sidebar.push({ text: group, items });
  }
  writeFileSync(join(api, "index.md"), `---\noutline: [2, 3]\neditLink: false\n---\n\n${index.join("\n")}\n`);
  writeFileSync(join(api, "sidebar.json"), JSON.stringify(sidebar));
}
