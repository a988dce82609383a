// Prior precisions and noise by the evidence's fixed points (MacKay 1992, Neural Computation 4, 415 and 448): with the curvature at
// the weights, γ_g = n_g − δ_g tr Σ_gg weights of a group are determined by the data, and the evidence is stationary where
// δ_g = γ_g / ‖θ_g‖² and σ² = Σ r² / (N C − Σ γ).

import { NDArray } from "../array/ndarray.ts";
import { constantOf } from "../curvature/accumulate.ts";
import { totalWeight } from "../data/dataset.ts";
import type { Steps } from "../kernels/steps.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import type { Network } from "../network/network.ts";
import type { TargetedBatch } from "../network/run.ts";
import { distancesOf, evidenceOf, factorOf } from "../posterior/evidence.ts";
import type { Curvature } from "../structures/curvature.ts";
import { checkPrior, rowOf } from "../structures/table.ts";
import type { EvidencePlan } from "./evidence-options.ts";
import { type Groups, readGroups } from "./groups.ts";
import type { TrainingEvidence } from "./results.ts";

/** What the evidence is computed from: sums over the examples at unit noise. */
export interface Sums {
  readonly loss: number;
  readonly curvature: Curvature;
  /** The selected weights, [S]. */
  readonly theta: Float64Array;
}

/** At most this factor, either way, for one time: far from a minimum γ and θ are not yet those of the fixed point. */
const MOST = 8;
/** A group whose prior is so many times as strong as its data is out. */
const STRONGEST = 1e6;
/** The least noise, in deviations of the targets: of rows that repeat each other exactly the evidence would have none. */
export const LEAST_NOISE = 1e-4;
/** What is added to γ and ‖θ‖², so that neither is 0. */
const [SOME_WEIGHT, SOME_SQUARE] = [1e-6, 1e-9];

/** Prior and noise on their way. */
export class FixedPoints {
  readonly groups: Groups;
  readonly #net: Network;
  readonly #examples: number;
  readonly #constant: number;
  readonly #noise: boolean;
  readonly #least: number;
  readonly history: number[] = [];
  /** δ of each group. */
  precision: Float64Array;
  /** With the noise as it is now. */
  likelihood: Likelihood;
  /** γ of each group. */
  effective: Float64Array;
  evidence = Number.NEGATIVE_INFINITY;

