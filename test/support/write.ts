// Writes the table of support for the documentation: every operation on every layer, called when this runs.
//
//   node build/docs/support/test/support/write.js docs/generated/support.json

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { supportCases } from "./cases.ts";
import { operations, subjectOfCase, supportOf } from "./operations.ts";

const [, , path] = process.argv;
if (path === undefined) throw new Error("Give the file that the table goes to.");
const rows = [];
for (const one of supportCases) {
  const found = await supportOf(subjectOfCase(one));
  const results = found.map((result) => (result === true ? "" : result.message));
  rows.push({ layer: one.layers[0], options: one.options, results });
}
mkdirSync(dirname(path), { recursive: true });
writeFileSync(path, JSON.stringify({ operations: operations.map(({ name }) => name), rows }, null, 1));
const gaps = rows.flatMap(({ results }) => results).filter((message) => message !== "").length;
process.stderr.write(`${rows.length} networks, ${operations.length} operations, ${gaps} of them missing\n`);
