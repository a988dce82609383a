// Every posterior is the Gaussian that its curvature and prior say, and its evidence, gradients, draws and predictions
// are those of that Gaussian.

import { describe, expect, test } from "vitest";
import type { Approximation, Hyperparameters, Posterior } from "../../../src/index.ts";
import { DataLoader, OptionError, Random } from "../../../src/index.ts";
import { atOnce } from "../../../src/kernels/steps.ts";
import { finiteDifferences } from "../../reference/finite-differences.ts";
import {
  blockDiagonal,
  columnsOf,
  groupsOf,
  inverted,
  kroneckerBlock,
  kroneckerProduct,
  logLikelihood,
  type Matrix,
  middles,
  product,
  scaleOf,
  transposed,
  weightFactors,
} from "../../reference/laplace.ts";
import { needsBasis } from "../../stored-structures.ts";
import { type Case, cases, type Fixture, fixtureOf, lazy, near, notInParts } from "./cases.ts";

function expectNear(actual: ArrayLike<number>, expected: ArrayLike<number>, relative: number): void {
  expect(actual).toBeAllClose(expected, near(expected, relative));
}

function expectNumber(actual: number, expected: number, relative = 1e-9): void {
  expect([actual]).toBeAllClose([expected], { relative, absolute: relative });
}

interface Hyper {
  /** [1], [parameters] or [S] */
  readonly delta: readonly number[];
  readonly mean: number | readonly number[];
  readonly temperature: number;
  /** The noise is multiplied by this. */
  readonly noisier: number;
  /** Whether the prior is an earlier posterior, times δ. */
  readonly earlier?: boolean;
}

/** Priors of every structure that there is, with other temperatures, means and noise. */
function hypersOf({ structure }: Case, { indices, parts }: Fixture): Hyper[] {
  const random = new Random(11);
  const draw = (n: number) => Array.from({ length: n }, () => Math.exp(random.normal()));
  const size = indices().length;
  const centre = Array.from({ length: size }, () => random.normal());
  const all = [
    { delta: [0.7], mean: 0, temperature: 1, noisier: 1 },
    { delta: draw(parts().length), mean: 0.3, temperature: 0.4, noisier: 1.7 },
    { delta: [20], mean: centre, temperature: 2.5, noisier: 0.3 },
    { delta: draw(size), mean: centre, temperature: 1, noisier: 0.6 },
    { delta: [1.4], mean: centre, temperature: 1.2, noisier: 0.7, earlier: true },
  ];
  return all
    .filter(({ delta }) => !(refusesWeights(structure) && delta.length > parts().length))
    .filter(({ earlier }) => !earlier || takesMatrices(structure));
}

const takesMatrices = (structure: Case["structure"]) => structure === "full" || structure === "diagonal";

const refusesWeights = (structure: Case["structure"]) =>
  structure === "kronecker" || structure === "ekfac" || structure === "kfoc";

/** The posterior by its definition. */
function dense(
  { model, world }: Case,
  { reference, examples, indices, parts }: Fixture,
  hyper: Hyper,
  matrix: Matrix | undefined,
) {
  const density =
    model.density.name === "gaussian"
      ? { ...model.density, noise: model.density.noise.map((sigma) => sigma * hyper.noisier) }
      : model.density;
  const h = 1 / (scaleOf(density) ** 2 * hyper.temperature);
  const { delta, mean } = hyper;
  const spread = parts().flatMap(({ offset, size }, part) =>
    indices()
      .filter((index) => index >= offset && index < offset + size)
      .map((index) =>
        delta.length === 1 ? delta[0] : delta.length === parts().length ? delta[part] : delta[indices().indexOf(index)],
      ),
  );
  const ofPrior = spread.map((x, i) => spread.map((_, j) => x * (matrix?.[i][j] ?? (i === j ? 1 : 0))));
  const precision = reference().map((row, i) => row.map((x, j) => h * x + ofPrior[i][j]));
  const { logDeterminant, inverse } = inverted(precision);
  const prior = matrix ? inverted(ofPrior).logDeterminant : spread.reduce((sum, x) => sum + Math.log(x), 0);
  const deviation = indices().map((index, i) => world.theta[index] - (typeof mean === "number" ? mean : mean[i]));
  const scatter = deviation.reduce(
    (sum, d, i) => sum + d * ofPrior[i].reduce((all, x, j) => all + x * deviation[j], 0),
    0,
  );
  const likelihood = logLikelihood(density, examples, hyper.temperature);
  const evidence = {
    logLikelihood: likelihood,
    logDetPosterior: logDeterminant,
    logDetPrior: prior,
    logDetRatio: logDeterminant - prior,
    scatter,
    logMarginalLikelihood: likelihood - 0.5 * (logDeterminant - prior + scatter),
  };
  return { density, precision, inverse, evidence };
}

