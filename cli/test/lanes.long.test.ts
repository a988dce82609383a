// Fits side by side: the same to the bit wherever they are done, and nothing is lost with a thread.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { NDArray, randomNormal, savePosterior } from "laplace-ts";
import { afterEach, describe, expect, test } from "vitest";
import type { Job } from "../src/fitting/jobs.ts";
import { type Lanes, lanesOf } from "../src/fitting/lanes.ts";
import { learningOfClasses } from "../src/fitting/network.ts";
import { laplace, workFolder } from "./laplace.ts";

const folder = workFolder();
const built = pathToFileURL("cli/dist/fitting/job-thread.js");

const rows = 24;
const x = randomNormal([rows, 2], { seed: 1 });
const numbers = (classes: number) => ({
  rows,
  x,
  y: new NDArray(
    Float64Array.from({ length: rows }, (_, i) => (classes === 0 ? x.data[2 * i] ** 2 : i % classes)),
    classes > 2 ? [rows] : [rows, 1],
  ),
  unusual: Array.from({ length: rows }, () => []),
  gaps: Array.from({ length: rows }, () => []),
});
const division = {
  part: [0, 1, 2, 3],
  rest: Array.from({ length: rows - 4 }, (_, i) => i + 4),
};
const job = (classes: number, seed: number, width = 2): Job => ({
  recipe: {
    by: "evidence",
    learning: learningOfClasses(classes),
    width,
    groups: "inputs",
    memoryBudget: 2 ** 28,
    seed,
  },
  numbers: numbers(classes),
  division,
});
const jobs = [0, 2, 3].map((classes) => job(classes, 1));

/** A thread's file with this program. */
const threadOf = (name: string, program: string) => {
  const file = join(folder, name);
  writeFileSync(file, program);
  return pathToFileURL(file);
};

let open: Lanes[] = [];
afterEach(() => {
  for (const lanes of open) lanes.close();
  open = [];
});
const lanesWith = (cores: number, file = built) => {
  const lanes = lanesOf(cores, file);
  open.push(lanes);
  return lanes;
};
/** Everything that comes of all jobs, the posteriors as bytes. */
async function all(lanes: Lanes) {
  const found = await Promise.all(jobs.map((one) => lanes.do(one, () => {})));
  return found.map(({ posterior, ...rest }) => ({ ...rest, bytes: savePosterior(posterior) }));
}
const alone = await all(lanesOf(1, built));

