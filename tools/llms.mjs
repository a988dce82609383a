// What programs that write programs read, made of the documentation: AGENTS.md, at the root of a clone and of the package,
// and llms.txt (https://llmstxt.org), there and on the site, where llms-full.txt has all pages as one.
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const read = (path) => readFileSync(join(root, path), "utf8");
const { description, homepage } = JSON.parse(read("package.json"));

/** The pages in the order of the sidebar, under its headings: { heading, pages: [{ title, path }] }. */
function sections() {
  const config = read("docs/.vitepress/config.mjs");
  const guide = config.slice(config.indexOf("const guide = ["), config.indexOf("\n];"));
  const found = [...guide.matchAll(/text: "([^"]+)"|page\("([^"]+)", "\/([\w-]+)"\)/g)];
  const list = [];
  for (const [, heading, title, path] of found) {
    if (heading !== undefined) list.push({ heading, pages: [] });
    else list.at(-1).pages.push({ title, path });
  }
  return list;
}

/** A page without what only the site understands. */
const plain = (text) =>
  text
    .replace(/^---\n[\s\S]*?\n---\n/, "")
    .replace(/<script setup>[\s\S]*?<\/script>|<style[\s\S]*?<\/style>|<!--[\s\S]*?-->/g, "");

/** The first sentence under a page's heading, on one line, without links. */
function about(path) {
  const [, after = ""] = plain(read(`docs/${path}.md`)).split(/^# .*$/m);
  const paragraph = after.split(/\n\s*\n/).find((part) => /^[\w"*`[]/.test(part.trim())) ?? "";
  const text = paragraph
    .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/\s+/g, " ")
    .trim();
  return text.match(/^.*?[.:](?= |$)/)?.[0].replace(/:$/, ".") ?? text;
}

const listOf = ({ pages }) =>
  pages.map(({ title, path }) => `- [${title}](${homepage}${path}.html): ${about(path)}`).join("\n");

/** llms.txt: every page, with what it is about. */
export function llmsText() {
  const lists = sections().map((section) => `## ${section.heading}\n\n${listOf(section)}`);
  const notes =
    "The API by name, with shapes and errors, is in the declarations that the package brings (`dist/*.d.ts`).";
  return `# laplace-ts\n\n> ${description}\n\n${notes}\n\n${lists.join("\n\n")}\n`;
}

/** llms-full.txt: all pages. */
export function llmsFull() {
  const pages = sections().flatMap((section) => section.pages.map(({ path }) => plain(read(`docs/${path}.md`)).trim()));
  return `${llmsText()}\n${pages.join("\n\n")}\n`;
}

/** A section of a page, with its heading. @throws Error where there is none */
function sectionOf(path, heading) {
  const found = read(path).match(new RegExp(`^## ${heading}\\n[\\s\\S]*?(?=^## |$(?![\\s\\S]))`, "m"));
  if (found === null) throw new Error(`${path} has no section "${heading}".`);
  return found[0]
    .trim()
    .replace(/\]\((?!https:)([^)]+)\)/g, `](${"https://github.com/laplace-ts/laplace-ts/blob/main/"}$1)`);
}

/** AGENTS.md: how to use the package, and how to work on it. */
export function agentsText() {
  const intro = `# laplace-ts, for agents\n\n${description}. Made of README, CONTRIBUTING and docs/ by the build: change those.`;
  const use = sectionOf("README.md", "Try it").replace(/^## .*$/m, "## Use it");
  const rules = [
    "Begin",
    "How the house is built",
    "Add a structure",
    "Add a likelihood",
    "Add a primitive",
    "Send it",
  ];
  const work = rules.map((heading) => sectionOf("CONTRIBUTING.md", heading));
  const pages = sections().map((section) => `### ${section.heading}\n\n${listOf(section)}`);
  return `${[intro, use, sectionOf("README.md", "What works"), ...work, "## Pages", ...pages].join("\n\n")}\n`;
}

/** Writes what a clone and the package have. */
export function writeForAgents() {
  writeFileSync(join(root, "AGENTS.md"), agentsText());
  writeFileSync(join(root, "llms.txt"), llmsText());
}