/** Numbers for parameters or weights as they lie in the network, in the order in which the option names these. */
function asNamed({ options, world }: Case, { indices, parts }: Fixture, values: readonly number[]): readonly number[] {
  const { weights } = options;
  if (values.length === 1 || typeof weights === "string") return values;
  const rangeOf = (name: string) => {
    const { offset, size } = world.net.parameterTable.find((parameter) => parameter.name === name) ?? {
      offset: 0,
      size: 0,
    };
    return Array.from({ length: size }, (_, i) => offset + i);
  };
  const named =
    "indices" in weights
      ? Array.from(weights.indices)
      : "parameters" in weights
        ? weights.parameters.flatMap(rangeOf)
        : [];
  if (values.length !== parts().length) return named.map((index) => values[indices().indexOf(index)]);
  const partOf = (index: number) => parts().findIndex(({ offset, size }) => index >= offset && index < offset + size);
  return [...new Set(named.map(partOf))].map((part) => values[part]);
}

const changesOf = (one: Case, fixture: Fixture, { delta, mean, temperature, noisier }: Hyper): Hyperparameters => ({
  priorPrecision: asNamed(one, fixture, delta),
  priorMean: typeof mean === "number" ? mean : asNamed(one, fixture, mean),
  temperature,
  ...(one.model.density.name === "gaussian" && { noise: scaleOf(one.model.density) * noisier }),
});

/** Everything a posterior says, in an order: for comparisons of bits. */
function answers(posterior: Posterior, x: Parameters<Posterior["predict"]>[0]) {
  const { logPriorPrecision, logNoise } = posterior.evidenceGradient();
  const prediction = posterior.predict(x);
  const walk = posterior.predict(x, { approximation: "network", samples: 3 });
  return {
    evidence: posterior.evidence(),
    gradient: [...logPriorPrecision.data, logNoise],
    numbers: [
      posterior.curvature.dense(),
      posterior.mean,
      posterior.priorPrecision,
      posterior.priorMean,
      posterior.covariance(),
      posterior.precision(),
      posterior.variance(),
      posterior.sample(2, { seed: 3 }),
      posterior.functionCovariance(x),
      posterior.functionCovariance(x, { joint: true }),
      posterior.functionSamples(x, 2, { seed: 3 }),
      prediction.mean,
      prediction.variance,
      prediction.functionMean,
      prediction.functionVariance,
      walk.mean,
      walk.functionVariance,
      posterior.logProb(posterior.mean.data.map((w: number) => w + 0.1)),
    ].map(({ shape, data }) => ({ shape: [...shape], data: Array.from(data) })),
    rest: [posterior.examples, posterior.loss, posterior.temperature, posterior.noise?.data, [...posterior.indices]],
  };
}

/** The gradient against central differences, in every log prior precision and the log noise. */
function checkGradient({ model }: Case, posterior: Posterior): void {
  const delta = Array.from(posterior.priorPrecision.data);
  const { hyper } = posterior.likelihood;
  const logs = [...delta.map(Math.log), ...(hyper.any ? [Math.log(hyper.value)] : [])];
  const value = (u: readonly number[]) => {
    const all = u.map(Math.exp);
    const priorPrecision = all.slice(0, delta.length);
    return [
      posterior
        .with({ priorPrecision, ...(model.density.name === "gaussian" && { noise: all[delta.length] }) })
        .logMarginalLikelihood(),
    ];
  };
  const [slopes] = finiteDifferences(value, logs, 2e-3);
  const { logPriorPrecision, logNoise } = posterior.evidenceGradient();
  expect(logPriorPrecision.shape).toEqual([delta.length]);
  const found = [...logPriorPrecision.data, ...(logNoise === undefined ? [] : [logNoise])];
  expect(found).toBeAllClose(slopes, { relative: 1e-6, absolute: 1e-6 });
}

