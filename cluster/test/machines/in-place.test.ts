// laplace posterior on tables that workers read where they lie, CSV and Parquet: the file of one process, to the bit.

import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { Random } from "laplace-ts";
import { beforeAll, describe, expect, test } from "vitest";
import { npy, npz } from "../../../cli/test/npz-file.ts";
import { commandOfTest } from "./command.ts";
import { until } from "./hosts.ts";

const { programs, at, machines: machinesOf } = commandOfTest("place");

/** Networks of 8 and of 2 inputs, and tables for them: one of several pieces, with quotes and line feeds in cells. */
function writeAll(): void {
  const program = `
    import { writeFileSync } from "node:fs";
    import { chain, dense, tanh } from "laplace-ts";
    import { toOnnx } from "laplace-ts-models";
    writeFileSync(process.argv[1], toOnnx(chain({ inputs: 8, seed: 1 }, dense(100, tanh), dense(100, tanh), dense(1))));
    writeFileSync(process.argv[2], toOnnx(chain({ inputs: 2, seed: 1 }, dense(4, tanh), dense(1))));
    writeFileSync(process.argv[3], toOnnx(chain({ inputs: 8, seed: 1 }, dense(60, tanh), dense(3))));`;
  const files = ["numbers.onnx", "small.onnx", "classes.onnx"].map((name) => at(name));
  execFileSync(process.execPath, ["--input-type=module", "-e", program, ...files]);
  const random = new Random(1);
  const rows = Array.from({ length: 30_000 }, (_, i) => {
    const cells = Array.from({ length: 9 }, (_, j) => {
      const text = random.normal().toFixed(4);
      return j === 2 && i % 7 === 0 ? `"${text}"` : text;
    });
    return [...cells, ["low", '"mid\nway"', "high"][random.uint32() % 3]].join();
  });
  writeFileSync(at("rows.csv"), `a,b,c,d,e,f,g,h,y,label\n${rows.join("\n")}\n`);
}

beforeAll(writeAll);

const tables = {
  numbers: ["numbers.onnx", "rows.csv", "-t", "y", "--ignore", "label", "--weights", "all", "--structure", "kronecker"],
  classes: ["classes.onnx", "rows.csv", "-t", "label", "--ignore", "y", "--classes", "low,mid\nway,high"],
  // A random sample, which is the same wherever the rows are.
  sample: ["numbers.onnx", "rows.csv", "-t", "y", "--ignore", "label", "--max-rows", "9000", "--seed", "5"],
  few: ["small.onnx", "airquality.parquet", "-t", "Temp", "--inputs", "Wind,Temp", "--max-rows", "100"],
  parquet: ["small.onnx", "airquality.parquet", "-t", "Temp", "--inputs", "Wind,Temp", "--weights", "all"],
} as const;

/** A store with the tables in it, and the arguments of a command on one of them. */
function storeWith(name: string, which: keyof typeof tables) {
  mkdirSync(at(name, "data"), { recursive: true });
  copyFileSync(at("rows.csv"), at(name, "data", "rows.csv"));
  copyFileSync("cli/test/airquality.parquet", at(name, "data", "airquality.parquet"));
  const [network, table, ...rest] = tables[which];
  return [at(network), at(name, "data", table), ...rest, "--no-report", "--json"];
}

