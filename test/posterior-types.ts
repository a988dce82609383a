// What types know of a posterior's likelihood: read by `npm run typecheck`, never run. Each line with "@ts-expect-error" must be
// an error.

import {
  bernoulli,
  categorical,
  type Data,
  defineLikelihood,
  type Evaluation,
  evaluate,
  evaluateAsync,
  type Fit,
  gaussian,
  heteroscedastic,
  type KindOf,
  type LaplaceOptions,
  type Likelihood,
  type LikelihoodKind,
  laplace,
  loadPosterior,
  type NDArray,
  type Network,
  type NumberLikelihood,
  type Posterior,
  poisson,
  type Remote,
  type RemoteNetwork,
  type RowLikelihood,
  savePosterior,
} from "../src/index.ts";

/** Whether two types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const check = <_ extends true>(): void => {};

declare const net: Network;
declare const data: Data;
declare const rule: NumberLikelihood;
declare const rows: RowLikelihood;
declare const fit: Fit;

export async function kinds(): Promise<void> {
  // By a task's name, and by a likelihood.
  const regression = await laplace(net, { likelihood: "regression" }).fit(data);
  const normal = await laplace(net, { likelihood: gaussian({ noise: 0.1 }), structure: "full" }).fit(data);
  const varying = await laplace(net, { likelihood: heteroscedastic() }).fit(data);
  const mixed = await laplace(net, { likelihood: heteroscedastic({ density: "mixture" }) }).fit(data);
  const classes = await laplace(net, { likelihood: categorical() }).fit(data);
  const labels = await laplace(net, { likelihood: bernoulli() }).fit(data);
  const binary = await laplace(net, { likelihood: "binary" }).fit(data);
  const counts = await laplace(net, { likelihood: "count" }).fit(data);
  const rates = laplace(net, { likelihood: poisson() }).posterior(fit);
  const own = await laplace(net, { likelihood: defineLikelihood("own", () => rule)() }).fit(data);
  const ownRows = await laplace(net, { likelihood: defineLikelihood("rows", () => rows)() }).fit(data);
  const either = await laplace(net, { likelihood: "classification" }).fit(data);
  regression satisfies Posterior<"normal">;
  normal satisfies Posterior<"normal">;
  varying satisfies Posterior<"varying">;
  varying.noise satisfies undefined;
  evaluate(varying, data).crps satisfies number;
  mixed satisfies Posterior<"numbers">;
  classes satisfies Posterior<"classes">;
  [labels, binary] satisfies Posterior<"labels">[];
  [counts, rates, own, ownRows] satisfies Posterior<"numbers">[];
  either satisfies Posterior<"labels" | "classes">;

  // What is made of a posterior keeps its kind.
  const tuned = regression.with({ noise: 2 }).optimizePrior().merge(normal);
  tuned satisfies Posterior<"normal">;
  tuned.noise satisfies NDArray;
  tuned.evidenceGradient().logNoise satisfies number;
  classes.noise satisfies undefined;
  (await tuned.optimizePriorAsync()) satisfies Posterior<"normal">;

  // Numbers where they are known …
  const { crps, intervalCoverage, intervalWidth, miscalibrationArea, sigmaScaling } = evaluate(tuned, data);
  [crps, intervalCoverage, intervalWidth, miscalibrationArea, sigmaScaling] satisfies number[];
  const { rootMeanSquaredError, meanAbsoluteError, negativeLogLikelihood, samples } = evaluate(counts, data);
  [rootMeanSquaredError, meanAbsoluteError, negativeLogLikelihood, samples] satisfies number[];
  const { accuracy, brierScore, expectedCalibrationError } = evaluate(either, data);
  [accuracy, brierScore, expectedCalibrationError] satisfies number[];
  (await evaluateAsync(tuned, data)).crps satisfies number;
  evaluate(regression, data).outputs?.[0].crps satisfies number | undefined;
  // … absent where there are none …
  evaluate(classes, data).crps satisfies undefined;
  evaluate(counts, data).intervalCoverage satisfies undefined;
  evaluate(tuned, data).accuracy satisfies undefined;
  evaluate(classes, data).auroc satisfies undefined;
  // @ts-expect-error: of counts there are no intervals
  evaluate(counts, data).intervalCoverage satisfies number;
  // @ts-expect-error: a regression has no accuracy
  evaluate(tuned, data).accuracy satisfies number;
  // @ts-expect-error: one label alone has no ranks
  evaluate(labels, data).auroc satisfies number;
  // @ts-expect-error: not a metric
  evaluate(classes, data).rmse;

  // … and either where the likelihood is not known.
  const loaded = loadPosterior(savePosterior(tuned));
  loaded satisfies Posterior;
  check<Same<typeof loaded, Posterior<LikelihoodKind>>>();
  evaluate(loaded, data) satisfies Evaluation;
  evaluate(loaded, data).negativeLogLikelihood satisfies number;
  check<Same<Evaluation["accuracy"], number | undefined>>();
  check<Same<Evaluation["crps"], number | undefined>>();
  check<Same<(typeof loaded)["noise"], NDArray | undefined>>();
  const metrics = evaluate(loaded, data);
  if (metrics.accuracy !== undefined) [metrics.accuracy, metrics.brierScore] satisfies number[];
  if (metrics.crps !== undefined) metrics.sigmaScaling satisfies number;
  // @ts-expect-error: perhaps there are no classes
  evaluate(loaded, data).accuracy satisfies number;

  // `Posterior` alone takes every one, and one kind does not take another.
  const some: Posterior[] = [regression, classes, labels, counts, own, either, loaded];
  some satisfies readonly { readonly likelihood: Likelihood }[];
  // @ts-expect-error: classes are not numbers
  classes satisfies Posterior<"normal">;
  // @ts-expect-error: a file may have another
  loaded satisfies Posterior<"normal">;
  // @ts-expect-error: it may have classes
  either satisfies Posterior<"labels">;
}

/** Options that are passed on keep what they know, and no more. */
export async function options(known: LaplaceOptions<"regression">, all: LaplaceOptions, one: Likelihood<"classes">) {
  (await laplace(net, known).fit(data)) satisfies Posterior<"normal">;
  const wide = await laplace(net, all).fit(data);
  check<Same<typeof wide, Posterior>>();
  (await laplace(net, { likelihood: one }).fit(data)) satisfies Posterior<"classes">;
  check<Same<KindOf<"count" | Likelihood<"normal">>, "numbers" | "normal">>();
  // @ts-expect-error: not a task
  laplace(net, { likelihood: "gaussian" });
  // @ts-expect-error: a likelihood is called
  laplace(net, { likelihood: gaussian });
}

/** On a worker as here: what a handle's posterior is of, its metrics know. */
export async function remotely(remote: Remote, there: RemoteNetwork): Promise<void> {
  const regression = await remote.laplace(there, { likelihood: "regression" }).fit(data);
  const classes = await remote.laplace(there, { likelihood: categorical() }).fit(data);
  (await remote.evaluate(await regression.optimizePrior(), data)).crps satisfies number;
  (await remote.evaluate(classes, data, { level: 0.8, transfer: true })).accuracy satisfies number;
  (await regression.evidenceGradient()).logNoise satisfies number;
  regression.noise satisfies NDArray;
  // @ts-expect-error: classes have none
  (await remote.evaluate(classes, data)).crps satisfies number;
  const loaded = await remote.loadPosterior(new Uint8Array());
  (await remote.evaluate(loaded, data)) satisfies Evaluation;
  // @ts-expect-error: perhaps there are no classes
  (await remote.evaluate(loaded, data)).accuracy satisfies number;
}
