// laplace fit on tables that workers see: what columns become is a sum over pieces of the table, which workers count where it lies. The
// model of one process, to the byte, whoever counts what, and whatever ends meanwhile.

import { existsSync, mkdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Random } from "laplace-ts";
import { beforeAll, describe, expect, test } from "vitest";
import { commandOfTest } from "./command.ts";
import { until } from "./hosts.ts";
import type { Running } from "./program.ts";

const atPhase = fileURLToPath(new URL("at-phase.mjs", import.meta.url));
const { programs, at, machines, redis, worker, ready, fitAlone, same } = commandOfTest("counted");

/**
 * A table of several pieces: long notes that are left out, numbers with decimal commas, dates that only their sequence settles, categories,
 * gaps, rows without a target, and rows that do not count.
 */
function table(rows: number): string {
  const random = new Random(3);
  const lines = Array.from({ length: rows }, (_, i) => {
    const [a, b] = [random.normal(), random.normal()];
    const y = Math.exp(a + 0.3 * (i % 3) + 0.2 * random.normal());
    const day = `${1 + (Math.floor(i / 5) % 12)}.${1 + (Math.floor(i / 5) % 7)}.2020`;
    const cells = [a.toFixed(3).replace(".", ","), i % 11 === 5 ? "" : b.toFixed(3), ["red", "green", "blue"][i % 3]];
    const note = `"note ${i}\n${"x".repeat(60_000)}"`;
    return [...cells, day, i % 13 === 4 ? "" : y.toFixed(4), note, i % 17 === 3 ? 0 : 1 + (i % 2)].join(";");
  });
  return `a;b;kind;day;y;note;w\n${lines.join("\n")}\n`;
}

const few = ["--hidden", "3", "--epochs", "8", "--rounds", "2", "--folds", "3", "--no-report", "--json"];
const whole = ["-t", "y", "--ignore", "w", ...few];
const weighted = ["-t", "y", "--weight", "w", "--max-rows", "45", ...few];
/** A store with the table in it. */
function storeWith(name: string): string {
  mkdirSync(at(name, "data"), { recursive: true });
  writeFileSync(at(name, "data", "rows.csv"), readFileSync(at("rows.csv")));
  return at(name, "data", "rows.csv");
}

beforeAll(async () => {
  writeFileSync(at("rows.csv"), table(60));
  for (const [name, args] of Object.entries({ whole, weighted }))
    await fitAlone(name, ["fit", at("rows.csv"), ...args]);
}, 120_000);

const events = (all: readonly Running[], event: string) =>
  all.flatMap(({ said }) =>
    said.stdout
      .split("\n")
      .filter((line) => line.includes(`"event":"${event}"`))
      .map((line) => JSON.parse(line) as { fit: string; level: number; place: number; examples?: number }),
  );
/** What was done of pieces, which have no examples. */
const ofPieces = (all: readonly Running[]) => events(all, "done").filter(({ examples }) => !examples);

describe("the columns of a table that workers count", () => {
  test.each([
    [1, "whole", whole],
    [4, "weighted", weighted],
  ] as const)("are those of one process, by %i workers, of the %s table", async (count, name, args) => {
    const path = storeWith(`by-${count}`);
    const workers = Array.from({ length: count }, (_, i) => worker(`by-${count}`, `worker-${i}`));
    await ready(workers);
    const file = `by-${count}.safetensors`;
    const ended = await programs.laplace("fit", path, ...args, ...machines(`by-${count}`), "-o", at(file)).ended;
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    same(name, file);
    // Marks and counts of the pieces; of some rows they are counted once more.
    expect(new Set(ofPieces(workers).map(({ fit }) => fit)).size).toBeGreaterThanOrEqual(name === "whole" ? 3 : 4);
    expect(redis().cli("--scan").includes("red")).toBe(false);
  });

  test.each(["reading", "added"])(
    "are there when a worker is killed while a piece is %s, and whoever asked with it",
    async (phase) => {
      const store = `killed-${phase}`;
      const path = storeWith(store);
      const marker = at(`marker-${phase}`);
      const env = { LAPLACE_PHASE: phase, LAPLACE_MARKER: marker };
      const first = worker(store, "first", env, "--import", atPhase);
      const args = ["fit", path, ...whole, ...machines(store), "-o", at(`${store}.safetensors`)];
      const asks = programs.laplace(...args);
      await until("the phase is reached", () => existsSync(marker));
      first.child.kill("SIGKILL");
      asks.child.kill("SIGKILL");
      await Promise.all([first.ended, asks.ended]);
      const second = worker(store, "second");
      const ended = await programs.laplace(...args).ended;
      expect(ended, ended.stderr).toMatchObject({ code: 0 });
      same("whole", `${store}.safetensors`);
      expect(events([second], "failed")).toEqual([]);
      // What is done stays done.
      const places = [...events([first], "done"), ...events([second], "done")];
      expect(new Set(places.map(({ fit, level, place }) => `${fit} ${level} ${place}`)).size).toBe(places.length);
    },
  );

  test("in parts, without a queue, are the same; bytes that change meanwhile are a named error", async () => {
    const path = storeWith("parts");
    const args = [path, ...weighted, "--store", at("parts")];
    for (let passes = 0; ; passes++) {
      const merged = await programs.laplace("merge", "fit", ...args, "-o", at("merged.safetensors")).ended;
      if (merged.code === 0) break;
      expect(merged.stderr).toMatch(/^error: Of \d+ shards of the fit \w{40}, \d+ are not done/m);
      expect(passes).toBeLessThan(10);
      for (const own of [1, 2]) {
        const part = await programs.laplace("fit", ...args, "--shard", `${own}/2`).ended;
        expect(part, part.stderr).toMatchObject({ code: 0 });
      }
    }
    same("weighted", "merged.safetensors");
    const { atime, mtime } = statSync(path);
    const bytes = readFileSync(path);
    bytes[2_000_000] ^= 1;
    writeFileSync(path, bytes);
    utimesSync(path, atime, mtime);
    const other = await programs.laplace("merge", "fit", ...args, "-o", at("other.safetensors")).ended;
    expect(other.code).toBe(1);
    expect(other.stderr).toMatch(
      /^error: The data .*rows\.csv are not those that the fit was begun with: other bytes/m,
    );
  });
});
