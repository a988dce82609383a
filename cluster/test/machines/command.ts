// What tests of the built command line over machines share: a folder, a Redis, and processes that end with each test.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { RedisOfTest, until } from "./hosts.ts";
import { Programs, type Running } from "./program.ts";

/** Begins and ends with the tests of a file. @param name of its folder */
export function commandOfTest(name: string) {
  const folder = mkdtempSync(join(tmpdir(), `laplace-${name}-`));
  const programs = new Programs();
  let redis: RedisOfTest;
  beforeAll(async () => {
    redis = await RedisOfTest.start();
  });
  afterEach(() => programs.end());
  afterAll(async () => {
    programs.end();
    await redis.end();
    rmSync(folder, { recursive: true, force: true });
  });

  const at = (...names: readonly string[]) => join(folder, ...names);
  const machines = (store: string) => ["--queue", redis.address, "--store", at(store)];
  /** Files of one process, by name. */
  const alone: Record<string, Buffer> = {};
  return {
    programs,
    at,
    machines,
    redis: () => redis,
    worker: (store: string, name: string, env: NodeJS.ProcessEnv = {}, ...more: readonly string[]) =>
      programs.withEnv(env, "worker", ...machines(store), "--json", "--name", name, "--lease", "1", ...more),
    ready: (all: readonly Running[]) =>
      until("the workers are ready", () => all.every(({ said }) => said.stdout.includes('"ready"'))),
    /** Fits by one process, to be compared with. */
    async fitAlone(name: string, args: readonly string[]) {
      const ended = await programs.laplace(...args, "-o", at(`${name}.safetensors`)).ended;
      expect(ended, ended.stderr).toMatchObject({ code: 0 });
      alone[name] = readFileSync(at(`${name}.safetensors`));
    },
    same: (name: string, path: string) => expect(readFileSync(at(path)).equals(alone[name]), path).toBe(true),
  };
}
