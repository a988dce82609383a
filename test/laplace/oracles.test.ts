// Posteriors, evidence, tuning and predictions against the plain-autograd reference.

import { describe, expect, test } from "vitest";
import {
  type Approximation,
  array,
  curvatureOf,
  curvatureProduct,
  type DType,
  eigh,
  gaussian,
  type LaplaceOptions,
  laplace,
  type Posterior,
} from "../../src/index.ts";
import { atOnce } from "../../src/kernels/steps.ts";
import { everyCase, type Tolerance } from "../setup.ts";
import {
  arrayOf,
  type OracleName,
  oracleNames,
  readOracle,
  type Section,
  type StructureSection,
  type Table,
  type Tuned,
} from "./oracles.ts";

const structures = { full: "full", diag: "diagonal", kron: "kronecker" } as const;
type Key = keyof typeof structures;

/** Relative to the array's largest entry times a part of it: entries may be sums whose terms cancel. */
function near({ data }: Table, relative = 1e-9): Tolerance {
  const largest = Math.max(...data.map(Math.abs));
  return { relative, absolute: relative * 0.1 * largest };
}

function likelihoodOf(name: OracleName, noise: number): LaplaceOptions["likelihood"] {
  if (name === "reg_3_10_2") return gaussian({ noise });
  return name === "logreg_2_1_bernoulli" ? "binary" : "classification";
}

async function fitted(
  name: OracleName,
  section: Section,
  key: Key,
  options: Partial<LaplaceOptions> = {},
  dtype: DType = "float64",
): Promise<Posterior> {
  const { net, data } = readOracle(name, dtype);
  const { hyper } = section;
  const list = (x: number | number[]) => (typeof x === "number" ? [x] : x);
  return laplace(net, {
    likelihood: likelihoodOf(name, hyper.sigmaNoise),
    structure: structures[key],
    priorPrecision: list(hyper.priorPrecision),
    priorMean: list(hyper.priorMean),
    temperature: hyper.temperature,
    checks: false,
    ...options,
  }).fit(data);
}

/** Everything that a section says of a structure. */
async function compare(name: OracleName, section: Section, key: Key, options: Partial<LaplaceOptions> = {}) {
  const due = section[key] as StructureSection;
  const relative = 1e-9;
  const posterior = await fitted(name, section, key, options);
  const { test: x } = readOracle(name);
  const evidence = posterior.evidence();
  const number = (ours: number, theirs: number) =>
    expect([ours]).toBeAllClose([theirs], { relative: 1e-9, absolute: 1e-9 });
  number(evidence.logLikelihood, section.logLikelihood);
  number(evidence.scatter, section.scatter);
  number(evidence.logDetPrior, section.logDetPrior);
  number(evidence.logDetPosterior, due.logDetPosterior);
  number(evidence.logMarginalLikelihood, due.logMarglik);
  const gradient = posterior.evidenceGradient();
  expect(gradient.logPriorPrecision.data).toBeAllClose(due.gradLogPriorPrecision.data, near(due.gradLogPriorPrecision));
  if (due.gradLogSigma !== undefined) number(gradient.logNoise as number, due.gradLogSigma);
  expect(posterior.variance().data).toBeAllClose(due.variance.data, near(due.variance, relative));
  if (due.covariance !== undefined) {
    expect(posterior.covariance().data).toBeAllClose(due.covariance.data, near(due.covariance, 1e-9));
  }
  const samples = due.samples_tril ?? due.samples ?? due.samples_symmetric;
  if (samples !== undefined) {
    const n = samples.shape[0];
    const draws = atOnce(posterior.deviations(n, Float64Array.from((section.eps as Table).data)));
    const mean = posterior.mean.data;
    const theirs = samples.data.map((value, i) => value - mean[i % mean.length]);
    expect(draws).toBeAllClose(theirs, { relative: 1e-9, absolute: 1e-9 * Math.max(...theirs.map(Math.abs)) });
  }
  if (due.jointCov !== undefined) {
    const first = x.data.subarray(0, (5 * x.size) / x.shape[0]);
    const joint = posterior.functionCovariance(array(first, { shape: [5, ...x.shape.slice(1)] }), { joint: true });
    expect(joint.data).toBeAllClose(due.jointCov.data, near(due.jointCov, relative));
  }
  comparePredictive(posterior, name, due.predictive);
  return { posterior, due };
}

const links = {
  probit: "probit",
  bridge: "bridge",
  bridgeNorm: "normalizedBridge",
  meanField1: "meanField1",
  meanField2: "meanField2",
  quadrature: "quadrature",
} as const;

