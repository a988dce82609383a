// Candidates whose curvature is not a positive matrix are given up, in any fold; where none is left, the fit says why.

import { NotPositiveDefiniteError } from "laplace-ts";
import { expect, test } from "vitest";
import { fitTable } from "../src/fitting/fit.ts";
import { doJob, type Job } from "../src/fitting/jobs.ts";
import { type Lanes, Unwanted } from "../src/fitting/lanes.ts";

const rows = Array.from({ length: 20 }, (_, i) => {
  const x = ((i * 37) % 101) / 5;
  return [String(x), String(3 * x + ((i * 7) % 5))];
});
const table = { names: ["x", "y"], rows, lines: rows.map((_, i) => i + 2) };
const settings = {
  target: "y",
  task: "regression",
  activation: "tanh",
  missing: "impute",
  structure: "auto",
  memoryBudget: 2 ** 30,
  kinds: {},
  rounds: 5,
  seed: 0,
} as const;

/** Does jobs here, one after the other, but for those that fail. */
const lanesWhere = (fails: (job: Job, at: number) => boolean): Lanes => {
  let [at, last]: [number, Promise<unknown>] = [0, Promise.resolve()];
  return {
    do(job, onShare, wanted = () => true) {
      const done = last.then(() => {
        if (!wanted()) throw new Unwanted();
        if (fails(job, at++)) throw new NotPositiveDefiniteError(3, -1);
        return doJob(job, onShare);
      });
      last = done.catch(() => {});
      return done;
    },
    close() {},
  };
};
const linear = ({ recipe }: Job) => recipe.by === "evidence" && recipe.width === 0;

test("what fails is given up, and the others predict", async () => {
  const fit = await fitTable(
    table,
    settings,
    () => {},
    lanesWhere((job) => !linear(job)),
  );
  const [first, ...others] = fit.candidates;
  expect(first).toMatchObject({ name: "a linear model", weight: 1, members: 1 });
  expect(others.length).toBeGreaterThan(2);
  for (const other of others) {
    expect(other).toMatchObject({ weight: 0, members: 0, negativeLogLikelihood: Number.POSITIVE_INFINITY });
  }
  expect(fit.heldOut.truth).toHaveLength(20);
  expect(fit.heldOut.metrics.rootMeanSquaredError).toBeLessThan(3);
});

test("what fails in one fold has no say in the others, and is not tried there", async () => {
  const features = ({ recipe }: Job) =>
    recipe.by === "features" && recipe.length === 1 && !recipe.relevance && recipe.around === undefined;
  let seen = 0;
  const fit = await fitTable(
    table,
    settings,
    () => {},
    lanesWhere((job) => !linear(job) && !(features(job) && seen++ !== 2)),
  );
  const of = (name: string) => fit.candidates.find((one) => one.name === name);
  // Of five folds, three.
  expect(seen).toBe(3);
  expect(of("random features of length 1")).toMatchObject({ weight: 0, members: 0 });
  expect(of("a linear model")).toMatchObject({ weight: 1 });
});

test("where all fail, the fit says which, where and why", async () => {
  const lanes = lanesWhere(() => true);
  await expect(fitTable(table, settings, () => {}, lanes)).rejects.toThrow(
    /no candidate can be fitted\. Given up: [^;]*\(fold 1 of 5: its curvature is not positive definite: pivot 3 is -1\);[^;]*;[^;]*; and \d+ more/,
  );
  const single = { ...settings, hidden: [3], testFraction: 0.2 };
  await expect(fitTable(table, single, () => {}, lanes)).rejects.toThrow(
    /Given up: the network \(a trial on a part of the rows: its curvature is not positive definite/,
  );
  // In the last fold, and at last, of all rows.
  const later = { ...settings, hidden: [3], folds: 3, epochs: 4 };
  for (const [fits, where] of [
    [2, "fold [23] of 3"],
    [3, "all rows"],
  ] as const) {
    const some = lanesWhere((job, at) => at >= fits + (job.recipe.by === "rounds" ? 0 : Number.POSITIVE_INFINITY));
    await expect(fitTable(table, later, () => {}, some)).rejects.toThrow(
      new RegExp(`Given up: the network .${where}: `),
    );
  }
});

test("copies so many that nothing can be fitted end with their likely causes", async () => {
  const heavy = { ...table, names: ["x", "y", "w"], rows: rows.map((row) => [...row, "1e18"]) };
  const tried = fitTable(heavy, { ...settings, hidden: [8], weight: "w", copies: "w", epochs: 40 }, () => {});
  await expect(tried).rejects.toThrow(/no candidate can be fitted\. Given up: the network \(.*Likely causes: weights/);
});

test("a fold whose other rows leave no column names the fold and the column", async () => {
  const one = rows.map(([, y], i) => [i === 7 ? "1" : "0", y]);
  await expect(fitTable({ ...table, rows: one }, settings, () => {})).rejects.toThrow(
    /fit: without fold \d of 5: no column is left to learn from in these rows \(x: /,
  );
});

test("what fails while scales of the target are tried has no say on any of them", async () => {
  // Few rows are beside the line on a logarithmic scale, so that it is tried.
  const skewed = Array.from({ length: 40 }, (_, i) => {
    const x = ((i * 37) % 101) / 20;
    return [String(x), String(Math.exp(x + ((i * 7) % 5) / 10))];
  });
  let failed = 0;
  const fit = await fitTable(
    { names: ["x", "y"], rows: skewed, lines: skewed.map((_, i) => i + 2) },
    settings,
    () => {},
    lanesWhere((job) => !linear(job) && ++failed > 0),
  );
  const { target } = fit.model.encoding;
  expect(target.kind === "number" && target.scale?.kind).toBe("log");
  expect(failed).toBeGreaterThan(4);
});
