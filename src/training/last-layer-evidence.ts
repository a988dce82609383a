// Training by the exact evidence of the last layer, with the gradient through what goes into it.

import { NDArray } from "../array/ndarray.ts";
import { constantOf } from "../curvature/accumulate.ts";
import { totalWeight } from "../data/dataset.ts";
import { vjp } from "../derivatives/jacobian.ts";
import { checkNumber, checkOptions, OptionError, refuseJson } from "../errors.ts";
import { reporting, type Steps } from "../kernels/steps.ts";
import { gaussian } from "../likelihood/gaussian.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import type { LossRule } from "../losses/losses.ts";
import type { Network } from "../network/network.ts";
import type { Parameter } from "../network/parameters.ts";
import { MOST_LOG, maximise, type Objective } from "../posterior/maximise.ts";
import { bringAll } from "../structures/all.ts";
import { select } from "../structures/selection.ts";
import {
  type RegressionEvidence,
  type RegressionSums,
  regressionEvidence,
  regressionSums,
} from "./bayesian-regression.ts";
import { readEvidence } from "./evidence-options.ts";
import { LEAST_NOISE, spreadOf } from "./fixed-points.ts";
import { type Groups, readGroups } from "./groups.ts";
import { featuresOf, type LinearHeads, linearHeads } from "./linear-heads.ts";
import { inFloat64, type Minimiser, type Problem } from "./minimiser.ts";
import type { EpochReport, TrainingResult } from "./results.ts";
import { evidenceBySpectrum, type Spectrum, spectrumOf, worthSharing } from "./shared-precision.ts";

/** Options of `lastLayerEvidence`. */
export interface LastLayerEvidenceOptions {
  /** It stops where no derivative of the log evidence is larger, in nats (default 0.001). */
  tolerance?: number | undefined;
}

/** The variance of the log-normal prior of scales around where they begin: wide, so that a scale that says nothing has an end. */
const SCALE_VARIANCE = 20;

const where = "train";

/**
 * Maximises the evidence of the last dense layers, which is exact where the noise is Gaussian, over the noise, their prior precisions and
 * all free parameters before them, through which its gradient goes: the option `optimizer` of `train` for `fourierFeatures({ relevance: true })`. The
 * last layers' weights are integrated out, and become the mean of their posterior. Scales, those of `relevance` and of `scaleShift`, move in
 * their logarithms, with a wide log-normal prior (variance 20) around their beginning; other parameters have no prior. L-BFGS on all data at once in float64; an
 * epoch is a step (default at most 60). @throws OptionError
 */
export function lastLayerEvidence(options: LastLayerEvidenceOptions = {}): Minimiser {
  const name = "lastLayerEvidence";
  checkOptions(name, options, ["tolerance"]);
  const { tolerance = 1e-3 } = options;
  checkNumber(name, "tolerance", tolerance, 0, true);
  const minimiser: Minimiser = {
    name,
    options: { ...options },
    epochs: 60,
    readEvidence,
    minimise: (problem) => ascend(problem, tolerance),
  };
  return refuseJson(
    minimiser,
    () =>
      "structuredClone, postMessage and JSON do not copy lastLayerEvidence(), which is made of functions: make it again from its options",
  );
}

