// Tables in place whose columns workers cannot decide: this process does, or says why not where it was told that they should.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Executor, type Steps, tableEncoding } from "laplace-ts";
import type { Shards } from "laplace-ts/executor";
import { afterAll, describe, expect, test } from "vitest";
import { type FitInPlace, fitInPlace } from "../src/commands/fit-in-place.ts";
import { tableOf } from "../src/model/rows.ts";
import { openTable } from "../src/table/open.ts";
import { readTable } from "../src/table/read.ts";
import { laplace } from "./laplace.ts";

const folder = mkdtempSync(join(tmpdir(), "laplace-in-place-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function through<Result>(steps: Steps<Result, unknown>): Promise<Result> {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value as Result;
    if (typeof value === "function") await value(() => {});
  }
}

/** Does shards in this process, as they come. */
const here: Executor = {
  async run<Common, Job, Result>({ prepare, task, jobs, take }: Shards<Common, Job, Result>) {
    const work = await through(task.begin(await through(prepare())));
    let place = 0;
    for (const job of jobs) take(place++, await through(work(job)));
  },
} as Executor;

interface Given {
  readonly inPlace?: true;
  readonly leftOut?: readonly string[];
  readonly mostDifferent?: number;
}

/** What becomes of the columns, by workers and by this process, and what is told. */
async function both(text: string, { leftOut = [], ...given }: Given = {}) {
  const path = join(folder, "rows.csv");
  writeFileSync(path, text);
  const told: string[] = [];
  const onHere = (why: string) => told.push(why);
  const placed = await fitInPlace([path], { ...given, store: folder, onError: "stop", onHere }, here, {});
  const table = await readTable(await openTable([path], {}));
  const columns = await placed?.columnsOf(table, { seed: 0, most: undefined, leftOut })(table);
  const kinds = Object.fromEntries(leftOut.map((name) => [name, "ignored" as const]));
  const encode = (one: NonNullable<typeof columns>) =>
    table.total === 0 ? undefined : tableEncoding(one, { target: "y", kinds }).toJSON();
  return { own: encode(tableOf(table)), placed: columns && encode(columns), told, counted: columns !== tableOf(table) };
}

const rows = Array.from({ length: 30 }, (_, i) => [`id ${i * 7}`, `${(i * 3) % 5}`, `${(i * 11) % 4}.5`]);
const text = (end: string) => [["id", "a", "y"], ...rows].map((row) => row.join(",")).join(end) + end;

describe("a column of more different cells than are counted", () => {
  test("is decided here where the table is in the store, and that is said", async () => {
    const { own, placed, told } = await both(text("\n"), { mostDifferent: 10 });
    expect(placed).toEqual(own);
    expect(told).toEqual([
      'this process decides what the columns become, and not workers: the column "id" has more than 10 different cells: --ignore leaves it out.',
    ]);
  });

  test("is an error with --in-place, whose advice can be followed", async () => {
    await expect(both(text("\n"), { mostDifferent: 10, inPlace: true })).rejects.toThrow(
      'workers do not decide what the columns become: the column "id" has more than 10 different cells: --ignore leaves it out. Without --in-place this process does.',
    );
    const { own, placed, told, counted } = await both(text("\n"), {
      mostDifferent: 10,
      inPlace: true,
      leftOut: ["id"],
    });
    expect(placed).toEqual(own);
    expect([told, counted]).toEqual([[], true]);
  });
});

describe("a table that workers cannot read in place", () => {
  const path = join(folder, "refused.csv");
  const open = (paths: readonly string[], given: Pick<FitInPlace, "inPlace" | "onError">) =>
    fitInPlace(paths, { ...given, store: folder }, here, {});

  test("is one that this process reads, and an error with --in-place", async () => {
    writeFileSync(path, text("\n"));
    expect(await open([path], { onError: "stop" })).toBeDefined();
    expect(await open([path], { onError: "skip" })).toBeUndefined();
    expect(await open([path, path], { onError: "stop" })).toBeUndefined();
    await expect(open([path], { onError: "skip", inPlace: true })).rejects.toThrow(
      "the data are not read in place by workers: --on-error skip leaves rows out of it.",
    );
    await expect(open([path, path], { onError: "stop", inPlace: true })).rejects.toThrow(
      "the data are not read in place by workers: one file of CSV or Parquet is.",
    );
  });

  test("is not looked for without workers", async () => {
    writeFileSync(path, text("\n"));
    const { code, stderr } = await laplace(["fit", path, "-t", "y", "--no-report", "--in-place"]);
    expect(code).toBe(2);
    expect(stderr).toContain("--in-place and s3:// are for workers: give --queue or --shard too.");
  });
});

describe("rows that workers do not find", () => {
  test("of ends of lines that are \\r are decided here, and that is said", async () => {
    const { own, placed, told } = await both(text("\r"));
    expect(placed).toEqual(own);
    expect(told).toHaveLength(1);
    expect(told[0]).toMatch(/^this process decides .* workers find \d+ rows in the table, and this process 30: /);
  });

  test("of ends of lines that are \\r are an error with --in-place", async () => {
    await expect(both(text("\r"), { inPlace: true })).rejects.toThrow(
      /^workers do not decide .* rows in the table, and this process 30: .* Without --in-place this process does\.$/,
    );
  });

  test.each([undefined, true] as const)(
    "as there is only a header, are not an error by themselves",
    async (inPlace) => {
      const { told } = await both("id,a,y\n", inPlace && { inPlace });
      expect(told).toEqual([]);
    },
  );

  test("as there is only a header, are said as by one process", async () => {
    const path = join(folder, "rows.csv");
    writeFileSync(path, "id,a,y\n");
    const run = (...more: readonly string[]) => laplace(["fit", path, "-t", "y", "--no-report", ...more]);
    const alone = await run("-o", join(folder, "model.safetensors"));
    const shard = await run("--shard", "1/1", "--store", folder, "--in-place", "-o", join(folder, "m.safetensors"));
    expect(alone.stderr).toContain('0 rows have a value of "y"');
    expect(shard.stderr).toContain(alone.stderr.trim());
  });
});
