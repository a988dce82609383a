// Training by the marginal likelihood (Immer, Bauer, Fortuin, Rätsch & Khan 2021, arXiv:2104.04975): the weights go by an optimiser's
// steps, and every few epochs prior precisions and noise go by the gradient of the evidence there.

import { zeros } from "../array/ndarray.ts";
import { expansion } from "../curvature/expansion.ts";
import { type Plan, readPlan, withOwn } from "../curvature/plan.ts";
import { checkBoolean, checkInteger, checkNumber, checkOptions, refuseJson } from "../errors.ts";
import type { Kernels } from "../kernels/kernels.ts";
import { allocateFloats, copyIn, type FloatArray, type Pointer, scope, sumOf } from "../kernels/memory.ts";
import type { Steps } from "../kernels/steps.ts";
import { weightOf } from "../losses/losses.ts";
import { bringAll } from "../structures/all.ts";
import type { EvidenceRule, EvidenceRun, Learned } from "./evidence-options.ts";
import { type EvidenceOptions, evidenceOptionNames, readEvidence } from "./evidence-options.ts";
import { FixedPoints, type Sums } from "./fixed-points.ts";
import { likelihoodOf } from "./likelihood-of.ts";
import type { TrainingEvidence } from "./results.ts";

/** Options of `marginalLikelihood`. */
export interface MarginalLikelihoodOptions extends Omit<EvidenceOptions, "every" | "burnIn" | "tolerance" | "settle"> {
  /** After how many epochs prior and noise are moved again (default 1). */
  every?: number | undefined;
  /** Epochs before the first time (default 10). */
  burnIn?: number | undefined;
  /** Steps of Adam that they take each time (default 10). */
  steps?: number | undefined;
  /** The size of those steps, in log δ and log σ (default 0.1). */
  learningRate?: number | undefined;
  /**
   * Whether the weights follow the evidence's determinant too: the penalty is then as strong as makes the evidence itself stationary along the
   * weights, where the prior's alone leads to the maximum of likelihood times prior (default: where the likelihood has a noise). Of classes the
   * evidence is highest where the network is surest, which may predict worse.
   */
  determinant?: boolean | undefined;
}

/** Weights up to which the whole matrix is the default. */
const FULL_UP_TO = 1000;
/** Steps of prior and noise the first time. */
const FIRST = 150;
/** Of logarithms of precisions and noise, either way. */
const MOST_LOG = 25;
/** By how much of themselves weights are moved to see how the determinant goes with them. */
const SHARE = 0.02;
/** The penalty is at most so many times that of the prior. */
const MOST_PULL = 10;

const where = "train";

/**
 * The option `evidence` of `train` for optimisers that take steps: with the weights it learns their prior precisions, and the
 * noise, by Adam on the evidence of the Laplace approximation of all data every few epochs. The weights with the best evidence are kept.
 * What `optimizePrior` finds at weights that a fixed penalty trained is the best prior for those; here the weights go with it.
 * @throws OptionError
 */
export function marginalLikelihood(options: MarginalLikelihoodOptions = {}): EvidenceRule {
  const name = "marginalLikelihood";
  checkOptions(name, options, [
    ...evidenceOptionNames.filter((one) => one !== "tolerance" && one !== "settle"),
    "steps",
    "learningRate",
    "determinant",
  ]);
  const { steps = 10, learningRate = 0.1, every = 1, burnIn = 10, determinant, ...rest } = options;
  checkInteger(name, "steps", steps, 1);
  checkNumber(name, "learningRate", learningRate, 0, true);
  if (determinant !== undefined) checkBoolean(name, "determinant", determinant);
  const plan = readEvidence({ every, burnIn, ...rest }, name);
  const rule: EvidenceRule = {
    name,
    options: { ...options },
    *learn({ net, rule, data }) {
      bringAll();
      const { likelihood, scale } = likelihoodOf(rule, "evidence");
      const { size } = readPlan(where, net, () => likelihood, { structure: "diagonal" }).selection;
      const structure = plan.structure ?? (size <= FULL_UP_TO ? "full" : "kronecker");
      const fitted = withOwn(
        where,
        readPlan(where, net, () => likelihood, { structure }),
        {},
      );
      const given = data.weights && Float64Array.from(data.weights.data);
      const count = weightOf(likelihood, net.outputShape, data.targets.data, given) || 1;
      const tuned = new Tuned({ steps, learningRate, determinant: determinant ?? likelihood.hyper.any }, fitted, data);
      yield* tuned.begin(plan);
      return new MarginalRun(tuned, fitted, { every, burnIn, unit: scale / count });
    },
  };
  return refuseJson(
    rule,
    () =>
      "structuredClone, postMessage and JSON do not copy marginalLikelihood(), which is made of functions: make it again from its options",
  );
}