function comparePredictive(posterior: Posterior, name: OracleName, section: StructureSection["predictive"]): void {
  const { test: x } = readOracle(name);
  const prediction = posterior.predict(x);
  expect(prediction.functionMean.data).toBeAllClose(section.mean.data, near(section.mean));
  const covariance = posterior.functionCovariance(x);
  expect(covariance.data).toBeAllClose(section.fVar.data, near(section.fVar, 1e-9));
  if (section.predVar !== undefined) {
    const outputs = section.mean.shape[1];
    const diagonal = section.predVar.data.filter((_, i) => Math.floor(i / outputs) % outputs === i % outputs);
    expect(prediction.variance.data).toBeAllClose(diagonal, { relative: 1e-9 });
  }
  for (const [key, approximation] of Object.entries(links) as [keyof typeof links, Approximation][]) {
    const table = section[key];
    if (table === undefined) continue;
    // The mean-field probabilities of the reference do not sum to 1 (nor do the paper's); ours are divided by their sum.
    // Its 200-point quadrature is good to 3e-9 where the variance is in the hundreds.
    const due = approximation.startsWith("meanField") ? normalized(table) : table.data;
    const absolute = approximation === "quadrature" ? 1e-8 : 1e-9;
    expect(posterior.predict(x, { approximation }).mean.data).toBeAllClose(due, { relative: 1e-9, absolute });
  }
}

function normalized({ shape, data }: Table): number[] {
  const width = shape[1];
  return data.map((x, i) => {
    const start = i - (i % width);
    return x / data.slice(start, start + width).reduce((sum, y) => sum + y, 0);
  });
}

describe.each(oracleNames)("%s", (name) => {
  const { oracle, net, task, data } = readOracle(name);

  test("curvature: GGN and empirical Fisher, full and diagonal", () => {
    for (const [curvature, full, diagonal] of [
      ["ggn", oracle.ggn, oracle.ggnDiag],
      ["empiricalFisher", oracle.ef, oracle.efDiag],
    ] as const) {
      const dense = curvatureOf(net, task, data, { structure: "full", curvature });
      if (full !== undefined) expect(dense.dense().data).toBeAllClose(full.data, near(full));
      expect(dense.diagonal().data).toBeAllClose(diagonal.data, near(diagonal));
      const alone = curvatureOf(net, task, data, { structure: "diagonal", curvature });
      expect(alone.diagonal().data).toBeAllClose(diagonal.data, near(diagonal));
    }
  });

  test("curvature: Kronecker factors, and the corrected eigenvalues", () => {
    for (const [curvature, factors] of [
      ["ggn", oracle.kfac.expand],
      ["empiricalFisher", oracle.kfac.expandEmpirical],
    ] as const) {
      const found = curvatureOf(net, task, data, { structure: "kronecker", curvature });
      const { blocks } = found as unknown as {
        blocks: { a?: Float64Array; b: Float64Array; count: number; selected: { role: string } }[];
      };
      const weights = blocks.filter(({ selected }) => selected.role === "weight");
      expect(weights.length).toBe(factors.length);
      weights.forEach(({ a, b, count }, i) => {
        expect(b).toBeAllClose(factors[i].B.data, near(factors[i].B));
        expect((a as Float64Array).map((x) => x / count)).toBeAllClose(factors[i].A.data, near(factors[i].A));
      });
    }
    const corrected = curvatureOf(net, task, data, { structure: "ekfac" }) as unknown as {
      blocks: { values: Float64Array }[];
    };
    corrected.blocks.forEach(({ values }, i) => {
      const { sum, max } = oracle.ekfacEigenvalueStats[i];
      const found = [values.reduce((total, x) => total + x, 0), Math.max(...values)];
      expect(found).toBeAllClose([sum, max], { relative: 1e-9 });
    });
  });

  describe.each(oracle.laplace.map((section, i) => [i, section] as const))("hyperparameters %i", (_, section) => {
    test.each((["full", "diag", "kron"] as const).filter((key) => section[key] !== undefined))("%s", async (key) => {
      const { due } = await compare(name, section, key);
      if (due.damped === undefined) return;
      const damped = await fitted(name, section, key, { damping: true });
      expect([damped.evidence().logDetPosterior]).toBeAllClose([due.damped.logDetPosterior], { relative: 1e-9 });
      expect(damped.variance().data).toBeAllClose(due.damped.variance.data, near(due.damped.variance));
      const covariance = damped.functionCovariance(readOracle(name).test);
      expect(covariance.data).toBeAllClose(due.damped.fVar.data, near(due.damped.fVar));
    });
  });

  test.each((["full", "diag", "kron"] as const).filter((key) => oracle.laplaceEF[key] !== undefined))(
    "empirical Fisher: %s",
    async (key) => {
      await compare(name, oracle.laplaceEF, key, { curvature: "empiricalFisher" });
    },
  );

  test("products with the exact Hessian", () => {
    const { hessian, hessianProbe, hessianDiag } = oracle;
    const size = net.parameterCount;
    const rows = Math.min(3, size);
    const probe = hessianProbe?.V ?? {
      shape: [rows, size],
      data: Array.from({ length: rows * size }, (_, i) => Number(i % (size + 1) === 0)),
    };
    const due = hessianProbe?.GV ?? { shape: [rows, size], data: (hessian ?? hessianDiag).data.slice(0, rows * size) };
    const found = Array.from({ length: probe.shape[0] }, (_, i) => [
      ...curvatureProduct(net, task, data, arrayOf(probe).sub(i), { curvature: "hessian" }).data,
    ]);
    expect(found.flat()).toBeAllClose(due.data, near(due));
  });

  // The whole matrix of the convolutional network takes seconds.
  test.runIf(everyCase || name !== "digits_cnn")("the exact Hessian, and its posterior", async () => {
    const of = (structure: "full" | "diagonal") => curvatureOf(net, task, data, { curvature: "hessian", structure });
    const whole = of("full");
    const { hessian, hessianDiag, hessianStats } = oracle;
    if (hessian !== undefined) expect(whole.dense().data).toBeAllClose(hessian.data, near(hessian));
    for (const one of [whole, of("diagonal")]) {
      expect(one.diagonal().data).toBeAllClose(hessianDiag.data, near(hessianDiag));
    }
    const sum = (values: Iterable<number>) => [...values].reduce((total, x) => total + x, 0);
    const square = sum(whole.dense().data.map((x: number) => x * x));
    expect([sum(whole.diagonal().data), Math.sqrt(square)]).toBeAllClose([hessianStats.trace, hessianStats.frobenius], {
      relative: 1e-9,
    });
    const [least] = eigh(whole.dense(), { vectors: false }).values.data;
    expect([least]).toBeAllClose([hessianStats.minEigenvalue], { relative: 1e-9 });
    await compare(name, oracle.laplaceHessian, "full", { curvature: "hessian" });
  });

  test.each(["full", "diag", "kron"] as const)("last layer: %s", async (key) => {
    for (const section of oracle.lastLayer.laplace) {
      if (section[key] !== undefined) await compare(name, section, key, { weights: "lastLayer" });
    }
    const ggn = curvatureOf(net, task, data, { weights: "lastLayer", structure: "full" });
    const [due, found] =
      oracle.lastLayer.ggn === undefined
        ? [oracle.lastLayer.ggnDiag as Table, ggn.diagonal()]
        : [oracle.lastLayer.ggn, ggn.dense()];
    expect(found.data).toBeAllClose(due.data, near(due));
  });

  test.skipIf(oracle.subnetwork === undefined).each(["full", "diag"] as const)(
    `subnetwork: %s${oracle.subnetwork === undefined ? " (this oracle has none)" : ""}`,
    async (key) => {
      const { indices, laplace: section } = oracle.subnetwork as NonNullable<typeof oracle.subnetwork>;
      await compare(name, section, key, { weights: { indices } });
    },
  );

  test.runIf(everyCase)("tuning by a hundred steps of Adam ends where the reference does", async () => {
    const subsets = [
      [oracle.optimisePriorPrecision, "all"],
      [oracle.lastLayer.optimisePriorPrecision, "lastLayer"],
    ] as const;
    for (const [list, weights] of subsets) {
      for (const due of list) await compareTuning(name, due, weights);
    }
  });
});

