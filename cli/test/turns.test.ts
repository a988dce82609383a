// Turns of the event loop between pieces of long work: signals are heard, and results are those of one piece.

import { gaussian, laplace, NDArray, randomNormal } from "laplace-ts";
import { expect, test } from "vitest";
import { networkFor } from "../src/fitting/network.ts";
import { partsOf } from "../src/model/rows.ts";
import { inTurns } from "../src/turn.ts";

test("other work is done between long steps", async () => {
  let heard = 0;
  function* steps() {
    for (let k = 0; k < 3; k++) {
      setImmediate(() => heard++);
      for (const end = performance.now() + 60; performance.now() < end; );
      yield;
    }
    return heard;
  }
  expect(await inTurns(steps())).toBe(3);
});

test("an error of a step is that of the work", async () => {
  const steps = function* () {
    yield;
    throw new Error("broken");
  };
  await expect(inTurns(steps())).rejects.toThrow("broken");
});

test.each(["full", "diagonal", "kronecker"] as const)(
  "%s: rows in parts are predicted as at once",
  async (structure) => {
    const rows = 2000;
    const net = networkFor(3, 1, [structure === "full" ? 64 : 400, 10], "tanh", 1);
    const [x, y] = [randomNormal([rows, 3], { seed: 2 }), randomNormal([rows, 1], { seed: 3 })];
    const posterior = await laplace(net, { likelihood: gaussian({ noise: 1 }), structure, checks: false }).fit({
      x,
      y,
    });
    const numbers = { rows, x, y, unusual: Array.from({ length: rows }, () => []), gaps: [] };
    const parts = [...partsOf(numbers, posterior)];
    expect(parts.length).toBeGreaterThan(1);
    const all = parts.flatMap((part) => Array.from(posterior.predict(part.x).variance.data));
    expect(all).toEqual(Array.from(posterior.predict(x).variance.data));
    expect(new NDArray(Float64Array.from(parts.flatMap((part) => [...part.y.data])), [rows, 1])).toEqual(y);
  },
);
