// Minimisation by second order: the loss's generalised Gauss-Newton matrix, damped as Levenberg (1944) and Marquardt (1963) do.

import { type Expansion, expansion } from "../curvature/expansion.ts";
import { type Plan, readPlan, withOwn } from "../curvature/plan.ts";
import { finite, type Point, pointsOf } from "../curvature/point.ts";
import {
  checkBytes,
  checkChoice,
  checkNumber,
  checkOptions,
  LaplaceError,
  OptionError,
  readBudget,
  refuseJson,
} from "../errors.ts";
import type { Steps } from "../kernels/steps.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import { weightOf } from "../losses/losses.ts";
import type { Network } from "../network/network.ts";
import type { Node } from "../network/primitive.ts";
import { batchNormalise, dropout, takesBatchStatistics } from "../network/primitives/training.ts";
import { bringAll } from "../structures/all.ts";
import { byCholesky, byConjugateGradients, type DampedStep, gradientOf, type Model, modelOf } from "./damped-steps.ts";
import { readEvidence } from "./evidence-options.ts";
import { overFixedFeatures } from "./fixed-features.ts";
import { FixedPoints } from "./fixed-points.ts";
import { likelihoodOf } from "./likelihood-of.ts";
import { inFloat64, type Minimiser, notFinite, type Problem } from "./minimiser.ts";
import type { EpochReport, TrainingResult } from "./results.ts";
import { byHessian, type RegionStep } from "./trust-region.ts";

/** Options of `gaussNewton`. */
export interface GaussNewtonOptions {
  /**
   * How a step is solved for: "cholesky", of the whole matrix, or "conjugateGradients" on products with it (default: the first
   * up to 1000 free weights, but the second for classes where the last layers alone are free).
   */
  solver?: "cholesky" | "conjugateGradients" | undefined;
  /** The damping at the beginning, relative to the curvature's diagonal (default 0.1). */
  damping?: number | undefined;
  /** It stops where a step is predicted to lower the objective by no more than this part of it (default 1e-12). */
  tolerance?: number | undefined;
  /** Bytes that the whole matrix may take, or the features that go into free last layers, twice (default 1 GiB). */
  memoryBudget?: number | undefined;
}

/** Free weights up to which the whole matrix is factored. */
const FULL_UP_TO = 1000;
/** Steps between two changes of prior and noise, and before the first. */
const [EVERY, BURN_IN] = [1, 4];
/** Changes of prior and noise without a better evidence after which the best is the end. */
const PATIENCE = 4;
/** Part of a change that a step must bring of what the model promised. */
const LEAST_GAIN = 1e-4;
/** A step to a region's boundary that brings less than this part is corrected. */
const SHORT = 0.75;
/** Below this part of the objective its changes are lost in its rounding. */
const ROUNDING = 1e-11;
/** So many steps that gain no more than this part are the last: the rest is lost in rounding. */
const [IDLE, EPSILON] = [8, 1e-15];
/** A minimum is near where a step is predicted to gain no more than this part. */
const NEAR = 1e-4;
/** Steps that bring nothing, one after the other, after which nothing will. */
const MOST_REJECTED = 60;
/** What damping is divided by where a step gains, and multiplied by where it does not. */
const [LESS, MORE] = [5, 4];
const [LEAST_DAMPING, MOST_DAMPING] = [1e-12, 1e12];

const where = "train";

/**
 * Levenberg-Marquardt on the generalised Gauss-Newton matrix, of all data at once, in float64 whatever the network's type: the option `optimizer`
 * of `train` for small networks, and for larger ones by conjugate gradients. An epoch is a step; the damping follows the
 * ratio of actual to predicted decrease (Nielsen 1999). Where likelihood and layers have second rules steps go by the exact Hessian
 * within a trust region (Steihaug 1983), but while prior and noise are tuned. Classes of which the last dense layers alone are free are a softmax
 * regression over what goes into these, which is computed once: Newton's steps by conjugate gradients, with one factorisation for all classes. It stops at a minimum of the objective of `train`. With the option `evidence` prior and noise are
 * learned too, by MacKay's fixed points (Foresee & Hagan 1997). @throws OptionError
 */
