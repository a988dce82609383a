// The API's pages: TypeDoc writes a page for each export from its docstrings; they are put together here, a page for each
// floor of the house and one for laplace-ts/graph, with an index of first sentences and a sidebar.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What src/ has, as readers know it, in the order of the sidebar. */
const floors = {
  laplace: "Laplace",
  likelihood: "Likelihoods",
  curvature: "Curvature",
  structures: "Structures",
  evaluation: "Evaluation",
  io: "Files",
  network: "Networks",
  training: "Training",
  losses: "Losses",
  derivatives: "Derivatives",
  data: "Data",
  array: "Arrays",
  linalg: "Linear algebra",
  kernels: "Kernels",
  errors: "Errors",
  remote: "Workers",
  graph: "laplace-ts/graph",
};

/** Floors whose page is another's: a reader of `Posterior` looks for all of it there. */
const beside = { posterior: "laplace", prediction: "laplace", diagnosis: "laplace" };

/** TypeDoc's folders: functions and values come first on a page, then what they take and give. */
const folders = ["functions", "variables", "classes", "interfaces", "type-aliases"];

/** The first sentence of a docstring, on one line of a table. */
function firstSentence({ comment, signatures, type }) {
  const summary = (comment ?? signatures?.[0]?.comment ?? type?.declaration?.signatures?.[0]?.comment)?.summary ?? [];
  const text = summary
    .map((part) => part.text)
    .join("")
    .replace(/\s+/g, " ");
  return (text.match(/^.*?[.:](?= [A-Z`(]|$)/)?.[0] ?? text).replaceAll("|", "\\|").replaceAll("<", "&lt;");
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
    const own = symbolIdMap[child.id].packagePath.split("/")[1].replace(/\.ts$/, "");
    const floor = module === "graph" ? "graph" : (beside[own] ?? own);
    const pages = folders.map((folder) => join(members, module, folder, `${child.name}.md`));
    const order = pages.findIndex((page) => existsSync(page));
    const about = firstSentence(child);
    if (!(floor in floors)) throw new Error(`tools/docs-api.mjs has no heading for src/${floor}.`);
    if (about === "") throw new Error(`${child.name} has no docstring.`);
    return { name: child.name, floor, order, about, page: pages[order] };
  });
  exported.sort((a, b) => a.order - b.order || (a.name < b.name ? -1 : 1));
  const pageOf = new Map(exported.map(({ name, floor }) => [name, floor]));
  if (pageOf.size < exported.length) throw new Error("tools/docs-api.mjs: two exports have the same name.");

  const index = [
    "# API",
    "",
    "Everything the package exports, from its docstrings, which your editor shows too; `laplace-ts/graph` comes last.",
  ];
  const sidebar = [{ text: "All exports", link: "/api/" }];
  for (const [floor, heading] of Object.entries(floors)) {
    const entries = exported.filter((one) => one.floor === floor);
    if (entries.length === 0) continue;
    const rows = entries.map(({ name, about }) => `| [${name}](./${floor}.md#${name}) | ${about} |`);
    index.push("", `## ${heading}`, "", "| export | what it is |", "|---|---|", ...rows);
    sidebar.push({ text: heading, link: `/api/${floor}` });
    const sections = entries.map((one) => asSection(readFileSync(one.page, "utf8"), one, pageOf));
    writeFileSync(
      join(api, `${floor}.md`),
      `---\noutline: 2\n---\n\n# ${heading} {#page}\n\n${sections.join("\n\n")}\n`,
    );
  }
  writeFileSync(join(api, "index.md"), `${index.join("\n")}\n`);
  writeFileSync(join(api, "sidebar.json"), JSON.stringify(sidebar));
}