describe("fits side by side", () => {
  test.each([2, 3])("by %i lanes are those of one", async (cores) => {
    expect(await all(lanesWith(cores))).toEqual(alone);
  });

  test.each([
    [
      "ends with its first job",
      'import { parentPort } from "node:worker_threads"; parentPort.on("message", () => process.exit(1));',
    ],
    ["cannot start", 'throw new Error("no");'],
    [
      "has an error between",
      'import { parentPort } from "node:worker_threads"; parentPort.on("message", () => { throw new Error("no"); });',
    ],
  ])("a thread that %s gives its job back", async (name, program) => {
    expect(await all(lanesWith(3, threadOf(`${name.replaceAll(" ", "-")}.mjs`, program)))).toEqual(alone);
  });

  test("while this thread does something else, jobs wait for others, and come here when that is done", async () => {
    const silent = 'import { parentPort } from "node:worker_threads"; parentPort.on("message", () => {});';
    const lanes = lanesWith(2, threadOf("silent-beside.mjs", silent));
    let begun = 0;
    const during = await lanes.beside?.(async () => {
      lanes.do(job(0, 1), () => {}).catch(() => {});
      const second = lanes.do(job(0, 2), () => begun++);
      for (let k = 0; k < 20; k++) await setImmediate();
      return { begun, second };
    });
    expect(during?.begun).toBe(0);
    await during?.second;
    expect(begun).toBeGreaterThan(0);
  });

  test.each([1, 3])(
    "of %i lanes, whose threads end, this one has the jobs also beside something else",
    async (cores) => {
      const ends = 'import { parentPort } from "node:worker_threads"; parentPort.on("message", () => process.exit(1));';
      const lanes = lanesWith(cores, threadOf("ends-beside.mjs", ends));
      expect(await lanes.beside?.(() => all(lanes))).toEqual(alone);
    },
  );

  test("an error has its class and its words, wherever the job was", async () => {
    const bad = {
      ...job(0, 1),
      numbers: { ...numbers(0), x: new NDArray(new Float64Array(2 * rows).fill(Number.NaN), [rows, 2]) },
    };
    const lanes = lanesWith(2);
    const results = await Promise.allSettled([1, 2, 3].map(() => lanes.do(bad, () => {})));
    const [first] = results.map((one) => (one as PromiseRejectedResult).reason);
    expect(first.name).toBe("ValueError");
    expect(results.map((one) => (one as PromiseRejectedResult).reason.message)).toEqual(
      new Array(3).fill(first.message),
    );
  });

  test("what waits and what runs ends with the lanes", async () => {
    const lanes = lanesWith(
      2,
      threadOf("silent.mjs", 'import { parentPort } from "node:worker_threads"; parentPort.on("message", () => {});'),
    );
    const waiting = [1, 2, 3].map((seed) => lanes.do(job(0, seed), () => lanes.close()));
    const [silent, here, last] = waiting.map((one) =>
      one.then(
        () => "done",
        ({ message }) => message,
      ),
    );
    expect([await here, await last]).toEqual(["The fit has ended.", "The fit has ended."]);
    // Whoever closes does not wait for what a thread has.
    expect(await Promise.race([silent, new Promise((wake) => setTimeout(wake, 20, "waits"))])).toBeDefined();
    await expect(lanes.do(job(0, 1), () => {})).rejects.toThrow("The fit has ended.");
  });
});

const small = [
  "fit",
  "examples/data/airquality.csv",
  "-t",
  "Ozone",
  "--hidden",
  "3",
  "--folds",
  "3",
  "--rounds",
  "1",
  "--epochs",
  "20",
];

test("the command's model is the same by one core and by three", async () => {
  const files = await Promise.all(
    ["1", "3"].map(async (cores) => {
      const file = join(folder, `by-${cores}.safetensors`);
      expect((await laplace([...small, "--cores", cores, "-o", file, "--no-report"])).code).toBe(0);
      return readFileSync(file);
    }),
  );
  expect(files[0].equals(files[1])).toBe(true);
});

test("Ctrl-C within the tuning of the prior ends it, before the tuning does", async () => {
  const [preload, done] = [join(folder, "interrupt.mjs"), join(folder, "tuned")];
  writeFileSync(
    preload,
    `import { writeFileSync } from "node:fs";
import { isMainThread } from "node:worker_threads";
import { chain, dense, laplace } from ${JSON.stringify(import.meta.resolve("laplace-ts"))};
const linear = laplace(chain({ inputs: 1 }, dense(1)), { likelihood: "regression", checks: false });
const posteriors = Object.getPrototypeOf(await linear.fit({ x: [[0], [1]], y: [[0], [1]] }));
const { optimizePriorAsync } = posteriors;
if (isMainThread) posteriors.optimizePriorAsync = async function (options) {
  const onProgress = () => process.kill(process.pid, "SIGINT");
  const tuned = await optimizePriorAsync.call(this, { ...options, onProgress });
  // So long that a program which does not listen is found out.
  await new Promise((wake) => setTimeout(wake, 1000));
  writeFileSync(${JSON.stringify(done)}, "");
  return tuned;
};
`,
  );
  const env = { NODE_OPTIONS: `--import=${pathToFileURL(preload).href}` };
  const run = await laplace([...small, "--cores", "1", "-o", join(folder, "never.safetensors"), "--no-report"], {
    env,
  });
  expect(run.code).toBe(130);
  expect(() => readFileSync(done)).toThrow("ENOENT");
});
