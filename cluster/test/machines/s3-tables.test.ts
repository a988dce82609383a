// Tables in a bucket, end to end: laplace posterior and laplace fit on s3://, by workers and in parts. The bytes of one process that has
// the files.

import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { Random } from "laplace-ts";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { chances } from "../faulty.ts";
import { commandOfTest } from "./command.ts";
import { until } from "./hosts.ts";
import { BUCKET, keys, S3OfTest } from "./s3-server.ts";

const { programs, at, redis } = commandOfTest("bucket");
let server: S3OfTest;
let client: S3Client;

const env = { AWS_ACCESS_KEY_ID: keys.accessKeyId, AWS_SECRET_ACCESS_KEY: keys.secretAccessKey };
const laplace = (...args: readonly string[]) => programs.withEnv(env, ...args);
const place = (key: string) => `s3://${BUCKET}/${key}?endpoint=${encodeURIComponent(server.endpoint)}`;
const put = (key: string, Body: Uint8Array) => client.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body }));

/** A table of two pieces and a half. */
function table(): string {
  const random = new Random(1);
  const rows = Array.from({ length: 20_000 }, (_, i) => {
    const cells = Array.from({ length: 9 }, (_, j) => {
      const text = (random.normal() + j).toFixed(9);
      return j === 2 && i % 7 === 0 ? `"${text}"` : text;
    });
    return [...cells, ["low", '"mid\nway"', "high"][random.uint32() % 3]].join();
  });
  return `a,b,c,d,e,f,g,h,y,label\n${rows.join("\n")}\n`;
}

beforeAll(async () => {
  server = await S3OfTest.start();
  client = new S3Client({ endpoint: server.endpoint, forcePathStyle: true, region: "us-east-1", credentials: keys });
  const program = `
    import { writeFileSync } from "node:fs";
    import { chain, dense, tanh } from "laplace-ts";
    import { toOnnx } from "laplace-ts-models";
    writeFileSync(process.argv[1], toOnnx(chain({ inputs: 8, seed: 1 }, dense(60, tanh), dense(60, tanh), dense(1))));
    writeFileSync(process.argv[2], toOnnx(chain({ inputs: 2, seed: 1 }, dense(4, tanh), dense(1))));`;
  execFileSync(process.execPath, ["--input-type=module", "-e", program, at("wide.onnx"), at("small.onnx")]);
  writeFileSync(at("rows.csv"), table());
  await put("data/rows.csv", readFileSync(at("rows.csv")));
  await put("data/air.parquet", readFileSync("cli/test/airquality.parquet"));
}, 120_000);
beforeEach(() => {
  server.trouble = () => undefined;
});
afterAll(async () => {
  client.destroy();
  await server.end();
});

const few = ["--hidden", "3", "--epochs", "8", "--rounds", "2", "--folds", "3", "--no-report", "--json"];
const wide = ["-t", "y", "--ignore", "label", "--weights", "all", "--structure", "kronecker", "--no-report", "--json"];
const small = ["-t", "Temp", "--inputs", "Wind,Temp", "--weights", "all", "--no-report", "--json"];

const made = new Map<string, Buffer>();
/** The file that one process makes, once for all tests. */
async function byOneProcess(...args: readonly string[]): Promise<Buffer> {
  const key = args.join(" ");
  const before = made.get(key);
  if (before !== undefined) return before;
  const here = await programs.laplace(...args, "-o", at("here.safetensors")).ended;
  expect(here, here.stderr).toMatchObject({ code: 0 });
  const file = readFileSync(at("here.safetensors"));
  made.set(key, file);
  return file;
}