function* ascend(problem: Problem, tolerance: number): Steps<TrainingResult, EpochReport> {
  const { net, rule, data, epochs, weightDecay } = problem;
  const evidence = problem.evidence ?? readEvidence({});
  const taken = (["structure", "every", "burnIn", "settle"] as const).find((one) => evidence[one] !== undefined);
  if (taken !== undefined)
    throw new OptionError(
      `${where}: lastLayerEvidence() is exact at each step, so evidence.${taken} says nothing; leave it out.`,
    );
  if (weightDecay !== 0)
    throw new OptionError(`${where}: lastLayerEvidence() learns the prior, so weightDecay says nothing; leave it out.`);
  const likelihood = likelihoodOf(rule);
  bringAll();
  const inner = inFloat64(net);
  const heads = linearHeads(where, inner);
  const groups = readGroups(where, inner, select(where, inner, { parameters: heads.names }), evidence.groups);
  const before = net.parameterTable.filter(({ name }) => !net.frozen.has(name) && !heads.names.includes(name));
  const model = new Model(inner, heads, groups, before, likelihood, data);
  const learnsNoise = evidence.noise ?? true;
  const start = likelihood.hyper.value;
  const spread = Math.sqrt(spreadOf(data.targets, likelihood));
  const noise = learnsNoise ? spread / Math.SQRT2 || start : start;
  const begin = model.coordinates(evidence.priorPrecision, noise);

  const history: { epoch: number; loss: number }[] = [];
  const values: number[] = [];
  let best: Point | undefined;
  let fresh = false;
  const objective: Objective = function* (u) {
    const there = yield* model.at(u, learnsNoise);
    if (best === undefined || there.value > best.value) {
      best = there;
      fresh = true;
    }
    return there;
  };
  const bounds = (way: number) =>
    begin.map((x, i) => (model.logarithm(i) ? Math.max(MOST_LOG, Math.abs(x)) : Number.POSITIVE_INFINITY) * way);
  const lower = bounds(-1);
  if (learnsNoise && spread > 0) lower[lower.length - 1] = Math.log(LEAST_NOISE * spread);
  const climb = maximise(objective, begin, { steps: epochs, tolerance, lower, upper: bounds(1) });
  const ended = yield* reporting(climb, (): EpochReport | undefined => {
    if (!fresh || best === undefined || history.length >= epochs) return undefined;
    fresh = false;
    net.parameters.data.set(best.parameters);
    const loss = -best.evidence.value / model.examples;
    values.push(best.evidence.value);
    history.push({ epoch: history.length + 1, loss });
    return { epoch: history.length, epochs, loss };
  });
  const end = best as unknown as Point;
  net.parameters.data.set(end.parameters);
  return {
    history,
    steps: ended.steps,
    converged: ended.converged,
    evidence: model.result(end, [...values, end.evidence.value]),
  };
}

/** The log evidence with the scales' prior at a point, and what it was computed with. */
interface Point {
  readonly u: Float64Array;
  readonly value: number;
  readonly gradient: Float64Array;
  readonly evidence: RegressionEvidence;
  /** All of the network, the last layers' weights at their posterior's mean. */
  readonly parameters: Float64Array;
  readonly precision: Float64Array;
  readonly noise: number;
}

/** Features that nothing moves, with what neither precisions nor noises change. */
interface Still {
  readonly features: NDArray;
  readonly sums: RegressionSums;
  /** Where most columns share a precision. */
  readonly spectrum: Spectrum | undefined;
}

/** The evidence as a function of free parameters before the last layers (scales: their logarithms), log δ of the groups, and log σ. */
class Model {
  readonly #net: Network;
  readonly #heads: LinearHeads;
  readonly #groups: Groups;
  readonly #likelihood: Likelihood;
  readonly #inputs: NDArray;
  readonly #targets: NDArray;
  readonly #roots: Float64Array | undefined;
  /** The places of the free parameters in the flat vector, and which of them are scales. */
  readonly #places: number[] = [];
  readonly #scales: boolean[] = [];
  /** The group of column s and output c, [S C]. */
  readonly #of: Uint32Array;
  readonly #constant: number;
  #begin: Float64Array = new Float64Array();
  /** Of features that nothing moves. */
  #still: Still | undefined;
  readonly examples: number;