function contract(one: Case): void {
  const fixture = fixtureOf(one);
  const { approximation, posterior, data, indices } = fixture;
  const { structure, model, world, samples } = one;
  const gaussian = model.density.name === "gaussian";
  const hypers = lazy(() => hypersOf(one, fixture));
  const earlier = lazy(async () => (await posterior()).with({ priorPrecision: 0.6, temperature: 1.5 }));
  const dues = lazy(async () => {
    const n = indices().length;
    const rows = (flat: ArrayLike<number>) => indices().map((_, r) => Array.from(flat).slice(r * n, (r + 1) * n));
    const matrix = takesMatrices(structure) ? rows((await earlier()).precision().data) : undefined;
    return hypers().map((hyper) => dense(one, fixture, hyper, hyper.earlier ? matrix : undefined));
  });
  const posteriors = lazy(async () => {
    const fitted = await posterior();
    const after = takesMatrices(structure) && approximation({ prior: await earlier() }).posterior(fitted.fit);
    return hypers().map((hyper) => {
      const from = hyper.earlier && after ? after : fitted;
      return from.with(changesOf(one, fixture, hyper));
    });
  });

  test("its precision is h H + P₀, its covariance the inverse", async () => {
    for (const [i, one] of (await posteriors()).entries()) {
      const { precision, inverse } = (await dues())[i];
      expectNear(one.precision().data, precision.flat(), 1e-9);
      expectNear(one.covariance().data, inverse.flat(), 1e-9);
      expectNear(
        one.variance().data,
        inverse.map((row, r) => row[r]),
        1e-9,
      );
      // Of one weight from the mean, so that each row of P is asked for.
      const n = inverse.length;
      const moved = inverse.map((_, r) => indices().map((index, c) => world.theta[index] + (r === c ? 0.5 : 0.25)));
      const { evidence } = (await dues())[i];
      const forms = moved.map((w) => {
        const d = w.map((x, c) => x - world.theta[indices()[c]]);
        const form = d.reduce((sum, x, r) => sum + x * precision[r].reduce((s, p, c) => s + p * d[c], 0), 0);
        return 0.5 * (evidence.logDetPosterior - n * Math.log(2 * Math.PI) - form);
      });
      expectNear(one.logProb(moved).data, forms, 1e-9);
    }
  });

  test("its evidence is that of dense matrices", async () => {
    for (const [i, one] of (await posteriors()).entries()) {
      const due = (await dues())[i].evidence;
      const found = one.evidence();
      for (const key of Object.keys(due) as (keyof typeof due)[]) expectNumber(found[key], due[key]);
      expect(one.logMarginalLikelihood()).toBe(found.logMarginalLikelihood);
    }
    if (!refusesWeights(structure) || indices().length === fixture.parts().length) return;
    const priorPrecision = indices().map(() => 1);
    expect(() => approximation({ priorPrecision })).toThrow(OptionError);
    const refused = (await posterior()).with({ priorPrecision });
    expect(() => refused.logMarginalLikelihood()).toThrow(OptionError);
  });

  if (structure === "kronecker") {
    test("damped, each factor has its share of the prior", async () => {
      const { sharing = "expand", monteCarloSamples = 1, seed = 0 } = one.options;
      const { keep } = fixture;
      const weights = middles(model.density, fixture.examples, one.kind, { samples: monteCarloSamples, seed });
      const fitted = await approximation({ damping: true }).fit(data);
      for (const hyper of hypers()) {
        const damped = fitted.with(changesOf(one, fixture, hyper));
        const h = 1 / (damped.likelihood.hyper.value ** 2 * hyper.temperature);
        const plus = (m: Matrix, factor: number, delta: number) =>
          m.map((row, i) => row.map((x, j) => factor * x + (i === j ? delta : 0)));
        const blocks = fixture.parts().map((part, i) => {
          const delta = hyper.delta[hyper.delta.length === 1 ? 0 : i];
          if (part.role !== "weight")
            return plus(kroneckerBlock(fixture.examples, weights, part, sharing, keep), h, delta);
          const half = (m: Matrix) => plus(m, Math.sqrt(h), Math.sqrt(delta));
          const factors = weightFactors(fixture.examples, weights, part, sharing, keep);
          return blockDiagonal(factors.map(({ left, right }) => kroneckerProduct(half(left), half(right))));
        });
        const { inverse, logDeterminant } = inverted(blockDiagonal(blocks));
        expectNear(damped.precision().data, blockDiagonal(blocks).flat(), 1e-9);
        expectNear(damped.covariance().data, inverse.flat(), 1e-9);
        expectNumber(damped.evidence().logDetPosterior, logDeterminant);
        checkGradient(one, damped);
      }
    });
  }

  test("the evidence's gradient is what finite differences say", async () => {
    for (const posterior of await posteriors()) {
      checkGradient(one, posterior);
    }
  });

  test("its draws have its covariance, whatever the noise they are made of", async () => {
    const [first, second] = await posteriors();
    const n = indices().length;
    for (const [i, one] of [first, second].entries()) {
      // The root R of the covariance, from unit vectors in the place of noise.
      const unit = Float64Array.from({ length: n * n }, (_, k) => (k % (n + 1) === 0 ? 1 : 0));
      const flat = atOnce(one.deviations(n, unit));
      const root = Array.from({ length: n }, (_, r) => Array.from(flat.subarray(r * n, (r + 1) * n)));
      expectNear(product(transposed(root), root).flat(), (await dues())[i].inverse.flat(), 1e-9);
    }
    const draws = first.sample(5, { seed: 8 });
    expect(draws.shape).toEqual([5, world.theta.length]);
    expect(first.sample(5, { seed: 8 }).data).toEqual(draws.data);
    expect(first.sample(5, { seed: 9 }).data).not.toEqual(draws.data);
    const deviations = atOnce(first.deviations(5, new Random(8)));
    const due = Array.from({ length: 5 }, (_, s) => {
      const row = [...world.theta];
      indices().forEach((index, i) => {
        row[index] += deviations[s * n + i];
      });
      return row;
    }).flat();
    // Weights that are not selected are equal to the bit, since they stay.
    expect(Array.from(draws.data)).toEqual(due);
  });

  test("its predictions are J P⁻¹ Jᵀ", async () => {
    const rows = world.tests.map(({ jacobian }) => columnsOf(jacobian, indices()));
    const f = world.tests.flatMap((example) => example.f);
    for (const [i, one] of (await posteriors()).entries()) {
      const { inverse, density } = (await dues())[i];
      const all = rows.flat();
      const joint = product(product(all, inverse), transposed(all));
      expectNear(one.functionCovariance(world.x, { joint: true }).data, joint.flat(), 1e-9);
      const blocks = rows.map((row) => product(product(row, inverse), transposed(row)));
      const marginal = one.functionCovariance(world.x);
      expect(marginal.shape).toEqual([rows.length, model.outputs, model.outputs]);
      expectNear(marginal.data, blocks.flat(2), 1e-9);
      const { functionMean, functionVariance, variance, mean } = one.predict(world.x);
      const variances = blocks.flatMap((block) => block.map((row, c) => row[c]));
      expect(functionMean.shape).toEqual([rows.length, ...world.net.outputShape]);
      expectNear(functionMean.data, f, 1e-12);
      expectNear(functionVariance.data, variances, 1e-9);
      if (density.name === "categorical") {
        const groups = groupsOf(density, model.outputs);
        const within = blocks.flatMap((block) =>
          groups.map((group) => group.map((r) => group.map((c) => block[r][c]))),
        );
        const perPosition = one.functionCovariance(world.x, { perPosition: true });
        expectNear(perPosition.data, within.flat(3), 1e-9);
        const classes = groups[0].length;
        const positions = groups.length === 1 ? [] : [groups.length];
        expect(perPosition.shape).toEqual([rows.length, ...positions, classes, classes]);
        // "meanField2" of every position's classes.
        const groupOf = (k: number) => groups.find((group) => group.includes(k % model.outputs)) as number[];
        const weights = f.map((x, k) => {
          const [example, r] = [Math.floor(k / model.outputs), k % model.outputs];
          const v = blocks[example];
          const term = (o: number) => {
            const between = v[r][r] + v[o][o] - v[r][o] - v[o][r];
            return Math.exp((f[example * model.outputs + o] - x) / Math.sqrt(1 + (Math.PI / 8) * between));
          };
          return 1 / groupOf(k).reduce((sum, o) => sum + (o === r ? 1 : term(o)), 0);
        });
        const due = weights.map((x, k) => {
          const start = k - (k % model.outputs);
          return x / groupOf(k).reduce((sum, o) => sum + weights[start + o], 0);
        });
        expect(mean.shape).toEqual(functionMean.shape);
        expectNear(mean.data, due, 1e-9);
      }
      if (density.name !== "gaussian") continue;
      const noisy = variances.map((v, k) => v + density.noise[k % model.outputs] ** 2);
      expectNear(variance.data, noisy, 1e-9);
      expectNear(mean.data, f, 1e-12);
    }
    const [fitted] = await posteriors();
    // The same draws of weights, pushed through the linearised network.
    const deviations = atOnce(fitted.deviations(4, new Random(6)));
    const due = Array.from({ length: 4 }, (_, s) =>
      rows.flat().map((row, k) => row.reduce((sum, x, i) => sum + x * deviations[s * row.length + i], f[k])),
    );
    const functions = fitted.functionSamples(world.x, 4, { seed: 6 });
    expect(functions.shape).toEqual([4, rows.length, ...world.net.outputShape]);
    expectNear(functions.data, due.flat(), 1e-9);
  });

  test("fitted again it is the same to the bit, and nothing changes it", async () => {
    const net = world.networkOf();
    const plan = approximation({}, net);
    const fitted = await plan.fit(data);
    const before = answers(fitted, world.x);
    // By the same plan, which may know something from before; by another, of another network: what it is made of, and all it says.
    const again = await plan.fit(data);
    expect(again.curvature.dense()).toEqual(fitted.curvature.dense());
    expect([again.evidence(), again.mean, again.predict(world.x)]).toEqual([
      fitted.evidence(),
      fitted.mean,
      fitted.predict(world.x),
    ]);
    expect(answers(await posterior(), world.x)).toEqual(before);
    // `with` changes only what it says.
    const changed = fitted.with({ priorPrecision: 3, temperature: 0.5 });
    expect(changed.curvature).toBe(fitted.curvature);
    expect(changed.temperature).toBe(0.5);
    expect(Array.from(changed.priorPrecision.data)).toEqual([3]);
    expect(changed.priorMean.data).toEqual(fitted.priorMean.data);
    expect(changed.likelihood).toBe(fitted.likelihood);
    expect(changed.with({ priorMean: 1 }).priorPrecision.data).toEqual(changed.priorPrecision.data);
    expect(changed.with({ priorMean: 1 }).temperature).toBe(0.5);
    if (gaussian) {
      const noisier = changed.with({ noise: 2 * scaleOf(model.density) });
      expect(noisier.temperature).toBe(0.5);
      const due = (model.density as { noise: readonly number[] }).noise.map((sigma) => 2 * sigma);
      expectNear(noisier.noise?.data ?? [], due, 1e-12);
    } else {
      expect(() => changed.with({ noise: 2 })).toThrow(OptionError);
      expect(changed.noise).toBeUndefined();
    }
    changed.evidence();
    // Nor does what is done to the network, or to arrays that were given out.
    net.setParameters(world.theta.map((w) => w + 1));
    for (const { data: numbers } of [fitted.covariance(), fitted.precision(), fitted.variance(), fitted.mean])
      numbers.fill(7);
    fitted.curvature.dense().data.fill(7);
    for (const approximation of [...model.likelihood.links, "network"] as Approximation[]) {
      const { mean, variance, functionMean, functionVariance } = fitted.predict(world.x, { approximation });
      const buffers = [mean, variance, functionMean, functionVariance].map(({ data: numbers }) => numbers.buffer);
      expect(new Set(buffers).size).toBe(4);
    }
    expect(answers(fitted, world.x)).toEqual(before);
  });

  const skipped = notInParts(one);
  test.skipIf(skipped !== "")(`from batches and from merged shards it is the same${skipped}`, async () => {
    const whole = await posterior();
    const plan = approximation(needsBasis(structure) ? { basis: whole.curvature } : {});
    const first = await plan.fit(world.dataOf([0]));
    const rest = await plan.fit(world.dataOf(fixture.rows.slice(1)), { first: 1 });
    for (const one of [await plan.fit(new DataLoader(data, { batchSize: 4 })), first.merge(rest), rest.merge(first)]) {
      expect(one.examples).toBe(samples);
      expectNumber(one.loss, whole.loss, 1e-12);
      const [ours, theirs] = [one, whole].map((posterior) => Object.values(posterior.evidence()));
      expect(ours).toBeAllClose(theirs, { relative: 1e-9, absolute: 1e-9 });
      expectNear(one.covariance().data, whole.covariance().data, 1e-9);
    }
  });

  test("in float32 it agrees within a thousandth", async () => {
    const net = world.networkOf("float32");
    // Eigenvectors of eigenvalues that nearly agree are not the same in another type; take the same.
    const [hyper] = hypers();
    const fitted = await posterior();
    const basis = needsBasis(structure) ? { basis: fitted.curvature } : {};
    const single = (await approximation(basis, net).fit(data)).with(changesOf(one, fixture, hyper));
    const [double] = await posteriors();
    expectNear(single.curvature.dense().data, double.curvature.dense().data, 1e-3);
    expectNumber(single.logMarginalLikelihood(), double.logMarginalLikelihood(), 1e-3);
    expectNear(single.covariance().data, double.covariance().data, 1e-3);
    expectNear(single.functionCovariance(world.x).data, double.functionCovariance(world.x).data, 1e-3);
    expectNear(single.predict(world.x).mean.data, double.predict(world.x).mean.data, 1e-3);
  });

  const without = gaussian ? "" : " (without noise: the likelihood has none)";
  const withWeights = refusesWeights(structure) ? " (no prior for each weight: the structure refuses it)" : "";
  test(`tuning ends where the evidence is stationary${without}${withWeights}`, async () => {
    const fitted = await posterior();
    for (const priorStructure of ["scalar", "perParameter", "perWeight"] as const) {
      if (priorStructure === "perWeight" && refusesWeights(structure)) {
        if (indices().length > fixture.parts().length) {
          expect(() => fitted.optimizePrior({ priorStructure })).toThrow(OptionError);
        }
        continue;
      }
      for (const noise of gaussian ? [false, true] : [false]) {
        const start = fitted.logMarginalLikelihood();
        const tuned = fitted.optimizePrior({ priorStructure, noise });
        const evidence = tuned.logMarginalLikelihood();
        expect(evidence).toBeGreaterThanOrEqual(start);
        const { tuning } = tuned;
        expect(tuning?.gradientNorm).toBeLessThanOrEqual(1e-6 * Math.max(1, Math.abs(evidence)));
        expect(tuning?.converged).toBe(true);
        // The report is true: a derivative is left only where a bound, |log δ| = 30, stops it.
        const { logPriorPrecision, logNoise } = tuned.evidenceGradient();
        const logs = tuned.priorPrecision.data.map(Math.log);
        const left = Array.from(logPriorPrecision.data).filter((_, i) => Math.abs(logs[i]) < 29.999);
        if (noise && Math.abs(Math.log(tuned.likelihood.hyper.value)) < 29.999) left.push(logNoise as number);
        for (const slope of left) expect(Math.abs(slope)).toBeLessThanOrEqual(1e-6 * Math.max(1, Math.abs(evidence)));
        expect(fitted.logMarginalLikelihood()).toBe(start);
        expect(tuned.curvature).toBe(fitted.curvature);
      }
    }
    // With an earlier posterior its scale.
    const last = (await posteriors()).at(-1) as Posterior;
    if (!hypers().at(-1)?.earlier) return;
    const tuned = last.optimizePrior({ onWarning: () => {} });
    expect(tuned.priorPrecision.shape).toEqual([1]);
    const evidence = tuned.logMarginalLikelihood();
    expect(evidence).toBeGreaterThanOrEqual(last.logMarginalLikelihood());
    expect(tuned.tuning?.gradientNorm).toBeLessThanOrEqual(1e-6 * Math.max(1, Math.abs(evidence)));
  });
}

for (const one of cases) describe(one.name, () => contract(one));
