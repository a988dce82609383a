// Tuning on held-out data: each candidate is a posterior with another prior, noise or temperature, scored by itself.

import { type Data, readWhole } from "../data/batches.ts";
import { totalWeight } from "../data/dataset.ts";
import {
  checkBoolean,
  checkChoice,
  checkInteger,
  checkOptions,
  OptionError,
  ValueError,
  valueText,
} from "../errors.ts";
import { reporting, type Steps } from "../kernels/steps.ts";
import { goldenSearch, gridSearch, type Least } from "../posterior/search.ts";
import { problemScales, tunedApart } from "../posterior/tunable.ts";
import { type HeldOutCandidate, readWarning, type Tuning } from "../posterior/tuning.ts";
import { checkIsPosterior } from "../posterior/weight-gaussian.ts";
import { WeightPosterior } from "../posterior/weight-posterior.ts";
import { type PredictOptions, predictOptionNames } from "../prediction/prediction.ts";
import type { Executor } from "../shards/executor.ts";
import { type Hyperparameters, type PriorStructure, restructured } from "../structures/prior.ts";
import type { Candidates, Member } from "./candidates.ts";
import { evaluating, isWorst } from "./evaluate.ts";
import type { Fold } from "./folds.ts";
import type { Evaluation } from "./metrics.ts";
import { candidateSharing } from "./sharing.ts";

/** Metrics of `evaluate` by which candidates can be scored: of the last two the largest is the best, of others the least. */
export type ScoreName =
  | "negativeLogLikelihood"
  | "rootMeanSquaredError"
  | "meanAbsoluteError"
  | "crps"
  | "miscalibrationArea"
  | "brierScore"
  | "expectedCalibrationError"
  | "accuracy"
  | "auroc";

const scoreNames: readonly ScoreName[] = [
  "negativeLogLikelihood",
  "rootMeanSquaredError",
  "meanAbsoluteError",
  "crps",
  "miscalibrationArea",
  "brierScore",
  "expectedCalibrationError",
  "accuracy",
  "auroc",
];

const largestIsBest: readonly ScoreName[] = ["accuracy", "auroc"];

/** Numbers for each hyperparameter. */
type Each<T> = {
  readonly [Name in HyperName]?: T | undefined;
};

type HyperName = "priorPrecision" | "noise" | "temperature";
const hyperNames: readonly HyperName[] = ["priorPrecision", "noise", "temperature"];

