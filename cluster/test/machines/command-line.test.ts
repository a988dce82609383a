// The command line on machines: laplace worker, laplace posterior --queue.

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeInputs } from "../inputs.ts";
import { RedisOfTest, until } from "./hosts.ts";
import { Programs } from "./program.ts";

const folder = mkdtempSync(join(tmpdir(), "laplace-line-"));
const at = (name: string) => join(folder, name);
let redis: RedisOfTest;
const programs = new Programs();
const laplace = (...args: readonly string[]) => programs.laplace(...args);

beforeAll(async () => {
  redis = await RedisOfTest.start();
  writeInputs(at("net.onnx"), at("rows.csv"));
});
afterAll(async () => {
  programs.end();
  await redis.end();
  rmSync(folder, { recursive: true, force: true });
});

test("workers do the sums of laplace posterior, to the bits of one process; passwords are not said", async () => {
  const args = ["posterior", at("net.onnx"), at("rows.csv"), "-t", "y", "--weights", "all", "--no-report", "--json"];
  const machines = ["--queue", redis.address.replace("//", "//user:s3cret@"), "--store", at("store")];
  // A Redis without users lets none in.
  for (const command of [["worker"], args]) {
    const refused = await laplace(...command, ...machines).ended;
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain("the queue lets nobody in with this user and password: WRONGPASS");
    expect(`${refused.stdout}${refused.stderr}`).not.toContain("s3cret");
  }
  machines[1] = redis.address;
  const workers = [1, 2].map((name) => laplace("worker", ...machines, "--json", "--name", `worker-${name}`));
  await until("the workers are ready", () => workers.every(({ said }) => said.stdout.includes('"ready"')));
  const there = await laplace(...args, ...machines, "-o", at("there.safetensors")).ended;
  expect(there, there.stderr).toMatchObject({ code: 0 });
  const here = await laplace(...args, "-o", at("here.safetensors")).ended;
  expect(here).toMatchObject({ code: 0 });
  expect(readFileSync(at("there.safetensors")).equals(readFileSync(at("here.safetensors")))).toBe(true);
  // Predictions of rows are shared out as well.
  const rows = readFileSync(at("rows.csv"), "utf8").split("\n").slice(1, -1);
  writeFileSync(at("more.csv"), ["a,b,c,d,e,f,g,h,y", ...rows, ...rows, ...rows, ...rows, ...rows, ""].join("\n"));
  const done = () => workers.reduce((sum, { said }) => sum + said.stdout.split('"done"').length - 1, 0);
  const before = done();
  const predict = ["predict", at("there.safetensors"), at("more.csv"), "-o"];
  const far = await laplace(...predict, at("there.csv"), ...machines).ended;
  expect(far, far.stderr).toMatchObject({ code: 0 });
  expect(done()).toBeGreaterThan(before + 1);
  expect(await laplace(...predict, at("here.csv")).ended).toMatchObject({ code: 0 });
  expect(readFileSync(at("there.csv")).equals(readFileSync(at("here.csv")))).toBe(true);
  const events = workers.flatMap(({ said }) =>
    said.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line)),
  );
  expect(events.filter(({ event }) => event === "done").length).toBeGreaterThan(1);
  const shown = await laplace("jobs", ...machines).ended;
  expect(shown.stdout).toMatch(/^2 workers: worker-1, worker-2\nfit +shards done/);
  expect(shown.stdout).toMatch(/ done$/m);
  expect((await laplace("sweep", "--store", at("store")).ended).stdout).toBe("removed: 0 fits, 0 objects, 0.0 MB\n");
  for (const { child } of workers) child.kill("SIGTERM");
  for (const { ended } of workers) expect(await ended).toMatchObject({ code: 0 });
});

test("laplace loads nothing for machines, unless an option asks for it", () => {
  const hook = `export function resolve(name, context, next) {
    if (/laplace-ts-cluster|bullmq|ioredis/.test(name)) process._rawDebug("loads", name);
    return next(name, context);
  }`;
  const file = (code: string) => `data:text/javascript,${encodeURIComponent(code)}`;
  const register = file(`import { register } from "node:module"; register(${JSON.stringify(file(hook))});`);
  const args = [at("net.onnx"), at("rows.csv"), "-t", "y", "--inputs", "a,b,c,d,e,f,g,h", "--no-report"];
  const loaded = (command: string, ...more: readonly string[]) => {
    const all = ["--import", register, "cli/laplace.js", command, ...args, ...more];
    const { stderr } = spawnSync(process.execPath, all, { encoding: "utf8" });
    return stderr.match(/^loads .*/gm)?.map((line) => line.slice(6)) ?? [];
  };
  expect(loaded("posterior", "-o", at("loads.safetensors"))).toEqual([]);
  expect(existsSync(at("loads.safetensors"))).toBe(true);
  expect(loaded("merge", "-o", at("merged.safetensors"), "--store", at("none"))).toContain("laplace-ts-cluster");
});
