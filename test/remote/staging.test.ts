// Inputs of shards go to workers in shared memory that is used again: never while somebody reads it.

import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { chain, dense, laplace, NDArray, randomNormal, tanh, workers } from "../../src/index.ts";
import { shared } from "../../src/kernels/memory.ts";
import type { Connection } from "../../src/remote/connection.ts";
import { Staging } from "../../src/remote/staging.ts";
import { within } from "./pair.ts";

const batchOf = (rows: number, width: number, seed: number, dtype: "float32" | "float64" = "float32") => ({
  inputs: randomNormal([rows, width], { seed, dtype }),
});

const connected = (lost = false) => ({ lost }) as Connection;

const bufferOf = (batches: readonly { readonly inputs: NDArray }[] | undefined) => batches?.[0].inputs.data.buffer;

test.runIf(shared)("batches are the same numbers in shared memory, each in a place of its own", () => {
  const connection = connected();
  const sizes = fc.array(fc.tuple(fc.integer({ min: 1, max: 90 }), fc.integer({ min: 1, max: 301 }), fc.boolean()), {
    minLength: 1,
    maxLength: 5,
  });
  fc.assert(
    fc.property(sizes, fc.nat(), (all, seed) => {
      const staging = new Staging(connection);
      const batches = all.map(([rows, width, single], i) =>
        batchOf(rows, width, seed + i, single ? "float32" : "float64"),
      );
      const bytes = batches.reduce((sum, { inputs }) => sum + 8 * Math.ceil(inputs.data.byteLength / 8), 0);
      const found = staging.batches(batches);
      expect(found === undefined).toBe(bytes < 2 ** 16);
      for (const [i, { inputs }] of (found ?? []).entries()) {
        expect(inputs.data.buffer).toBeInstanceOf(SharedArrayBuffer);
        expect(inputs.data).toEqual(batches[i].inputs.data);
        expect(inputs.shape).toEqual(batches[i].inputs.shape);
      }
      staging.giveBack();
    }),
  );
});

test.runIf(shared)("memory is used again when it was given back, by the same worker, and not before", () => {
  const connection = connected();
  const [first, second, third] = [0, 1, 2].map(() => new Staging(connection));
  const one = first.batches([batchOf(200, 200, 1)]);
  const two = second.batches([batchOf(200, 200, 2)]);
  expect(bufferOf(two)).not.toBe(bufferOf(one));
  first.giveBack();
  expect(bufferOf(new Staging(connected()).batches([batchOf(200, 200, 3)]))).not.toBe(bufferOf(one));
  const three = third.batches([batchOf(100, 200, 3)]);
  expect(bufferOf(three)).toBe(bufferOf(one));
  // A second time it gives nothing back.
  first.giveBack();
  expect(bufferOf(new Staging(connection).batches([batchOf(200, 200, 4)]))).not.toBe(bufferOf(three));
  expect(two?.[0].inputs.data).toEqual(batchOf(200, 200, 2).inputs.data);
});

test.runIf(shared)("a worker that is lost keeps none, and what is large is sent as ever", () => {
  const connection = connected(true);
  const staging = new Staging(connection);
  const before = bufferOf(staging.batches([batchOf(200, 200, 1)]));
  staging.giveBack();
  expect(bufferOf(new Staging(connection).batches([batchOf(200, 200, 1)]))).not.toBe(before);
  expect(
    new Staging(connected()).batches([{ inputs: new NDArray(new Float32Array(2 ** 23 + 1), [2 ** 23 + 1]) }]),
  ).toBe(undefined);
  // What is shared already is not copied.
  const data = new Float32Array(new SharedArrayBuffer(2 ** 18) as unknown as ArrayBuffer);
  const own = { inputs: new NDArray(data, [2 ** 8, 2 ** 8]) };
  const mixed = new Staging(connected()).batches([own, batchOf(200, 200, 1)]);
  expect(mixed?.[0]).toBe(own);
});

const pool = workers({ count: 3, make: within });
afterAll(() => pool.close());

test("fits and predictions at the same time have their own rows", async () => {
  const width = 700;
  const net = chain({ inputs: width, seed: 1 }, dense(40, tanh), dense(2));
  const all = [1, 2, 3, 4].map((seed) => ({
    x: randomNormal([2500, width], { seed, dtype: "float32" }),
    y: randomNormal([2500, 2], { seed: seed + 9, dtype: "float32" }),
  }));
  const la = laplace(net, { likelihood: "regression", structure: "diagonal", checks: false });
  const fit = async (data: (typeof all)[number], on: typeof pool) => {
    const posterior = await la.fit(data, { on });
    const { mean, variance } = await posterior.predictAsync(data.x, { on });
    return [posterior.curvature.diagonal().data, mean.data, variance.data];
  };
  const alone = workers({ count: 1 });
  const expected: unknown[] = [];
  for (const data of all) expected.push(await fit(data, alone));
  expect(await Promise.all(all.map((data) => fit(data, pool)))).toEqual(expected);
  // Once more, with what is kept now.
  expect(await fit(all[2], pool)).toEqual(expected[2]);
});
