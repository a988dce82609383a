// The fit of a table whose jobs other processes do: by a queue, or in parts. The bits of one process, whoever does what, and
// whatever ends meanwhile.

import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Random } from "laplace-ts";
import { beforeAll, describe, expect, test } from "vitest";
import { commandOfTest } from "./command.ts";
import { until } from "./hosts.ts";
import type { Running } from "./program.ts";

const { programs, at, machines, redis, worker, ready, fitAlone, same } = commandOfTest("table");

/** A table of numbers, texts and gaps, whose target is skewed, so that scales of it are tried. */
function writeTable(path: string): void {
  const random = new Random(3);
  const rows = Array.from({ length: 60 }, (_, i) => {
    const [a, b] = [random.normal(), random.normal()];
    const kind = ["red", "green", "blue"][i % 3];
    const y = Math.exp(a + 0.3 * (i % 3) + 0.2 * random.normal());
    return [a.toFixed(3), i % 11 === 5 ? "" : b.toFixed(3), kind, y.toFixed(4), y > 1 ? "high" : "low"].join();
  });
  writeFileSync(path, `a,b,kind,y,label\n${rows.join("\n")}\n`);
}

const few = ["--hidden", "3", "--epochs", "8", "--rounds", "2", "--folds", "3", "--no-report", "--json"];
const fit = (target: string, ignored: string) => ["fit", at("rows.csv"), "-t", target, "--ignore", ignored, ...few];
const numbers = fit("y", "label");
const classes = fit("label", "y");

beforeAll(async () => {
  writeTable(at("rows.csv"));
  for (const [name, args] of Object.entries({ numbers, classes })) await fitAlone(name, args);
}, 120_000);

const done = (all: readonly Running[]) =>
  all.reduce((sum, { said }) => sum + said.stdout.split('"event":"done"').length - 1, 0);

describe("the fit of a table over a queue", () => {
  test("is the bits of one process, by 1 to 4 workers, of numbers and of classes", async () => {
    for (const [count, name, args] of [
      [1, "numbers", numbers],
      [2, "classes", classes],
      [3, "numbers", numbers],
      [4, "classes", classes],
    ] as const) {
      const store = `store-${count}`;
      const workers = Array.from({ length: count }, (_, i) => worker(store, `worker-${i}`));
      await ready(workers);
      const path = `by-${count}.safetensors`;
      const ended = await programs.laplace(...args, ...machines(store), "-o", at(path)).ended;
      expect(ended, ended.stderr).toMatchObject({ code: 0 });
      same(name, path);
      expect(done(workers)).toBeGreaterThan(2);
      programs.end();
    }
    // Jobs in the queue are names: nothing of the table's is ever in Redis.
    expect(redis().cli("--scan").includes("red")).toBe(false);
  });

  test("goes on when a worker is killed, and when whoever asked is; what is done is not done again", async () => {
    const store = "killed";
    const workers = [worker(store, "first"), worker(store, "second")];
    await ready(workers);
    const asks = programs.laplace(...numbers, ...machines(store), "-o", at("killed.safetensors"));
    await until("some jobs are done", () => done(workers) >= 3);
    workers[0].child.kill("SIGKILL");
    await until("more jobs are done", () => done(workers) >= 8);
    asks.child.kill("SIGKILL");
    await asks.ended;
    // Workers finish what is in the queue.
    await until("the queue is empty", () => !/:wait|:active/.test(redis().cli("keys", "*:[wa]*")));
    const before = done(workers);
    workers.push(worker(store, "third"));
    const again = await programs.laplace(...numbers, ...machines(store), "-o", at("killed.safetensors")).ended;
    expect(again, again.stderr).toMatchObject({ code: 0 });
    same("numbers", "killed.safetensors");
    const places = workers.flatMap(({ said }) =>
      said.stdout
        .split("\n")
        .filter((line) => line.includes('"event":"done"'))
        .map((line) => JSON.parse(line) as { fit: string; level: number; place: number })
        .map(({ fit: own, level, place }) => `${own} ${level} ${place}`),
    );
    expect(before).toBeGreaterThanOrEqual(8);
    // A job of the killed worker may have been done, and not have been told.
    expect(places.length - new Set(places).size).toBeLessThanOrEqual(1);
    // All of it is there: nobody does anything.
    const all = done(workers);
    const last = await programs.laplace(...numbers, ...machines(store), "-o", at("last.safetensors")).ended;
    expect(last, last.stderr).toMatchObject({ code: 0 });
    same("numbers", "last.safetensors");
    expect(done(workers)).toBe(all);
  });

  test("says what is wrong with the store, and mends it when it is asked again", async () => {
    const store = "altered";
    const args = [...numbers, "--store", at(store)];
    await programs.laplace(...args, "--shard", "1/1", "-o", at("altered.safetensors")).ended;
    rmSync(join(at(store), "fits"), { recursive: true });
    // The numbers of some rows have other bits.
    const content = join(at(store), "content");
    for (const name of readdirSync(content)) {
      const bytes = readFileSync(join(content, name));
      bytes[bytes.length - 3] ^= 1;
      writeFileSync(join(content, name), bytes);
    }
    const found = await programs.laplace(...args, "--shard", "1/1", "-o", at("altered.safetensors")).ended;
    expect(found.code).toBe(1);
    expect(found.stderr).toMatch(/^error: The object content\/\w{64} in the store .* not those that were written/m);
  });
});

describe("the fit of a table in parts", () => {
  test("is the bits of one process, after some passes of all parts", async () => {
    const args = [...numbers, "--store", at("parts")];
    let passes = 0;
    for (;;) {
      const merged = await programs.laplace("merge", ...args, "-o", at("merged.safetensors")).ended;
      if (merged.code === 0) break;
      expect(merged.code).toBe(1);
      expect(merged.stderr).toMatch(/^error: Of \d+ shards of the fit \w{40}, \d+ are not done/m);
      passes++;
      expect(passes).toBeLessThan(6);
      const parts = [1, 2, 3].map((own) => programs.laplace(...args, "--shard", `${own}/3`));
      for (const { ended } of parts) {
        const part = await ended;
        expect(part, part.stderr).toMatchObject({ code: 0 });
        expect(JSON.parse(part.stdout)).toMatchObject({ parts: 3 });
      }
    }
    same("numbers", "merged.safetensors");
    expect(passes).toBeGreaterThan(1);
  });
});
