// Tables of many rows: all of them are learned from, in bounded memory, and no worse than a sample.

import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { Random } from "laplace-ts";
import { expect, test } from "vitest";
import { laplace, workFolder } from "./laplace.ts";

const folder = workFolder();
const at = (name: string) => join(folder, name);

/** Writes rows of which the target is a bent function with noise. */
async function write(path: string, rows: number, seed: number, more = 0): Promise<void> {
  const random = new Random(seed);
  const out = createWriteStream(path);
  const others = Array.from({ length: more }, (_, j) => `z${j}`);
  out.write(`${["a", "b", "c", "k", "day", ...others, "y"].join()}\n`);
  for (let i = 0; i < rows; i++) {
    const [a, b, c] = [random.normal(), random.normal(), random.uniform()];
    const k = Math.floor(5 * random.uniform());
    const day = new Date(86_400_000 * Math.floor(18_000 + 300 * random.uniform())).toISOString().slice(0, 10);
    const y = Math.sin(2 * a) + a * b + 2 * c ** 2 + [0, 1, -1, 0.5, 2][k] + 0.3 * random.normal();
    const cells = [a, b.toFixed(3), i % 50 === 0 ? "" : c.toPrecision(6), `kind ${k}`, day];
    const rest = others.map(() => random.normal());
    if (!out.write(`${[...cells, ...rest, y.toFixed(4)].join()}\n`)) await once(out, "drain");
  }
  out.end();
  await once(out, "close");
}

test("all of 120,000 rows are learned from, and predict no worse than a sample of 50,000", {
  timeout: 1_800_000,
}, async () => {
  await write(at("many.csv"), 120_000, 1);
  await write(at("fresh.csv"), 20_000, 2);
  const nllOf = async (model: string, ...more: string[]) => {
    // One network, so that the test takes a minute or two.
    const files = ["-o", at(model), "--no-report", "--json", "--hidden", "24,24"];
    const run = await laplace(["fit", at("many.csv"), "-t", "y", ...files, ...more]);
    expect(run.code).toBe(0);
    const judged = await laplace(["evaluate", at(model), at("fresh.csv"), "--json"]);
    return { fit: JSON.parse(run.stdout), said: run.stderr, metrics: JSON.parse(judged.stdout).metrics };
  };
  const all = await nllOf("all.st");
  const sample = await nllOf("sample.st", "--max-rows", "50000");
  expect(all.fit.rows).toMatchObject({ train: 81_600, validation: 14_400, test: 24_000 });
  expect(all.said).toMatch(/120,000 rows: about .+ of memory/);
  expect(sample.fit.rows).toMatchObject({ train: 40_000, test: 10_000 });
  // −log p of the truth, were the function known.
  const known = 0.5 * Math.log(2 * Math.PI * Math.E * 0.3 ** 2);
  expect(all.metrics.negativeLogLikelihood).toBeLessThan(sample.metrics.negativeLogLikelihood + 0.005);
  expect(all.metrics.negativeLogLikelihood).toBeLessThan(known + 0.06);
  // The held-out rows are honest: they agree with fresh ones to two standard errors, of 24,000 rows and of 20,000.
  expect(Math.abs(all.fit.metrics.negativeLogLikelihood - all.metrics.negativeLogLikelihood)).toBeLessThan(
    2 * 0.75 * Math.sqrt(1 / 24_000 + 1 / 20_000) + 0.002,
  );
  expect(Math.abs(all.metrics.intervalCoverage - 0.9)).toBeLessThan(0.02);
});

test("300,000 rows of 16 columns are in memory in 15 bytes a cell, where texts would not fit", {
  timeout: 300_000,
}, async () => {
  await write(at("wide.csv"), 300_000, 3, 10);
  const program = `
    import { openTable } from "./cli/dist/table/open.js";
    import { readTable } from "./cli/dist/table/read.js";
    const used = () => { gc(); const { heapUsed, arrayBuffers } = process.memoryUsage(); return heapUsed + arrayBuffers; };
    const before = used();
    const table = await readTable(await openTable(${JSON.stringify(at("wide.csv"))}));
    console.log(JSON.stringify({ rows: table.rows.length, last: table.rows[299999].length, bytes: used() - before }));
  `;
  // 4.8 million cells as texts take more than 200 MB of the heap.
  const args = ["--expose-gc", "--max-old-space-size=100", "--input-type=module", "-e", program];
  const found = JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" }));
  expect(found).toMatchObject({ rows: 300_000, last: 16 });
  expect(found.bytes).toBeLessThan(15 * 16 * 300_000);
});
