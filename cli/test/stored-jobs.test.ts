// Jobs of the fit of a table as files: what comes of them is what comes of them here, and files of strangers are named errors.

import { LaplaceError, NDArray, randomNormal, readSafetensors, savePosterior, writeSafetensors } from "laplace-ts";
import { contentsOf, type Safetensors, valueFrom } from "laplace-ts/executor";
import { describe, expect, test } from "vitest";
import { doJob, type Job, type Outcome } from "../src/fitting/jobs.ts";
import { learningOfClasses } from "../src/fitting/network.ts";
import { lanesOver } from "../src/fitting/over-queue.ts";
import { tableJobs } from "../src/fitting/stored-jobs.ts";

const rows = 24;
const x = randomNormal([rows, 2], { seed: 1 });
const job = (classes: number, width = 2): Job => ({
  recipe: {
    by: "evidence",
    learning: learningOfClasses(classes),
    width,
    groups: "inputs",
    memoryBudget: 2 ** 28,
    seed: 1,
  },
  numbers: {
    rows,
    x,
    y: new NDArray(
      Float64Array.from({ length: rows }, (_, i) => (classes === 0 ? x.data[2 * i] ** 2 : i % classes)),
      classes > 2 ? [rows] : [rows, 1],
    ),
    unusual: Array.from({ length: rows }, (_, i) => (i === 3 ? ["a"] : [])),
    gaps: Array.from({ length: rows }, (_, i) => (i === 5 ? [0] : [])),
  },
  division: { part: [0, 1, 2, 3], rest: Array.from({ length: rows - 4 }, (_, i) => i + 4) },
});

/** A store in memory. */
function memory() {
  const files = new Map<string, Uint8Array>();
  const put = async (bytes: Uint8Array) => {
    files.set(`${files.size}`, bytes);
    return `${files.size - 1}`;
  };
  const get = async (name: string) => files.get(name) ?? new Uint8Array();
  return { files, put, get };
}

/** As it comes out of a file. */
const again = ({ tensors, metadata }: Safetensors) => readSafetensors(writeSafetensors(tensors, metadata));

async function written(jobs: readonly Job[]) {
  const { files, put, get } = memory();
  const work = again(await tableJobs.writeWork(jobs, put));
  return { files, get, work, stored: jobs.map((one, place) => again(tableJobs.writeJob({ job: one, place }))) };
}

const bytesOf = ({ posterior, ...rest }: Outcome) => ({ ...rest, bytes: savePosterior(posterior) });

describe("a job as a file", () => {
  test("gives what it gives here, for numbers and classes", async () => {
    const jobs = [job(0), job(2), job(3)];
    const { work, get, stored } = await written(jobs);
    const opened = await tableJobs.open(work, get);
    for (const [i, one] of jobs.entries()) {
      const result = tableJobs.readResult(jobs, again(await opened.do(stored[i])));
      const due = bytesOf(await doJob(one, () => {}));
      expect("outcome" in result && bytesOf(result.outcome)).toEqual(due);
    }
  });

  test("stops between its steps, with the signal's reason", async () => {
    const { work, get, stored } = await written([job(0)]);
    const opened = await tableJobs.open(work, get);
    const stop = new AbortController();
    const doing = opened.do(stored[0], { signal: stop.signal, onProgress: () => stop.abort(new RangeError("enough")) });
    await expect(doing).rejects.toThrow("enough");
  });

  test("of a stranger is a named error, whatever was changed in it", async () => {
    const { work, get, stored, files } = await written([job(0)]);
    const opened = await tableJobs.open(work, get);
    const value = valueFrom("", stored[0]) as Record<string, unknown>;
    const changed = (what: Record<string, unknown>) => again(contentsOf({ ...value, ...what }));
    for (const what of [
      { place: 1 },
      { place: "0" },
      { division: { part: [rows], rest: [0] } },
      { division: { part: [-1], rest: [0] } },
      { division: null },
      { rounds: -1 },
      { recipe: { by: "others" } },
      { recipe: undefined },
    ]) {
      const error: unknown = await opened.do(changed(what)).catch((own: unknown) => own);
      expect(error, JSON.stringify(what)).toBeInstanceOf(LaplaceError);
    }
    const numbers = valueFrom("", readSafetensors(files.get("0") as Uint8Array)) as Record<string, unknown>;
    for (const what of [
      { rows: 25 },
      { gaps: [] },
      { x: { data: new Float64Array(3), shape: [24, 2] } },
      { y: null },
    ]) {
      const { tensors, metadata } = contentsOf({ ...numbers, ...what });
      const spoilt = await tableJobs.open(work, async () => writeSafetensors(tensors, metadata));
      const error: unknown = await spoilt.do(stored[0]).catch((own: unknown) => own);
      expect(error, JSON.stringify(what)).toBeInstanceOf(LaplaceError);
    }
    await expect(tableJobs.open({ ...work, metadata: { ...work.metadata, program: "0.0.0" } }, get)).rejects.toThrow(
      "all machines of a fit need the same version",
    );
    expect(() => tableJobs.readResult([], again(contentsOf({ outcome: 5 })))).toThrow(LaplaceError);
  });
});

test("jobs that are asked for at once are one round; an error of the round is each job's, and a closed fit does nothing", async () => {
  const rounds: number[] = [];
  const lanes = lanesOver({
    async run({ jobs }) {
      rounds.push([...jobs].length);
      throw new RangeError("no store");
    },
  });
  const found = await Promise.allSettled([job(0), job(2)].map((one) => lanes.do(one, () => {})));
  expect(rounds).toEqual([2]);
  expect(found.map((one) => one.status === "rejected" && (one.reason as Error).message)).toEqual([
    "no store",
    "no store",
  ]);
  lanes.close();
  await expect(lanes.do(job(0), () => {})).rejects.toThrow("The fit has ended.");
});