export function gaussNewton(options: GaussNewtonOptions = {}): Minimiser {
  const name = "gaussNewton";
  checkOptions(name, options, ["solver", "damping", "tolerance", "memoryBudget"]);
  const { solver, damping = 0.1, tolerance = 1e-12 } = options;
  if (solver !== undefined) checkChoice(name, "solver", solver, ["cholesky", "conjugateGradients"]);
  checkNumber(name, "damping", damping, 0, true);
  checkNumber(name, "tolerance", tolerance, 0, true);
  const memoryBudget = readBudget(name, options.memoryBudget);
  const minimiser: Minimiser = {
    name,
    options: { ...options },
    epochs: 1000,
    readEvidence,
    minimise(problem) {
      checkLayers(problem.net);
      const convex = solver === "cholesky" ? undefined : overFixedFeatures(problem, { tolerance, memoryBudget });
      return convex ?? descend(problem, { solver, damping, tolerance, memoryBudget });
    },
  };
  return refuseJson(
    minimiser,
    () =>
      "structuredClone, postMessage and JSON do not copy gaussNewton(), which is made of functions: make it again from its options",
  );
}

type Settings = Pick<GaussNewtonOptions, "solver"> & {
  readonly damping: number;
  readonly tolerance: number;
  readonly memoryBudget: number;
};

function* descend(problem: Problem, settings: Settings): Steps<TrainingResult, EpochReport> {
  const points = new Set<Point>();
  try {
    return yield* descendBy(problem, settings, points);
  } finally {
    for (const point of points) point.leave();
  }
}

