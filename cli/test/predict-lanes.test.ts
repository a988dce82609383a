// Rows that are predicted side by side: in the table's order, to the bit as one thread predicts them, and nothing is lost with a thread.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { chain, dense, laplace, NDArray, Random, tableEncoding, tableModel, tanh } from "laplace-ts";
import { describe, expect, test } from "vitest";
import { inOrder, predictionLanes } from "../src/commands/predict-lanes.ts";
import { predictRows, type RowsJob } from "../src/commands/predict-rows.ts";
import { workFolder } from "./laplace.ts";

const folder = workFolder();
const random = new Random(4);
const rows = Array.from({ length: 40 }, (_, i) => [String(random.normal()), "uv"[i % 2], String(random.normal())]);
const encoding = tableEncoding({ names: ["a", "c", "y"], rows }, { target: "y" });
const { x, unusual, gaps } = encoding.encode(rows.map(([a, c]) => ({ a, c })));
const width = encoding.inputs.length;
const data = {
  x: new NDArray(x, [40, width]),
  y: new NDArray(
    Float64Array.from(rows, ([, , y]) => encoding.encodeTarget(y) ?? 0),
    [40, 1],
  ),
};
const net = chain({ inputs: width, seed: 1, dtype: "float64" }, dense(3, tanh), dense(1));
const posterior = await laplace(net, { likelihood: "regression", checks: false }).fit(data);
const model = tableModel({ posterior, encoding });
const written = { names: ["a", "c"], delimiter: ";", levels: [0.5, 0.9] };
/** More than are predicted before other threads are started. */
const jobs: RowsJob[] = Array.from({ length: 37 }, (_, i) => {
  const own = x.map((value, j) => value + Math.sin(i * j));
  return { own: { x: own, unusual: unusual.map((_, k) => (k === i ? ["a"] : [])), gaps }, others: [] };
});
const alone = jobs.map((job) => predictRows(model, written, job));

async function* of<T>(values: readonly T[], gap = () => Promise.resolve()) {
  for (const value of values) {
    await gap();
    yield value;
  }
}
async function collected<T>(all: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const one of all) found.push(one);
  return found;
}
const threadOf = (name: string, program: string) => {
  const file = join(folder, name);
  writeFileSync(file, program);
  return pathToFileURL(file);
};

describe("rows side by side", () => {
  test("are counted by the columns that made them far", () => {
    expect(alone[3]).toMatchObject({ far: 1, farColumns: [["a", 1]] });
    expect(alone[3].added[3]).toMatch(/;true;a$/);
    expect(alone[3].added[4]).toMatch(/;false;$/);
  });

  test.each([
    ["this thread alone", 1, undefined],
    ["threads of the built program", 3, pathToFileURL("cli/dist/commands/predict-thread.js")],
    ["a thread that cannot start", 2, threadOf("no.mjs", 'throw new Error("no");')],
    [
      "a thread that ends with its second batch",
      2,
      threadOf(
        "second.mjs",
        'import { parentPort } from "node:worker_threads"; let n = 0; parentPort.on("message", () => { if (++n === 2) process.exit(1); });',
      ),
    ],
    [
      "a thread that fails each",
      2,
      threadOf(
        "fails.mjs",
        'import { parentPort } from "node:worker_threads"; parentPort.on("message", () => parentPort.postMessage(undefined));',
      ),
    ],
  ])("%s", async (_, cores, file) => {
    const lanes = predictionLanes(model, written, cores, file);
    try {
      expect(await collected(inOrder(of(jobs), (job) => lanes.do(job), lanes.most))).toEqual(alone);
    } finally {
      lanes.close();
    }
  });
});

describe("pieces in their order", () => {
  const later = (value: number, milliseconds: number) =>
    new Promise<number>((resolve) => setTimeout(() => resolve(value), milliseconds));

  test("however long each takes, with no more under way than may be", async () => {
    let [now, most] = [0, 0];
    const start = (i: number) => {
      if (i % 5 === 4) return undefined;
      most = Math.max(most, ++now);
      return later(i, (7 * i) % 11).finally(() => now--);
    };
    const values = Array.from({ length: 30 }, (_, i) => i);
    expect(await collected(inOrder(of(values), start, 4))).toEqual(values.filter((i) => i % 5 !== 4));
    expect(most).toBe(4);
  });

  test("what is done does not wait for what is still to come", async () => {
    let come = () => {};
    const second = new Promise<void>((resolve) => {
      come = resolve;
    });
    let first = true;
    const gap = () => {
      if (!first) return second;
      first = false;
      return Promise.resolve();
    };
    const results = inOrder(of([1, 2], gap), (i) => later(i, 1), 8);
    expect((await results.next()).value).toBe(1);
    come();
    expect((await results.next()).value).toBe(2);
    expect((await results.next()).done).toBe(true);
  });

  test.each([
    ["reading", (i: number) => later(i, 3), 3],
    ["the start", (i: number) => (i === 3 ? never() : later(i, 3)), 9],
    ["the piece", (i: number) => (i === 3 ? later(i, 1).then(never) : later(i, 3)), 9],
  ])("an error of %s comes after all before it, and what is read is closed", async (_, start, ends) => {
    let closed = false;
    async function* pieces() {
      try {
        for (let i = 0; i < 6; i++) yield i === ends ? never() : i;
      } finally {
        closed = true;
      }
    }
    const found: number[] = [];
    const all = async () => {
      for await (const one of inOrder(pieces(), start, 8)) found.push(one);
    };
    await expect(all()).rejects.toThrow("no more");
    expect(found).toEqual([0, 1, 2]);
    expect(closed).toBe(true);
  });
});

function never(): never {
  throw new Error("no more");
}
