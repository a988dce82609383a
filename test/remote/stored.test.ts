// Work in shards as files: another process does it to the same bits; what is not such work is refused.

import { describe, expect, test } from "vitest";
import {
  chain,
  dense,
  FileError,
  LaplaceError,
  laplace,
  randomNormal,
  readSafetensors,
  tanh,
  ValueError,
  writeSafetensors,
} from "../../src/index.ts";
import type { Safetensors } from "../../src/io/safetensors.ts";
import { inBursts } from "../../src/kernels/steps.ts";
import { inShards, predictTask } from "../../src/prediction/in-shards.ts";
import type { Linearised } from "../../src/prediction/linearised.ts";
import { readResult, StoredWork, writeJob, writeWork } from "../../src/remote/stored.ts";
import type { Executor } from "../../src/shards/executor.ts";
import { given } from "../shards/given.ts";

const net = chain({ inputs: 20, seed: 1 }, dense(50, tanh), dense(3));
const data = { x: randomNormal([300, 20], { seed: 1 }), y: randomNormal([300, 3], { seed: 2 }) };
const through = ({ tensors, metadata }: Safetensors) => readSafetensors(writeSafetensors(tensors, metadata));

/** Everything goes through files. */
function byFiles(change: (work: Safetensors) => Safetensors = (work) => work): Executor & { count: number } {
  return {
    count: 0,
    async run(shards) {
      let place = 0;
      const { task, where } = shards;
      const common = await inBursts(shards.prepare());
      const files = new Map<string, Uint8Array>();
      const put = async (bytes: Uint8Array) => {
        files.set(`${files.size}`, bytes);
        return `${files.size - 1}`;
      };
      const written = change(through(await writeWork(where, task, common, put)));
      const work = await StoredWork.open(written, async (name) => files.get(name) as Uint8Array);
      for (const job of shards.jobs) {
        const result = await work.do(through(writeJob(where, task, job)));
        shards.take(place++, readResult(where, task, common, through(result)));
        this.count++;
      }
    },
  };
}

describe("work as files", () => {
  test.each(["kronecker", "ekfac", "lowRank"] as const)(
    "gives the bits of this process: sums of %s",
    async (structure) => {
      const { sums, numbers } = given({
        structure,
        curvature: "ggn",
        sharing: "expand",
        dtype: "float32",
        convolution: true,
        examples: 11,
        length: 4,
        batch: 3,
        seed: 1,
      });
      const on = byFiles();
      expect(numbers(await sums(on))).toBe(numbers(await sums()));
      expect(on.count).toBeGreaterThan(2);
    },
  );

  test("gives the bits of this process: predictions", async () => {
    const posterior = await laplace(net, { likelihood: "regression", structure: "kronecker", checks: false }).fit(data);
    const on = byFiles();
    const inputs = randomNormal([50, 20], { seed: 3 });
    const of = { where: "predict", posterior: posterior as unknown as Linearised, options: {} };
    const there = await inBursts(inShards(predictTask, of, [{ inputs }], 16, on));
    expect(on.count).toBe(4);
    const here = posterior.predict(inputs);
    expect(there.mean.data).toEqual(here.mean.data);
    expect(there.variance.data).toEqual(here.variance.data);
  });

  test("of another version, or of something else, is refused", async () => {
    const run = (change: (work: Safetensors) => Safetensors) =>
      laplace(net, { likelihood: "regression", structure: "diagonal", checks: false }).fit(data, {
        on: byFiles(change),
      });
    const withTexts = (texts: Record<string, string>) => (work: Safetensors) => ({
      ...work,
      metadata: { ...work.metadata, ...texts },
    });
    await expect(run(withTexts({ "laplace-ts.library": "0.0.0" }))).rejects.toThrow(
      /was written by laplace-ts 0\.0\.0/,
    );
    await expect(run(withTexts({ "laplace-ts.task": "toString" }))).rejects.toThrow(LaplaceError);
    await expect(run(({ tensors }) => ({ tensors, metadata: {} }))).rejects.toThrow(FileError);
    const unknown = (work: Safetensors) => {
      const document = work.metadata["laplace-ts.document"].replace('"gaussian"', '"toString"');
      return withTexts({ "laplace-ts.document": document })(work);
    };
    await expect(run(unknown)).rejects.toThrow(ValueError);
  });
});