/** @param points those that are not left at the end */
function* descendBy(problem: Problem, settings: Settings, points: Set<Point>): Steps<TrainingResult, EpochReport> {
  const { net, rule, data, epochs, weightDecay, evidence } = problem;
  bringAll();
  const { likelihood, scale } = likelihoodOf(rule, "gaussNewton()");
  const inner = inFloat64(net);
  const batch = { inputs: data.inputs.as("float64"), targets: data.targets.as("float64"), weights: data.weights };
  const { size } = readPlan(where, inner, () => likelihood, { structure: "diagonal" }).selection;
  const solver = settings.solver ?? (size <= FULL_UP_TO ? "cholesky" : "conjugateGradients");
  const whole = solver === "cholesky";
  if (whole)
    checkBytes(
      "gaussNewton",
      [4, size, size],
      settings.memoryBudget,
      'The solver "conjugateGradients" needs no matrix.',
    );
  const planOf = (structure: Plan["structure"]) =>
    withOwn(
      where,
      readPlan(where, inner, () => likelihood, { structure }),
      {},
    );
  const plan = planOf(whole ? "full" : "diagonal");
  // Where the whole matrix is not there, prior and noise go by a curvature of their own.
  const tuningPlan = evidence && planOf(evidence.structure ?? (size <= FULL_UP_TO ? "full" : "kronecker"));
  const solve = whole ? byCholesky : byConjugateGradients(where, plan, batch);
  const exactPlan = whole ? planOfHessian(inner, likelihood) : undefined;
  const solveExactly = exactPlan && byHessian();
  const go = pointsOf(where, plan, exactPlan, batch);
  const { selection } = plan;
  const places = selection.indices();
  const given = data.weights && Float64Array.from(data.weights.data);
  const count = weightOf(likelihood, net.outputShape, batch.targets.data, given) || 1;

  function* arrive(): Steps<Point> {
    const point = yield* go();
    points.add(point);
    return point;
  }
  function leave(point: Point | undefined): void {
    if (point === undefined) return;
    points.delete(point);
    point.leave();
  }
  function* around(point: Point): Steps<Expansion> {
    const curvature = yield* point.curvature();
    return { loss: point.loss, gradient: yield* point.slope(), curvature };
  }
  let point = yield* arrive();
  if (!Number.isFinite(point.loss)) throw notFinite(point.loss);
  let at = yield* around(point);
  const theta = () => selection.take(inner.parameters.data);
  function* sums() {
    const same = tuningPlan === undefined || tuningPlan.structure === plan.structure;
    const { curvature } = same ? at : yield* expansion(where, tuningPlan, batch);
    return { loss: at.loss, curvature, theta: theta() };
  }
  const tuned = evidence && new FixedPoints(where, inner, evidence, likelihood, (yield* sums()).curvature, batch);
  const { every = EVERY, burnIn = BURN_IN, tolerance: nats = 0, settle = true } = evidence ?? {};
  /** The objective is h · loss + ½ Σ δ θ²; that of `train` is `unit` times as much. */
  let factor = tuned?.factor ?? scale / count;
  let penalties = tuned?.penalties ?? new Float64Array(size).fill(weightDecay);
  const unit = () => (tuned === undefined ? 1 : scale / count / factor);
  const objective = (loss: number, weights: Float64Array) =>
    factor * loss + 0.5 * weights.reduce((sum, x, i) => sum + penalties[i] * x * x, 0);

  const history: { epoch: number; loss: number }[] = [];
  let mu = settings.damping;
  let converged = false;
  let tuning = tuned !== undefined;
  let sinceTuning = every - burnIn;
  let best: { parameters: Float64Array; evidence: number; state: ReturnType<FixedPoints["state"]> } | undefined;
  let failed = 0;
  let idle = 0;
  let model: Model | undefined;
  /** How far steps by the exact Hessian may go, once there was one. */
  let radius: number | undefined;
  let rejected = 0;
  function* look(next?: Point): Steps<void> {
    leave(point);
    point = next ?? (yield* arrive());
    at = yield* around(point);
    model = undefined;
  }
  /** A place to which a step leads; without a point where values are not finite there. */
  interface Place {
    readonly theta: Float64Array;
    readonly point: Point | undefined;
    readonly value: number;
  }
  function* goTo(theta: Float64Array): Steps<Place> {
    place(inner, places, theta);
    const point = yield* finite(arrive);
    const value =
      point === undefined || Number.isNaN(point.loss) ? Number.POSITIVE_INFINITY : objective(point.loss, theta);
    return { theta, point, value };
  }
  /** Where a step that leads to `there` would lead without the third derivatives. */
  function* corrected({ theta, point }: Place, region: RegionStep): Steps<Float64Array | undefined> {
    if (point === undefined) return undefined;
    const gradient = gradientOf(yield* point.slope(), theta, factor, penalties);
    const by = yield* region.correction(gradient, point);
    return by && theta.map((x, i) => x + by[i]);
  }
  /** Back to the weights, prior and noise of the greatest evidence. */
  function* toBest(tuned: FixedPoints): Steps<void> {
    if (best === undefined) return;
    tuned.restore(best.state);
    inner.parameters.data.set(best.parameters);
    yield* look();
    [factor, penalties] = [tuned.factor, tuned.penalties];
  }
  for (let epoch = 1; epoch <= epochs; ) {
    const here = theta();
    const before = objective(at.loss, here);
    model ??= modelOf(at, here, factor, penalties);
    const moves = tuning && sinceTuning >= every;
    // Prior and noise move at every step while they are tuned: the Gauss-Newton matrix is enough. Behind it bent valleys lead to the
    // minimum, which its steps follow for hundreds.
    const exactly = tuning ? undefined : solveExactly;
    const region = exactly && moving(yield* exactly(model, point, radius), model);
    const found: DampedStep | undefined = moves ? undefined : (region ?? moving(yield* solve(model, mu), model));
    yield;
    const sure = region === undefined ? mu <= 1 : !region.bounded;
    const rest = found !== undefined && sure ? found.predicted : Number.POSITIVE_INFINITY;
    if (tuned !== undefined && tuning && (moves || rest <= nats)) {
      const before = tuned.state();
      const evidence = yield* tuned.refine(yield* sums());
      if (best === undefined || evidence > best.evidence + nats) {
        best = { parameters: (inner.parameters.data as Float64Array).slice(), evidence, state: before };
        failed = 0;
      } else if (++failed >= PATIENCE) {
        if (!settle) {
          converged = true;
          break;
        }
        // The best keeps its weights, which go on to their minimum with its prior and noise.
        yield* toBest(tuned);
        tuning = false;
        mu = settings.damping;
      }
      [factor, penalties] = [tuned.factor, tuned.penalties];
      sinceTuning = 0;
      model = undefined;
      continue;
    }
    converged = rest <= settings.tolerance * Math.abs(before);
    let ratio = -1;
    let there: Place | undefined;
    if (found !== undefined) {
      const { step, predicted } = found;
      there = yield* goTo(here.map((x, i) => x + step[i]));
      if (region?.bounded && Number.isFinite(there.value) && before - there.value < SHORT * predicted) {
        const theta = yield* corrected(there, region);
        const second = theta === undefined ? there : yield* goTo(theta);
        const better = second.value < there.value;
        if (second !== there) leave((better ? there : second).point);
        if (better) there = second;
        else place(inner, places, there.theta);
      }
      const after = there.value;
      // Where changes are lost in rounding, what does not rise is as good.
      const lost = predicted <= ROUNDING * Math.abs(before) && after <= before;
      idle = lost && before - after <= EPSILON * Math.abs(before) ? idle + 1 : 0;
      converged ||= idle >= IDLE;
      ratio = lost ? 1 : (before - after) / predicted;
    }
    const taken = ratio > LEAST_GAIN;
    const near = found !== undefined && found.predicted <= NEAR * Math.abs(before);
    // Narrow valleys that bend are followed with little damping (Transtrum & Sethna 2012): it falls where a step gains anything at once. Near
    // a minimum, where the Gauss-Newton matrix is not the Hessian, that would go on to and fro.
    if (region !== undefined) {
      radius = region.radius;
      if (ratio < 0.25) radius = 0.25 * region.length;
      else if (ratio > 0.75 && region.bounded) radius *= 2;
    } else if (!taken) mu *= MORE;
    else if (ratio > 0.75 || !near) {
      if (rejected === 0) mu = Math.max(mu / LESS, LEAST_DAMPING);
    } else if (ratio < 0.5) mu *= 2;
    if (!taken) {
      leave(there?.point);
      place(inner, places, here);
      if (converged || mu > MOST_DAMPING || ++rejected > MOST_REJECTED) break;
      continue;
    }
    rejected = 0;
    net.parameters.data.set(inner.parameters.data);
    yield* look(there?.point);
    sinceTuning++;
    const loss = unit() * objective(at.loss, theta());
    history.push({ epoch, loss });
    yield { epoch, epochs, loss };
    if (converged) break;
    epoch++;
  }
  const steps = history.length;
  if (tuned === undefined) return { history, steps, converged };
  if (!settle) {
    yield* toBest(tuned);
    net.parameters.data.set(inner.parameters.data);
  }
  yield* tuned.measure(yield* sums());
  return { history, steps, converged, evidence: tuned.result };
}

