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

test("where all fail, the fit says so", async () => {
  const lanes = lanesWhere(() => true);
  await expect(fitTable(table, settings, () => {}, lanes)).rejects.toThrow(NotPositiveDefiniteError);
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
