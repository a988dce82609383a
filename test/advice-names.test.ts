// What messages of the sources name to be used exists: options of the library, its functions, and options of the command line.

import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import * as library from "../src/index.ts";

function sourcesOf(folder: string): { file: string; text: string }[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => `${entry.parentPath}/${entry.name}`)
    .filter((file) => !file.includes("assembly") && !file.includes("generated"))
    .map((file) => ({ file, text: readFileSync(file, "utf8") }));
}

/** Texts between quotes that have words, which is what messages are; comments are left out. */
function messagesOf(text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
  return [...code.matchAll(/`([^`]*)`|"([^"\n]*)"|'([^'\n]*)'/g)]
    .map((match) => (match[1] ?? match[2] ?? match[3]).replace(/\$\{[^}]*\}/g, "…"))
    .filter((message) => message.includes(" "));
}

const sources = sourcesOf("src");
// A worker's program is a text too.
const messages = sources
  .filter(({ file }) => !file.endsWith("threads.ts"))
  .flatMap(({ file, text }) => messagesOf(text).map((message) => ({ file, message })));
const named = (pattern: RegExp) => [
  ...new Set(messages.flatMap(({ message }) => [...message.matchAll(pattern)].map((match) => match[1]))),
];

const options = named(/\bthe options? (?!must)([a-z]\w+)/g);
test.each(options)("the option %s is declared as one", (name) => {
  const declared = new RegExp(`^\\s*(readonly )?${name}\\??:`, "m");
  expect(sources.some(({ text }) => declared.test(text))).toBe(true);
});

const net = library.chain({ inputs: 1 }, library.dense(1));
const fit = library.laplace(net, { likelihood: "regression", checks: false });
const posterior = await fit.fit({ x: [[1], [2]], y: [[1], [0]] });
const kronecker = library.laplace(net, { likelihood: "regression", structure: "kronecker", checks: false });
const factors = (await kronecker.fit({ x: [[1], [2]], y: [[1], [0]] })).curvature;
/** What has methods. */
const things: object[] = [net, fit, posterior, posterior.curvature, factors, library.zeros([1])];

const functions = named(/\b([a-z]\w+)\((?:\)|\{)/g);
test.each(functions)("the function %s exists", (name) => {
  expect(name in library || things.some((thing) => name in thing)).toBe(true);
});

test("the texts that are looked at are there", () => {
  expect(options).toContain("memoryBudget");
  expect(functions).toContain("optimizePrior");
});

test("every option that the command line's messages name is one that a command declares", () => {
  // The report's styles have variables that are written like options.
  const all = sourcesOf("cli/src").filter(({ file }) => !file.includes("report"));
  // Declared with their values, such as "--decimal <mark>", or with a short form; those of commander itself are always there.
  const declared = new Set(
    all.flatMap(({ text }) =>
      [...text.matchAll(/[oO]ption\(\s*["'](?:-\w, )?(--[a-z-]+)[^"'\n]*["']/g)].map((match) => match[1]),
    ),
  );
  const said = all.flatMap(({ text }) =>
    messagesOf(text).flatMap((message) =>
      [...message.matchAll(/(?<![\w-])(--[a-z][a-z-]*)/g)].map((match) => match[1]),
    ),
  );
  expect(said.length).toBeGreaterThan(10);
  expect(
    said.filter(
      (name) =>
        !["--help", "--version"].includes(name) && !declared.has(name) && !declared.has(name.replace("--no-", "--")),
    ),
  ).toEqual([]);
});