/** A step, unless it is 0 where the gradient is not: where the curvature is 0 its inverse overflows, and nothing is known of a minimum. */
function moving<Step extends DampedStep>(found: Step | undefined, { gradient }: Model): Step | undefined {
  return found?.step.some((x) => x !== 0) || gradient.every((g) => g === 0) ? found : undefined;
}

/** That of the exact Hessian, where the likelihood and all layers have one. */
function planOfHessian(net: Network, likelihood: Likelihood): Plan | undefined {
  try {
    return readPlan(where, net, () => likelihood, { structure: "full", curvature: "hessian" });
  } catch (error) {
    if (error instanceof LaplaceError) return undefined;
    throw error;
  }
}

function place({ parameters }: Network, places: Uint32Array, values: Float64Array): void {
  places.forEach((at, i) => {
    parameters.data[at] = values[i];
  });
}

/** @throws OptionError for layers that differ in training, which take a batch's statistics or draw */
function checkLayers({ graph, frozen }: Network): void {
  for (const node of graph.nodes) {
    const drops = node.primitive === (dropout as unknown);
    const norms = node.primitive === (batchNormalise as unknown) && takesBatchStatistics(node as Node<never>, frozen);
    if (!drops && !norms) continue;
    const advice = drops ? "dropout: leave it out" : "batchNorm that takes the batch's statistics: freeze it";
    throw new OptionError(
      `${where}: gaussNewton() minimises a loss without chance, so the network may have no ${advice}.`,
    );
  }
}