  constructor(
    net: Network,
    heads: LinearHeads,
    groups: Groups,
    before: readonly Parameter[],
    likelihood: Likelihood,
    data: Problem["data"],
  ) {
    this.#net = net;
    this.#heads = heads;
    this.#groups = groups;
    this.#likelihood = likelihood;
    this.#inputs = data.inputs.as("float64");
    this.#roots = data.weights && Float64Array.from(data.weights.data, Math.sqrt);
    this.#targets = this.#weighed(data.targets.as("float64"));
    this.examples = totalWeight({ x: data.inputs, weights: data.weights });
    this.#constant = constantOf({ likelihood }, { ...data, targets: data.targets.as("float64") });
    const scales = new Set(net.graph.sites.flatMap((site) => (site.kind === "elementwise" ? [site.scale] : [])));
    for (const parameter of before) {
      const values = net.parameters.data.subarray(parameter.offset, parameter.offset + parameter.size);
      const scale = scales.has(parameter) && values.every((x) => x > 0);
      for (let i = 0; i < parameter.size; i++) {
        this.#places.push(parameter.offset + i);
        this.#scales.push(scale);
      }
    }
    const outputs = net.graph.output.size;
    const groupAt = new Map(Array.from(groups.selection.indices(), (place, i) => [place, groups.of[i]]));
    this.#of = Uint32Array.from({ length: heads.columns.length * outputs }, (_, i) => {
      const { at, step } = heads.columns[Math.floor(i / outputs)];
      return groupAt.get(at + step * (i % outputs)) as number;
    });
  }

  /** Rows times the roots of the examples' weights. */
  #weighed(rows: NDArray): NDArray {
    const roots = this.#roots;
    if (roots === undefined) return rows;
    const width = rows.size / rows.shape[0];
    return new NDArray(
      rows.data.map((x, i) => x * roots[Math.floor(i / width)]),
      rows.shape,
    );
  }

  logarithm(i: number): boolean {
    return i >= this.#places.length || this.#scales[i];
  }

  /** Where it begins. */
  coordinates(precision: number, noise: number): Float64Array {
    const { data } = this.#net.parameters;
    const theta = this.#places.map((place, i) => (this.#scales[i] ? Math.log(data[place]) : data[place]));
    const precisions = new Array<number>(this.#groups.names.length).fill(Math.log(precision));
    this.#begin = Float64Array.from([...theta, ...precisions, Math.log(noise)]);
    return this.#begin;
  }

  /** Φ at the parameters as they are, of weighted examples; where nothing moves it, with its sums, once. */
  *#look(moves: boolean): Steps<{ readonly features: NDArray } & Partial<Still>> {
    const columns = this.#heads.columns.length;
    const features = this.#weighed(yield* featuresOf(this.#heads, this.#inputs));
    if (moves) return { features };
    const sums = yield* regressionSums(features, this.#targets);
    const shared = this.#shared();
    const spectrum = worthSharing(shared.length, columns) ? yield* spectrumOf(sums, shared) : undefined;
    this.#still = { features, sums, spectrum };
    return this.#still;
  }

  /** The columns of the largest group of which all outputs are. */
  #shared(): number[] {
    const outputs = this.#net.graph.output.size;
    const byGroup = this.#groups.names.map((): number[] => []);
    for (let s = 0; s < this.#of.length / outputs; s++) {
      const own = this.#of.subarray(s * outputs, (s + 1) * outputs);
      if (own.every((group) => group === own[0])) byGroup[own[0]].push(s);
    }
    return byGroup.reduce((most, own) => (own.length > most.length ? own : most), []);
  }

  *at(u: Float64Array, learnsNoise: boolean): Steps<Point> {
    const [places, scales, heads, begin] = [this.#places, this.#scales, this.#heads, this.#begin];
    const { data } = this.#net.parameters;
    places.forEach((place, i) => {
      data[place] = scales[i] ? Math.exp(u[i]) : u[i];
    });
    const count = this.#groups.names.length;
    const precision = u.slice(places.length, places.length + count).map(Math.exp);
    const noise = Math.exp(u[places.length + count]);
    const [outputs, columns] = [this.#net.graph.output.size, heads.columns.length];
    const moves = places.length > 0;
    const { features, sums, spectrum } = this.#still ?? (yield* this.#look(moves));
    const precisions: Float64Array[] = [];
    for (let c = 0; c < outputs; c++) {
      const own = Float64Array.from({ length: columns }, (_, s) => precision[this.#of[s * outputs + c]]);
      const last = precisions[c - 1];
      precisions.push(last?.every((x, s) => x === own[s]) ? last : own);
    }
    const { hyper } = this.#likelihood;
    const noises = precisions.map((_, c) => hyper.weight(c) / noise ** 2);
    const regression = { features, targets: this.#targets, examples: this.examples, precisions, noises };
    const found =
      spectrum !== undefined && sums !== undefined
        ? yield* evidenceBySpectrum({ ...regression, sums }, spectrum)
        : yield* regressionEvidence({ ...regression, sums, inFeatures: moves });
    const evidence = { ...found, value: found.value - this.#constant };
    const gradient = new Float64Array(u.length);
    let value = evidence.value;
    if (evidence.features !== undefined) {
      const weighed = this.#weighed(evidence.features);
      const [n, width] = [weighed.shape[0], columns - heads.biases];
      const back = new NDArray(new Float64Array(n * width), [n, width]);
      for (let b = 0; b < n; b++) back.data.set(weighed.data.subarray(b * columns, b * columns + width), b * width);
      const pulled = vjp(heads.features, this.#inputs, back).data;
      yield;
      places.forEach((place, i) => {
        gradient[i] = pulled[place];
        if (!scales[i]) return;
        const away = u[i] - begin[i];
        gradient[i] = pulled[place] * data[place] - away / SCALE_VARIANCE;
        value -= away ** 2 / (2 * SCALE_VARIANCE);
      });
    }
    evidence.precisions.forEach((slopes, c) => {
      for (let s = 0; s < columns; s++) gradient[places.length + this.#of[s * outputs + c]] += slopes[s];
    });
    gradient[places.length + count] = learnsNoise ? evidence.noise : 0;
    const parameters = Float64Array.from(data);
    heads.columns.forEach(({ at, step }, s) => {
      for (let c = 0; c < outputs; c++) parameters[at + step * c] = evidence.means.data[s * outputs + c];
    });
    return { u, value, gradient, evidence, parameters, precision, noise };
  }

  /** What was found, for users. */
  result({ evidence, precision, noise, parameters }: Point, history: readonly number[]) {
    const groups = this.#groups;
    const outputs = this.#net.graph.output.size;
    const { precision: prior } = groups.prior(precision);
    // γ = n − δ tr Σ, and the slope in log δ is ½ (γ − δ ‖w‖²).
    const effective = new Float64Array(precision.length);
    evidence.precisions.forEach((slopes, c) => {
      slopes.forEach((slope, s) => {
        const group = this.#of[s * outputs + c];
        effective[group] += 2 * slope + precision[group] * evidence.means.data[s * outputs + c] ** 2;
      });
    });
    const relevance = this.#relevance(parameters);
    return {
      logMarginalLikelihood: evidence.value,
      priorPrecision: new NDArray(prior, [prior.length]),
      noise,
      groups: groups.results(precision, effective),
      ...(relevance && { relevance: new NDArray(relevance, [relevance.length]) }),
      history,
    };
  }

  /** The squares of the free scales that the inputs are multiplied by first, undefined where there are none. */
  #relevance(parameters: Float64Array): Float64Array | undefined {
    const { graph } = this.#net;
    if (graph.input.shape.length !== 1) return undefined;
    for (const { site, inputs } of graph.nodes) {
      if (site?.kind !== "elementwise" || site.scale === undefined || inputs[0] !== graph.input) continue;
      const { offset, size } = site.scale;
      if (this.#places.includes(offset)) return parameters.slice(offset, offset + size).map((x) => x * x);
    }
    return undefined;
  }
}

/** @throws OptionError for a loss whose evidence is not that of Gaussian noise */
function likelihoodOf(rule: LossRule): Likelihood {
  if (rule.name === "mse") return gaussian();
  const likelihood = rule as Likelihood;
  if ("root" in rule && likelihood.normal && likelihood.hyper.any) return likelihood;
  throw new OptionError(
    `${where}: lastLayerEvidence() is exact for Gaussian noise alone: the loss must be mse or gaussian(), not "${rule.name}".`,
  );
}