/** Options of `optimizePrior` on held-out data; those of `predict` say how it predicts. */
export interface HeldOutOptions<Of extends WeightPosterior = WeightPosterior> extends PredictOptions {
  /** Data that the network was not trained on; or the models of `folds`, each scored on the data it did not see. */
  readonly on: Data | readonly Fold[];
  /**
   * What is best: by default the predictive log density, the least "negativeLogLikelihood"; another metric of `evaluate`; or a
   * function of a posterior and data, whose number is to be small.
   */
  readonly score?: ScoreName | ((posterior: Of, data: Data) => number) | undefined;
  /** How many prior precisions are tuned: one, or one for each parameter (default: as many as there are). */
  readonly priorStructure?: Exclude<PriorStructure, "perWeight"> | undefined;
  /** Whether the prior precision is tuned (default true). */
  readonly prior?: boolean | undefined;
  /** Whether the noise is tuned (default: where the likelihood has one). */
  readonly noise?: boolean | undefined;
  /** Whether the temperature is tuned (default false). */
  readonly temperature?: boolean | undefined;
  /** "golden" (default): golden sections, one hyperparameter after the other; "grid": all values of `grid` with each other. */
  readonly method?: "golden" | "grid" | undefined;
  /** Of "grid": the values of each hyperparameter (default: 21 in its range, in equal ratios). */
  readonly grid?: Each<readonly number[]> | undefined;
  /**
   * From where to where each is looked for. Default: for the prior precision 10⁻⁴ to 10⁴, for the noise 1/30 to 30 times the
   * problem's own scale; for the temperature 10⁻⁴ to 100.
   */
  readonly range?: Each<readonly [least: number, most: number]> | undefined;
  /** Of "golden": how many posteriors are scored at most (default 100 for each number that is tuned). */
  readonly steps?: number | undefined;
  /** Called with each warning (default: console.warn). */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** Beside options of `optimizePriorAsync` on held-out data. */
export interface WithWorkers {
  /**
   * Who predicts candidates, such as `workers()`; the bits do not depend on it. Default: this thread, in Node with others beside it
   * where candidates take long. A function `score` is called on this thread.
   */
  readonly workers?: Executor | undefined;
}

/** How far tuning on held-out data is. */
export interface HeldOutReport {
  /** Posteriors that were scored. */
  readonly evaluations: number;
  /** The best score so far. */
  readonly score: number;
}

const optionNames = [
  "on",
  "score",
  "priorStructure",
  "prior",
  "noise",
  "temperature",
  "method",
  "grid",
  "range",
  "steps",
  "onWarning",
  ...predictOptionNames,
];

/** Places at which golden sections begin, and on a grid. */
const [PLACES, GRID] = [9, 21];
/** Golden sections go on until a number is known to 2 %. */
const TOLERANCE = 0.02;

const where = "optimizePrior";

/** A number that is tuned: where the search begins, and from where to where it goes. */
interface Coordinate {
  readonly name: HyperName;
  /** What it is called in messages. */
  readonly text: string;
  readonly start: number;
  readonly least: number;
  readonly most: number;
}

/** What changes a posterior to the best of its candidates, and how that was found. */
export function* tuneOnHeldOut<Of extends WeightPosterior>(
  posterior: Of,
  options: HeldOutOptions<Of>,
  by?: Executor,
): Steps<{ readonly hyper: Hyperparameters; readonly tuning: Tuning }, HeldOutReport> {
  checkOptions(where, options, optionNames);
  const { method = "golden", score = "negativeLogLikelihood" } = options;
  checkChoice(where, "method", method, ["golden", "grid"]);
  if (typeof score !== "function") checkChoice(where, "score", score, scoreNames);
  const warn = readWarning(where, options.onWarning);
  const members = readMembers(posterior, options.on);
  const coordinates = coordinatesOf(posterior, options);
  const { steps = 100 * coordinates.length } = options;
  checkInteger(where, "steps", steps, 1);
  const sign = typeof score === "string" && largestIsBest.includes(score) ? -1 : 1;
  const axes = method === "grid" ? axesOf(coordinates, options.grid) : undefined;
  if (axes === undefined && options.grid !== undefined) {
    throw new OptionError(`${where}: grid goes with method: "grid".`);
  }
  const { approximation, samples, seed, memoryBudget } = options;
  const predicting = { approximation, samples, seed, memoryBudget };
  const shared = typeof score === "function" ? undefined : candidateSharing(by)?.(members, predicting, by as Executor);
  const ahead = (all: readonly Float64Array[]) => shared?.ahead(all.map((one) => hyperparametersOf(coordinates, one)));

  const curve: HeldOutCandidate[] = [];
  let best = Number.POSITIVE_INFINITY;
  let failed: unknown;
  const measure = function* (values: Float64Array): Steps<number, HeldOutReport> {
    const hyper = hyperparametersOf(coordinates, values);
    let value = Number.NaN;
    try {
      value = yield* scoreOf(members as readonly Member<Of>[], hyper, score, predicting, shared);
    } catch (error) {
      // A candidate that has no predictions is the worst there is; where none has any, its error is told.
      if (!isWorst(error)) throw error;
      failed ??= error;
    }
    const signed = Number.isNaN(value) ? Number.POSITIVE_INFINITY : sign * value;
    curve.push({ ...hyper, score: value });
    best = Math.min(best, signed);
    yield { evaluations: curve.length, score: sign * best };
    return signed;
  };
  const found: Least =
    axes === undefined
      ? yield* goldenSearch((u) => measure(u.map(Math.exp)), ofEach(coordinates, "start"), {
          lower: ofEach(coordinates, "least"),
          upper: ofEach(coordinates, "most"),
          points: PLACES,
          tolerance: TOLERANCE,
          most: steps,
          ahead: (all) => ahead(all.map((u) => u.map(Math.exp))),
        })
      : yield* gridSearch(measure, axes, ahead);
  if (found.value === Number.POSITIVE_INFINITY) {
    throw failed ?? new ValueError(`${where}: no candidate has a score that is a number, by ${nameOf(score)}.`);
  }
  const values = axes === undefined ? found.u.map(Math.exp) : found.u;
  const edges = coordinates.flatMap(({ text, ...range }, i) => {
    const axis = axes?.[i] ?? [range.least, range.most];
    const [least, most] = [Math.min(...axis), Math.max(...axis)];
    const near = (bound: number) => least < most && Math.abs(Math.log(values[i] / bound)) <= TOLERANCE;
    if (!near(least) && !near(most)) return [];
    warn(
      `${where}: the best ${text}, ${values[i].toPrecision(4)}, is at the edge of what was tried, ${least.toPrecision(4)} to ${most.toPrecision(4)}. Give another ${axes === undefined ? "range" : "grid"}, that goes ${near(least) ? "lower" : "higher"}, unless predictions no longer change there: then these data do not tell it.`,
    );
    return [text];
  });
  const tuning = {
    steps: curve.length,
    gradientNorm: 0,
    converged: found.converged && edges.length === 0,
    heldOut: { score: nameOf(score), value: sign * found.value, edges, curve },
  };
  return { hyper: hyperparametersOf(coordinates, values), tuning };
}

const nameOf = (score: unknown) => (typeof score === "string" ? score : "a function");

const ofEach = (coordinates: readonly Coordinate[], name: "start" | "least" | "most") =>
  Float64Array.from(coordinates, (one) => Math.log(one[name]));

/** Coordinates' values as `with` takes them. */
function hyperparametersOf(coordinates: readonly Coordinate[], values: Float64Array) {
  const of = (name: HyperName) => Array.from(values).filter((_, i) => coordinates[i].name === name);
  const [precision, noise, temperature] = [of("priorPrecision"), of("noise"), of("temperature")];
  return {
    ...(precision.length > 0 && { priorPrecision: precision }),
    ...(noise.length > 0 && { noise: noise.length > 1 ? noise : noise[0] }),
    ...(temperature.length > 0 && { temperature: temperature[0] }),
  };
}

/** Itself with data, or the models of folds. @throws ValueError, OptionError */
function readMembers(posterior: WeightPosterior, on: HeldOutOptions["on"]): readonly Member<WeightPosterior>[] {
  const list = Array.isArray(on) ? (on as readonly Partial<Fold>[]) : [];
  if (!list.some((one) => one !== null && typeof one === "object" && "posterior" in one)) {
    return [{ posterior, data: readWhole(where, on as Data) }];
  }
  return list.map((one, k) => {
    checkIsPosterior(where, `the posterior of fold ${k}`, one?.posterior, WeightPosterior);
    return { posterior: one.posterior, data: readWhole(`${where}: fold ${k}`, one.data as Data) };
  });
}

/**
 * The mean score of the members with these hyperparameters, each by its number of samples, or their weights.
 * @param shared gives what `evaluate` does, where an executor predicts
 */
function* scoreOf<Of extends WeightPosterior>(
  members: readonly Member<Of>[],
  hyper: Hyperparameters,
  score: ScoreName | ((posterior: Of, data: Data) => number),
  options: PredictOptions,
  shared?: Candidates,
): Steps<number, HeldOutReport> {
  let [sum, count] = [0, 0];
  const all = shared && (yield* shared.evaluations(hyper));
  for (const [k, { posterior, data }] of members.entries()) {
    const n = totalWeight(data);
    let own: unknown;
    if (typeof score === "function") own = score(yield* posterior.changing(hyper), data);
    else {
      const metrics = all?.[k] ?? (yield* evaluated(yield* posterior.changing(hyper), data, options));
      own = metrics[score];
      if (own === undefined) {
        throw new OptionError(
          `${where}: there is no ${score} of a ${posterior.likelihood.name} likelihood on these data; evaluate(posterior, data) shows which scores there are.`,
        );
      }
    }
    if (typeof own !== "number") {
      throw new OptionError(`${where}: the score must be a number, not ${valueText(own)}.`);
    }
    sum += n * own;
    count += n;
  }
  return sum / count;
}

const evaluated = <Report>(
  posterior: WeightPosterior,
  data: Data,
  options: PredictOptions,
): Steps<Evaluation, Report> => reporting(evaluating(posterior, data, options), () => undefined);

/** What is tuned, where it begins and how far it goes. @throws OptionError */
function coordinatesOf(posterior: WeightPosterior, options: Omit<HeldOutOptions, "score">): readonly Coordinate[] {
  const { parts, likelihood } = posterior;
  const { prior, temperature } = parts;
  const { hyper } = likelihood;
  const tuned = {
    prior: options.prior ?? true,
    noise: options.noise ?? hyper.any,
    temperature: options.temperature ?? false,
  };
  for (const [name, value] of Object.entries(tuned)) checkBoolean(where, name, value);
  const structure = options.priorStructure ?? (prior.structure === "perWeight" ? "scalar" : prior.structure);
  checkChoice(where, "priorStructure", structure, ["scalar", "perParameter"]);
  if (tuned.noise && likelihood.withHyper === undefined) {
    throw new OptionError(`${where}: a ${likelihood.name} likelihood has no noise to tune.`);
  }
  if (!tuned.prior && !tuned.noise && !tuned.temperature) {
    throw new OptionError(`${where}: nothing is to be tuned: prior, noise and temperature are false.`);
  }
  const start = restructured(where, prior, structure);
  const scales = problemScales(parts, start, tuned.noise);
  const precisions = tuned.prior ? prior.selection.arrange(scales.precision, true) : [];
  // A list of noises goes with curvatures that are kept apart; else their ratios stay.
  const apart = tunedApart(parts) !== undefined && options.method !== "grid";
  const noises = !tuned.noise ? [] : apart ? scales.noise : [geometricMean(scales.noise)];
  const several = (name: string, length: number, i: number) => (length > 1 ? `${name} ${i}` : name);
  const own = (name: HyperName, text: string, scale: number, [low, high]: readonly number[], begin = scale) => {
    const [least, most] = options.range?.[name] ?? [low * scale, high * scale];
    if (!(least > 0 && most > least && most < Number.POSITIVE_INFINITY)) {
      throw new OptionError(
        `${where}: the range of ${name} must be two positive numbers, the smaller first, not ${valueText(options.range?.[name])}.`,
      );
    }
    return { name, text, start: Math.min(Math.max(begin, least), most), least, most };
  };
  if (options.range !== undefined) checkOptions(`${where}: range`, options.range, [...hyperNames]);
  return [
    ...Array.from(precisions, (scale, i) =>
      own("priorPrecision", several("prior precision", precisions.length, i), scale, [1e-4, 1e4]),
    ),
    ...Array.from(noises, (scale, i) => own("noise", several("noise", noises.length, i), scale, [1 / 30, 30])),
    ...(tuned.temperature ? [own("temperature", "temperature", 1, [1e-4, 100], temperature)] : []),
  ];
}

const geometricMean = (values: Float64Array) =>
  Math.exp(values.reduce((sum, x) => sum + Math.log(x), 0) / values.length);

/** The values of each coordinate on a grid. @throws OptionError */
function axesOf(coordinates: readonly Coordinate[], grid: HeldOutOptions["grid"] = {}): readonly (readonly number[])[] {
  checkOptions(`${where}: grid`, grid, [...hyperNames]);
  return coordinates.map(({ name, least, most }) => {
    const even = (_: unknown, i: number) => least * (most / least) ** (i / (GRID - 1));
    const values: unknown = grid[name] ?? Array.from({ length: GRID }, even);
    const good = (x: unknown) => typeof x === "number" && x > 0 && x < Number.POSITIVE_INFINITY;
    if (
      !(Array.isArray(values) || ArrayBuffer.isView(values)) ||
      !Array.from(values as number[]).every(good) ||
      (values as number[]).length === 0
    ) {
      throw new OptionError(
        `${where}: the grid of ${name} must be a list of positive numbers, not ${valueText(values)}.`,
      );
    }
    return Array.from(values as number[]);
  });
}