  /** @throws OptionError */
  constructor(
    where: string,
    net: Network,
    plan: EvidencePlan,
    likelihood: Likelihood,
    curvature: Curvature,
    data: TargetedBatch,
  ) {
    const { inputs, targets, weights } = data;
    this.groups = readGroups(where, net, curvature.selection, plan.groups);
    this.#net = net;
    this.#examples = totalWeight({ x: inputs, weights });
    this.#constant = constantOf({ likelihood }, data);
    this.#noise = plan.noise ?? likelihood.hyper.any;
    this.precision = new Float64Array(this.groups.names.length).fill(plan.priorPrecision);
    this.effective = this.groups.counts.slice();
    this.likelihood = likelihood;
    checkPrior(where, curvature.structure, this.groups.prior(this.precision));
    const spread = this.#noise ? Math.sqrt(spreadOf(targets, likelihood)) : 0;
    this.#least = LEAST_NOISE * spread;
    if (this.#noise) this.setNoise(spread / Math.SQRT2);
  }

  /** Takes another noise, if it is one. */
  setNoise(noise: number): void {
    const { withHyper } = this.likelihood;
    if (withHyper !== undefined && noise > 0 && Number.isFinite(noise))
      this.likelihood = withHyper.call(this.likelihood, Math.max(noise, this.#least));
  }

  /** δ of each weight, [S]. */
  get penalties(): Float64Array {
    return this.groups.spread(this.precision);
  }

  /** 1 / σ² */
  get factor(): number {
    return factorOf(this.likelihood, 1);
  }

  /** N C, how many numbers there are to explain. */
  get numbers(): number {
    return this.#examples * this.#net.graph.output.size;
  }

  /** Prior and noise as they are, for `restore`. */
  state() {
    const { precision, likelihood } = this;
    return { precision, likelihood };
  }

  restore({ precision, likelihood }: ReturnType<FixedPoints["state"]>): void {
    this.precision = precision;
    this.likelihood = likelihood;
  }

  /** Computes the evidence and γ at the sums with prior and noise as they are. */
  *measure({ loss, curvature, theta }: Sums): Steps<number> {
    const { groups, likelihood } = this;
    const prior = groups.prior(this.precision);
    const precision = yield* rowOf(curvature).precision(curvature, this.factor, prior, {
      damping: false,
      inverse: true,
    });
    yield* precision.prepare("gradient");
    const remain = groups.ofPrior(precision.logPriorGradient());
    this.effective = groups.counts.map((count, g) => Math.min(Math.max(count - remain[g], 0), count));
    const fit = { examples: this.#examples, loss, constant: this.#constant };
    const outputs = this.#net.graph.output.size;
    const at = { likelihood, fit, outputs, temperature: 1, prior, precision };
    const { logMarginalLikelihood } = evidenceOf({
      ...at,
      weights: theta.length,
      distances: yield* distancesOf(prior, theta),
    });
    this.evidence = logMarginalLikelihood;
    return logMarginalLikelihood;
  }

  /** One time: measures, and moves prior and noise to where the fixed point would be. @throws NotPositiveDefiniteError */
  *refine(sums: Sums): Steps<number> {
    const before = yield* this.measure(sums);
    this.history.push(before);
    const { groups, effective, precision, factor } = this;
    const squares = groups.sums(sums.theta.map((x) => x * x));
    const data = groups.sums(sums.curvature.diagonal().data).map((sum, g) => (factor * sum) / groups.counts[g]);
    this.precision = precision.map((old, g) => {
      const next = (effective[g] + SOME_WEIGHT) / (squares[g] + SOME_SQUARE);
      const most = Math.max(STRONGEST * data[g], old / MOST);
      return Math.min(Math.max(next, old / MOST), old * MOST, most);
    });
    if (!this.#noise) return before;
    const count = this.numbers;
    const free = count - effective.reduce((sum, x) => sum + x, 0);
    const { value } = this.likelihood.hyper;
    const next = this.likelihood.hyper.shownBy(sums.loss, Math.max(free, 1e-3 * count));
    this.setNoise(Math.min(Math.max(next, value / Math.sqrt(MOST)), value * Math.sqrt(MOST)));
    return before;
  }

  /** What was found, for users. */
  get result(): TrainingEvidence {
    const { groups, precision, effective, likelihood } = this;
    const { precision: prior } = groups.prior(precision);
    const relevance = groups.relevance(precision, this.#net.graph.input.size);
    return {
      logMarginalLikelihood: this.evidence,
      priorPrecision: new NDArray(prior, [prior.length]),
      noise: likelihood.hyper.any ? likelihood.hyper.value : undefined,
      groups: groups.results(precision, effective),
      ...(relevance && { relevance: new NDArray(relevance, [relevance.length]) }),
      history: this.history,
    };
  }
}

/** The mean square of the targets around the mean of each output, in units of the noises' ratios. */
export function spreadOf(targets: NDArray, { hyper }: Likelihood): number {
  const [examples] = targets.shape;
  const outputs = targets.size / examples;
  let total = 0;
  for (let c = 0; c < outputs; c++) {
    let [sum, squares] = [0, 0];
    for (let n = 0; n < examples; n++) sum += targets.data[n * outputs + c];
    for (let n = 0; n < examples; n++) squares += (targets.data[n * outputs + c] - sum / examples) ** 2;
    total += squares * hyper.weight(c);
  }
  return total / targets.size;
}