describe("laplace posterior on tables in place", () => {
  test.each([
    ["numbers", 1],
    ["classes", 2],
    ["parquet", 3],
    ["numbers", 4],
    ["sample", 2],
    ["few", 1],
  ] as const)("of %s is the bits of one process, by %i workers, who are sent no row", async (which, count) => {
    const name = `${which}-${count}`;
    const args = storeWith(name, which);
    const here = await programs.laplace("posterior", ...args, "-o", at("here.safetensors")).ended;
    expect(here, here.stderr).toMatchObject({ code: 0 });
    const machines = machinesOf(name);
    const workers = Array.from({ length: count }, (_, i) =>
      programs.laplace("worker", ...machines, "--json", "--name", `worker-${i}`),
    );
    await until("the workers are ready", () => workers.every(({ said }) => said.stdout.includes('"ready"')));
    const there = await programs.laplace("posterior", ...args, ...machines, "-o", at("there.safetensors")).ended;
    expect(there, there.stderr).toMatchObject({ code: 0 });
    expect(readFileSync(at("there.safetensors")).equals(readFileSync(at("here.safetensors")))).toBe(true);
    const done = workers.reduce((sum, { said }) => sum + said.stdout.split('"event":"done"').length - 1, 0);
    expect(done).toBeGreaterThan(1);
    // What whoever asked wrote are names and ranges: all of it is much less than the rows.
    const content = readdirSync(at(name, "content")).map((one) => statSync(at(name, "content", one)).size);
    const sum = content.reduce((all, size) => all + size, 0);
    if (!args[1].endsWith("parquet")) expect(sum).toBeLessThan(statSync(at("rows.csv")).size / 2);
  });

  test("in parts, without a queue, is the same; rows that change meanwhile are a named error", async () => {
    const args = storeWith("parts", "numbers");
    const here = await programs.laplace("posterior", ...args, "-o", at("here.safetensors")).ended;
    expect(here.code).toBe(0);
    const store = ["--store", at("parts")];
    for (let passes = 0; ; passes++) {
      const merged = await programs.laplace("merge", ...args, ...store, "-o", at("merged.safetensors")).ended;
      if (merged.code === 0) break;
      expect(merged.stderr).toMatch(/^error: Of \d+ shards of the fit \w{40}, \d+ are not done/m);
      expect(passes).toBeLessThan(6);
      for (const own of [1, 2]) {
        const part = await programs.laplace("posterior", ...args, ...store, "--shard", `${own}/2`).ended;
        expect(part, part.stderr).toMatchObject({ code: 0 });
      }
    }
    expect(readFileSync(at("merged.safetensors")).equals(readFileSync(at("here.safetensors")))).toBe(true);
    // The same file by name, size and time, with other bytes: what was found before does not hold for it.
    const path = at("parts", "data", "rows.csv");
    const { atime, mtime } = statSync(path);
    const bytes = readFileSync(path);
    bytes[bytes.length - 20] ^= 1;
    writeFileSync(path, bytes);
    utimesSync(path, atime, mtime);
    rmSync(at("parts", "fits"), { recursive: true });
    const again = await programs.laplace("merge", ...args, ...store, "-o", at("again.safetensors")).ended;
    expect(again.code).toBe(1);
  });

  test("that cannot be read so, or have a wrong cell, say so", async () => {
    const args = storeWith("wrong", "numbers");
    const store = ["--store", at("wrong"), "--shard", "1/1"];
    const run = (...more: readonly string[]) => programs.laplace("posterior", ...args, ...store, ...more).ended;
    const skips = await run("--on-error", "skip", "--in-place");
    expect(skips.code).toBe(2);
    expect(skips.stderr).toContain("the data are not read in place by workers: --on-error skip");
    const path = at("wrong", "data", "rows.csv");
    writeFileSync(path, readFileSync(path, "utf8").replace(/\n([^,\n]*,){3}[^,\n]*,([^\n]*)$/m, "\n1,2,3\n$2"));
    const odd = await run();
    expect(odd.code).toBe(1);
    expect(odd.stderr).toMatch(/^error: line \d+: /m);
  });
});

test("workers predict classes, and rows of arrays, to the bits of one process", async () => {
  const args = storeWith("predicted", "classes");
  const posterior = await programs.laplace("posterior", ...args, "-o", at("classes.safetensors")).ended;
  expect(posterior, posterior.stderr).toMatchObject({ code: 0 });
  const numbers = Float64Array.from({ length: 8 * 40_000 }, (_, i) => (i % 7) / 7);
  writeFileSync(at("more.npz"), npz({ x: npy([40_000, 8], "<f8", new Uint8Array(numbers.buffer)) }));
  const rows = at("more.npz");
  const machines = machinesOf("predicted");
  const workers = [1, 2].map((i) => programs.laplace("worker", ...machines, "--json", "--name", `worker-${i}`));
  await until("the workers are ready", () => workers.every(({ said }) => said.stdout.includes('"ready"')));
  const done = () => workers.reduce((sum, { said }) => sum + said.stdout.split('"event":"done"').length - 1, 0);
  for (const [data, name] of [
    [at("predicted", "data", "rows.csv"), "table"],
    [rows, "arrays"],
  ]) {
    const predict = ["predict", at("classes.safetensors"), data, "-o"];
    const here = await programs.laplace(...predict, at(`${name}-here.csv`)).ended;
    expect(here, here.stderr).toMatchObject({ code: 0 });
    const before = done();
    const there = await programs.laplace(...predict, at(`${name}-there.csv`), ...machines).ended;
    expect(there, there.stderr).toMatchObject({ code: 0 });
    expect(done(), name).toBeGreaterThan(before + 1);
    expect(readFileSync(at(`${name}-there.csv`)).equals(readFileSync(at(`${name}-here.csv`)))).toBe(true);
  }
});