interface How {
  readonly steps: number;
  readonly learningRate: number;
  readonly determinant: boolean;
}

/** Prior and noise, with the state of Adam on their logarithms (Kingma & Ba 2015). */
class Tuned {
  readonly #how: How;
  readonly #plan: Plan;
  readonly #data: Learned["data"];
  #points: FixedPoints | undefined;
  #noise = false;
  /** What the prior's penalty is multiplied by. */
  pull = 1;
  #mean = new Float64Array();
  #square = new Float64Array();
  #count = 0;

  constructor(how: How, plan: Plan, data: Learned["data"]) {
    this.#how = how;
    this.#plan = plan;
    this.#data = data;
  }

  get points(): FixedPoints {
    return this.#points as FixedPoints;
  }

  *begin(plan: ReturnType<typeof readEvidence>): Steps<void> {
    const { net, likelihood } = this.#plan;
    const { curvature } = yield* this.sums();
    this.#points = new FixedPoints(where, net, plan, likelihood, curvature, this.#data);
    this.#noise = plan.noise ?? likelihood.hyper.any;
    const size = this.points.precision.length + (this.#noise ? 1 : 0);
    this.#mean = new Float64Array(size);
    this.#square = new Float64Array(size);
  }

  *sums(net = this.#plan.net): Steps<Sums> {
    const { loss, curvature } = yield* expansion(where, { ...this.#plan, net }, this.#data);
    return { loss, curvature, theta: this.#plan.selection.take(net.parameters.data) };
  }

  /** Moves prior and noise along the evidence's gradient at the weights as they are, and measures where they end. */
  *climb(): Steps<number> {
    const { points } = this;
    const sums = yield* this.sums();
    const squares = points.groups.sums(sums.theta.map((x) => x * x));
    // The first time they go to where the evidence is stationary, which is what tuning a trained network does.
    const most = this.#count === 0 ? Math.max(FIRST, this.#how.steps) : this.#how.steps;
    for (let step = 0; step < most; step++) {
      yield* points.measure(sums);
      this.#move(sums, squares);
      yield;
    }
    const evidence = yield* points.measure(sums);
    points.history.push(evidence);
    if (this.#how.determinant) this.pull = yield* this.#pullAt(squares);
    return evidence;
  }

  /**
   * Weights under the prior's penalty go to the maximum of likelihood times prior, where the evidence −ℓ − ½ Σ δ θ² − ½ log det P still has a
   * slope, that of its determinant. Along tθ the penalty κ Σ δ θ² / 2 pulls as the evidence does with κ = 1 + ½ (d log det P / dt) / Σ δ θ².
   */
  *#pullAt(squares: Float64Array): Steps<number> {
    const { net, selection } = this.#plan;
    const { points } = this;
    const strength = points.precision.reduce((sum, delta, g) => sum + delta * squares[g], 0);
    if (strength === 0) return 1;
    const halves: number[] = [];
    for (const t of [1 - SHARE, 1 + SHARE]) {
      const moved = Float64Array.from(net.parameters.data);
      for (const i of selection.indices()) moved[i] *= t;
      const sums = yield* this.sums(net.clone(moved));
      const evidence = yield* points.measure(sums);
      halves.push(-evidence - points.factor * sums.loss - 0.5 * t * t * strength);
    }
    const slope = (halves[1] - halves[0]) / (2 * SHARE);
    return Math.min(Math.max(1 + slope / strength, 0), MOST_PULL);
  }

  /** ∂/∂ log δ_g = ½ (γ_g − δ_g ‖θ_g‖²), ∂/∂ log σ = 2 Σ ℓ / σ² − N C + Σ γ. */
  #move({ loss }: Sums, squares: Float64Array): void {
    const { points } = this;
    const { precision, effective, factor, likelihood } = points;
    const gradient = Array.from(precision, (delta, g) => 0.5 * (effective[g] - delta * squares[g]));
    if (this.#noise) gradient.push(2 * factor * loss - points.numbers + effective.reduce((sum, x) => sum + x, 0));
    this.#count++;
    const [first, second] = [1 - 0.9 ** this.#count, 1 - 0.999 ** this.#count];
    const steps = gradient.map((g, i) => {
      this.#mean[i] = 0.9 * this.#mean[i] + 0.1 * g;
      this.#square[i] = 0.999 * this.#square[i] + 0.001 * g * g;
      return (this.#how.learningRate * this.#mean[i]) / first / (Math.sqrt(this.#square[i] / second) + 1e-8);
    });
    const moved = (value: number, step: number) =>
      Math.exp(Math.min(Math.max(Math.log(value) + step, -MOST_LOG), MOST_LOG));
    points.precision = precision.map((delta, g) => moved(delta, steps[g]));
    if (this.#noise) points.setNoise(moved(likelihood.hyper.value, steps[precision.length]));
  }
}

class MarginalRun implements EvidenceRun {
  readonly #tuned: Tuned;
  readonly #plan: Plan;
  readonly #how: { readonly every: number; readonly burnIn: number; readonly unit: number };
  #penalties: FloatArray | undefined;
  #best:
    | (ReturnType<FixedPoints["state"]> & { evidence: number; parameters: FloatArray; buffers: FloatArray })
    | undefined;

  constructor(
    tuned: Tuned,
    plan: Plan,
    how: { readonly every: number; readonly burnIn: number; readonly unit: number },
  ) {
    this.#tuned = tuned;
    this.#plan = plan;
    this.#how = how;
  }

  /** Of ½ Σ d θ², d = δ / h in the mean over the examples: d θ. */
  add(kernels: Kernels, parameters: Pointer, gradient: Pointer): number {
    const { dtype, parameterCount: size } = this.#plan.net;
    this.#penalties ??= this.#spread();
    const penalties = this.#penalties;
    return scope(() => {
      const [pull, twice] = [allocateFloats(dtype, size), allocateFloats(dtype, 1)];
      kernels.multiply(1, size, parameters, copyIn(dtype, penalties), pull, false);
      kernels.dotRows(1, size, parameters, pull, twice, false);
      kernels.copyRows(1, size, pull, 0, gradient, 0, true);
      return 0.5 * sumOf(dtype, twice, 1);
    });
  }

  #spread(): FloatArray {
    const { net, selection } = this.#plan;
    const { pull } = this.#tuned;
    const { penalties, factor } = this.#tuned.points;
    const result = zeros([net.parameterCount], { dtype: net.dtype }).data;
    selection.indices().forEach((at, i) => {
      result[at] = (pull * penalties[i] * this.#how.unit) / factor;
    });
    return result;
  }

  *after(epoch: number, epochs: number): Steps<TrainingEvidence | undefined> {
    const { every, burnIn } = this.#how;
    const now = epoch >= burnIn && (epoch - burnIn) % every === 0;
    if (now || epoch === epochs) yield* this.#climb();
    return epoch === epochs ? yield* this.#finish() : undefined;
  }

  *#climb(): Steps<void> {
    this.#penalties = undefined;
    const evidence = yield* this.#tuned.climb();
    if (this.#best !== undefined && evidence <= this.#best.evidence) return;
    const { parameters, buffers } = this.#plan.net;
    const state = this.#tuned.points.state();
    this.#best = { ...state, evidence, parameters: parameters.data.slice(), buffers: buffers.data.slice() };
  }

  *#finish(): Steps<TrainingEvidence> {
    const { points } = this.#tuned;
    if (this.#best !== undefined) {
      const { parameters, buffers } = this.#plan.net;
      parameters.data.set(this.#best.parameters);
      buffers.data.set(this.#best.buffers);
      points.restore(this.#best);
    }
    yield* points.measure(yield* this.#tuned.sums());
    return points.result;
  }
}