async function compareTuning(name: OracleName, due: Tuned, weights: "all" | "lastLayer"): Promise<void> {
  const { net, data } = readOracle(name);
  const noise = due.tuneSigma ? 1 : due.sigmaNoise;
  const posterior = await laplace(net, {
    likelihood: likelihoodOf(name, noise),
    structure: structures[due.structure],
    weights,
    priorPrecision: due.initPriorPrecision,
    checks: false,
  }).fit(data);
  const priorStructure = { scalar: "scalar", layerwise: "perParameter", diag: "perWeight" } as const;
  const tuned = posterior.optimizePrior({
    method: "adam",
    steps: due.steps,
    learningRate: due.lr,
    priorStructure: priorStructure[due.priorStructure],
    noise: due.tuneSigma,
  });
  expect(tuned.priorPrecision.data).toBeAllClose(due.priorPrecision.data, { relative: 1e-9 });
  expect([tuned.logMarginalLikelihood()]).toBeAllClose([due.logMarglik], { relative: 1e-9 });
  if (due.tuneSigma) expect([tuned.likelihood.hyper.value]).toBeAllClose([due.sigmaNoise], { relative: 1e-9 });
  // Going on to the maximum is at least as good.
  const best = posterior.optimizePrior({ priorStructure: priorStructure[due.priorStructure], noise: due.tuneSigma });
  expect(best.logMarginalLikelihood()).toBeGreaterThanOrEqual(due.logMarglik - 1e-9 * Math.abs(due.logMarglik));
}

test.each(oracleNames)("%s in float32 agrees within a thousandth", async (name) => {
  const { oracle, test: x } = readOracle(name);
  const section = oracle.laplace[0];
  for (const key of ["full", "diag", "kron"] as const) {
    const due = section[key];
    if (due === undefined) continue;
    const posterior = await fitted(name, section, key, {}, "float32");
    expect([posterior.logMarginalLikelihood()]).toBeAllClose([due.logMarglik], { relative: 1e-3 });
    expect(posterior.variance().data).toBeAllClose(due.variance.data, near(due.variance, 1e-3));
    expect(posterior.functionCovariance(x).data).toBeAllClose(
      due.predictive.fVar.data,
      near(due.predictive.fVar, 1e-3),
    );
  }
});