describe("tables in a bucket", () => {
  test.each([
    ["posterior", [at("wide.onnx")], "rows.csv", wide],
    ["posterior", [at("small.onnx")], "air.parquet", small],
    ["fit", [], "air.parquet", ["-t", "Ozone", ...few]],
    ["fit", [], "rows.csv", ["-t", "label", "--ignore", "y", "--max-rows", "200", ...few]],
  ] as const)(
    "give laplace %s %j of %s the bytes of one process, by workers and a server that fails",
    async (command, before, name, args) => {
      const local = name === "rows.csv" ? at("rows.csv") : "cli/test/airquality.parquet";
      const here = await byOneProcess(command, ...before, local, ...args);
      const store = place(`store/${command}-${name}-${args.length}`);
      const machines = ["--queue", redis().address, "--store", store];
      const next = chances(7);
      // A tenth of what is asked for fails, is cut off or comes half.
      server.trouble = ({ method }) =>
        next() > 0.1
          ? undefined
          : (["slow down", "cut", method === "GET" ? "half" : "unheard"] as const)[Math.floor(3 * next())];
      const workers = [1, 2].map((i) => laplace("worker", ...machines, "--json", "--name", `worker-${i}`));
      await until("the workers are ready", () => workers.every(({ said }) => said.stdout.includes('"ready"')));
      const there = await laplace(
        command,
        ...before,
        place(`data/${name}`),
        ...args,
        ...machines,
        "-o",
        at("there.safetensors"),
      ).ended;
      expect(there, there.stderr).toMatchObject({ code: 0 });
      expect(readFileSync(at("there.safetensors")).equals(here)).toBe(true);
      if (name === "rows.csv") expect(workers.map(({ said }) => said.stdout).join("")).toContain('"event":"done"');
      for (const { said } of [...workers, { said: there }]) {
        expect(said.stdout + said.stderr).not.toContain(keys.secretAccessKey);
      }
    },
  );

  test("are read by parts without a queue; one that changes, or is not there, is a named error", async () => {
    const here = await byOneProcess("posterior", at("wide.onnx"), at("rows.csv"), ...wide);
    const args = [at("wide.onnx"), place("data/rows.csv"), ...wide, "--store", place("store/parts")];
    for (let passes = 0; ; passes++) {
      const merged = await laplace("merge", ...args, "-o", at("merged.safetensors")).ended;
      if (merged.code === 0) break;
      expect(merged.stderr).toMatch(/^error: Of \d+ shards of the fit \w{40}, \d+ are not done/m);
      expect(passes).toBeLessThan(6);
      for (const own of [1, 2]) {
        const part = await laplace("posterior", ...args, "--shard", `${own}/2`).ended;
        expect(part, part.stderr).toMatchObject({ code: 0 });
      }
    }
    expect(readFileSync(at("merged.safetensors")).equals(here)).toBe(true);
    const absent = [at("wide.onnx"), place("data/nothing.csv"), ...wide, "--store", place("store/parts")];
    const none = await laplace("posterior", ...absent, "--shard", "1/1").ended;
    expect(none.code).toBe(1);
    expect(none.stderr).toMatch(/^error: The data s3:\/\/fits\/data\/nothing\.csv\?endpoint=\S+ are not there on /m);
    const alone = await laplace("posterior", at("wide.onnx"), place("data/rows.csv"), ...wide).ended;
    expect(alone.code).toBe(2);
    expect(alone.stderr).toContain("--in-place and s3:// are for workers: give --queue or --shard too.");
  });

  test("with an empty cell in the target say where it is, and what to do", async () => {
    const rows = readFileSync(at("rows.csv"), "utf8").split("\n");
    const line = rows.findIndex((row, i) => i > 15_000 && /(low|high)$/.test(row) && !row.startsWith("way"));
    rows[line] = rows[line].replace(/(low|high)$/, "");
    await put("data/empty.csv", Buffer.from(rows.join("\n")));
    writeFileSync(at("empty.csv"), rows.join("\n"));
    const args = ["-t", "label", "--ignore", "y", "--no-report", "--json"];
    const there = await laplace(
      "posterior",
      at("wide.onnx"),
      place("data/empty.csv"),
      ...args,
      "--store",
      place("store/empty"),
      "--shard",
      "1/1",
    ).ended;
    const said = `error: line ${line + 1}: the target "label" has no value. Fill the cell, or leave such rows out: --on-error skip.`;
    expect(there.code).toBe(1);
    expect(there.stderr).toContain(said);
    const here = await programs.laplace("posterior", at("wide.onnx"), at("empty.csv"), ...args).ended;
    expect(here.stderr).toContain(said);
  });
});
