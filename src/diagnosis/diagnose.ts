// What is wrong with a posterior, if something is, in plain words: what the fit shows. What data show is in calibration.ts.

import type { Data } from "../data/batches.ts";
import { checkOptions } from "../errors.ts";
import { type ExamplesReport, each, type Steps } from "../kernels/steps.ts";
import { distancesOf, factorOf, scatterOf } from "../posterior/evidence.ts";
import { refuseSwag } from "../posterior/swag.ts";
import type { WeightPosterior } from "../posterior/weight-posterior.ts";
import { type PredictOptions, predictOptionNames } from "../prediction/prediction.ts";
import { calibrationLooks } from "./calibration.ts";
import { readDiagnosed } from "./data.ts";
import { type Diagnosis, type Finding, NO_WEIGHT, negligible, ofOutput, text } from "./findings.ts";
import { minimumOf } from "./minimum.ts";
import { scalingFindings } from "./scaling.ts";

/** Options of `diagnose`: how the predictions that are judged are made, as in `predict`. */
export type DiagnoseOptions = PredictOptions;

// Thresholds are where a user should act, not where a difference can be proved; both must hold where there is chance.

/** A prior this many times wider or narrower (in variance) than weights of their size ask for: tenfold in deviation. */
const PRIOR_MISMATCH = 100;
/** Noise this many times off; a posterior's width is then off as much. */
const NOISE_MISMATCH = 2;
/** Standard errors beyond which chance does not explain them, over the few things that are looked at. */
const STANDARD_ERRORS = 4;
/** The share of data that as many weights explain; what is left are too few to tell noise from. */
const ALL_EXPLAINED = 0.9;
/** Outputs beyond which their noises are not listed in advice. */
const FEW_OUTPUTS = 16;
/** Mean cross-entropy, in nats: labels are given more than 99.5 % on average, and curvature, p (1 − p), all but vanishes. */
const NOTHING_LEFT = 0.005;
/**
 * At a maximum δ ‖θ − μ₀‖² = γ (MacKay 1992). Where one side is so small a share of the weights, and the other still less, there
 * is not one: the prior goes on to where neither counts.
 */
const NEGLIGIBLE_SHARE = 1e-4;
const FAR_LESS = 0.1;

/**
 * γ, the effective number of parameters: how many of the S weights the data rather than the prior determine (MacKay 1992),
 * for each prior precision.
 */
function effectiveParameters({ parts, factorised }: WeightPosterior): Float64Array {
  const ours = factorised.logPriorGradient();
  return parts.prior.counts().map((count, i) => Math.max(0, count - ours[i]));
}

const sumOf = (values: Float64Array) => values.reduce((sum, x) => sum + x, 0);

/** See `Posterior.diagnose`. */
export function* diagnose(
  posterior: WeightPosterior,
  data: Data | undefined,
  options: DiagnoseOptions,
): Steps<Diagnosis, ExamplesReport> {
  const where = "diagnose";
  checkOptions(where, options, predictOptionNames);
  refuseSwag(where, posterior.parts);
  yield* posterior.factoring("gradient");
  const gammas = effectiveParameters(posterior);
  const gamma = sumOf(gammas);
  const distances = yield* distancesOf(posterior.parts.prior, posterior.selection.take(posterior.theta));
  const ofOutputs = yield* gammaOfOutputs(posterior);
  const given = data === undefined ? undefined : yield* readDiagnosed(where, posterior, data, options);
  const looks: (() => readonly Finding[])[] = [
    () => minimumFindings(posterior),
    () => scalingFindings(posterior),
    () => priorFindings(posterior, gammas, distances),
    () => noiseFindings(posterior, gamma, ofOutputs),
    () => perfectFindings(posterior, gamma, ofOutputs),
    ...(given === undefined ? [] : calibrationLooks(posterior, given, gamma, ofOutputs)),
  ];
  const findings = (yield* each(looks, (look) => look())).flat();
  // The variance that data show is looked at where there are data; without them a Gaussian's is known all the same.
  if (given === undefined && posterior.likelihood.normal && gamma < NO_WEIGHT) findings.push(negligible(gamma));
  const ok = findings.every(({ severity }) => severity === "warning");
  return { ok, findings, data: given === undefined ? "none" : given.training ? "training" : "held-out" };
}

function minimumFindings({ fit, parts }: WeightPosterior): Finding[] {
  const { near, gradientNorm, share, output } = minimumOf(fit, parts.prior);
  if (near) return [];
  return [
    {
      code: "not-at-minimum",
      severity: "problem",
      message: `The network was not trained to a minimum: ${Math.round(100 * share)} % of the gradients of the samples${output === undefined ? "" : ` in output ${output}`} do not cancel. The approximation describes the surroundings of a minimum, and is wrong elsewhere.`,
      advice: "Train for more epochs, with a smaller learningRate at the end, then fit again.",
      measured: { ...(output !== undefined && { output }), share, gradientNorm },
    },
  ];
}

function priorFindings(posterior: WeightPosterior, gammas: Float64Array, distances: Float64Array): Finding[] {
  const { tuning } = posterior;
  const { prior } = posterior.parts;
  const findings: Finding[] = [];
  const { heldOut } = tuning ?? {};
  if (heldOut !== undefined && heldOut.edges.length > 0) {
    findings.push({
      code: "tuning-not-converged",
      severity: "warning",
      message: `On held-out data the best ${heldOut.edges.join(", ")} is at the edge of what was tried.`,
      advice: "Give optimizePrior({ on }) a range that goes further, or more held-out data.",
      measured: { candidates: tuning?.steps ?? 0, value: heldOut.value },
    });
  } else if (tuning !== undefined && !tuning.converged) {
    findings.push({
      code: "tuning-not-converged",
      severity: "warning",
      message: `Tuning stopped after ${tuning.steps} steps, and the ${heldOut === undefined ? "evidence is not at a maximum" : "score is not at its best"}.`,
      advice: `Give optimizePrior() more steps${heldOut === undefined ? ', or leave its method at "bfgs"' : ""}.`,
      measured: { steps: tuning.steps, gradientNorm: tuning.gradientNorm },
    });
  }
  const counts = prior.counts();
  if (tuning !== undefined) {
    const [all, gamma] = [sumOf(counts), sumOf(gammas)];
    const scatters = scatterOf(prior, distances);
    const gone = (small: Float64Array, smaller: Float64Array) => (i: number) =>
      small[i] < NEGLIGIBLE_SHARE * counts[i] && smaller[i] < FAR_LESS * small[i];
    const [falling, rising] = [gone(scatters, gammas), gone(gammas, scatters)];
    const flat = sumOf(counts.filter((_, i) => falling(i)));
    // Single weights may go; whole parameters that data say nothing of leave no uncertainty about most of the network.
    const few = (i: number) => gammas[i] < (prior.structure === "perParameter" ? NO_WEIGHT / 10 : 0);
    const tight = gamma < NO_WEIGHT ? all : sumOf(counts.filter((_, i) => few(i) || rising(i)));
    if (flat > all / 2 || tight > all / 2) {
      const [end, change] =
        flat > all / 2
          ? ["to 0: nothing holds these weights", "with more data or fewer weights"]
          : ["to infinity: these weights count as known", "with the network trained further"];
      findings.push({
        code: "prior-at-edge",
        severity: "warning",
        message: `Tuning drove the precision of the prior of ${Math.round((100 * Math.max(flat, tight)) / all)} % of the weights ${end}.`,
        advice: `Fix priorPrecision in with({ priorPrecision }), take priorStructure: "scalar" in optimizePrior(), or fit ${change}.`,
        measured: {
          smallest: prior.precision.reduce((a, b) => Math.min(a, b)),
          largest: prior.precision.reduce((a, b) => Math.max(a, b)),
          effectiveParameters: gamma,
        },
      });
    }
    return findings;
  }
  // The evidence is at its maximum where δ ‖θ − μ₀‖² = γ (MacKay 1992).
  const [gamma, scatter] = [sumOf(gammas), sumOf(scatterOf(prior, distances))];
  if (gamma < NO_WEIGHT || scatter === 0) return findings;
  const ratio = scatter / gamma;
  if (ratio < PRIOR_MISMATCH && ratio > 1 / PRIOR_MISMATCH) return findings;
  const deviations = Math.sqrt(Math.max(ratio, 1 / ratio));
  findings.push({
    code: "prior-far-from-weights",
    severity: "warning",
    message: `The prior is about ${text(deviations)} times ${ratio > 1 ? "narrower" : "wider"} than the trained weights suggest, so that their uncertainty is ${ratio > 1 ? "understated" : "overstated"} where data say little.`,
    advice: `Let optimizePrior() choose the prior, or ${ratio > 1 ? "lower" : "raise"} priorPrecision.`,
    measured: { ratio, effectiveParameters: gamma },
  });
  return findings;
}

/** Targets that share a noise: of each output by itself where its residuals are known. */
interface Residuals {
  /** The number of the output; undefined for one output, or all. */
  readonly output: number | undefined;
  readonly noise: number;
  /** Half the sum of their squares. */
  readonly loss: number;
  readonly count: number;
  /** Effective parameters that they determine: its part of γ, or an equal share where the outputs have no curvature each. */
  readonly gamma: number;
}

/** γ_c = tr(P⁻¹ H_c) / (σ_c² T) of each output, where its curvature H_c is kept apart. */
function* gammaOfOutputs({ parts, factorised, likelihood }: WeightPosterior): Steps<Float64Array | undefined> {
  const { apart } = parts.fit;
  if (apart === undefined || parts.damping) return undefined;
  const h = factorOf(likelihood, parts.temperature);
  return (yield* factorised.traces(apart)).map((trace, c) => trace * h * likelihood.hyper.weight(c));
}

function residuals(posterior: WeightPosterior, gamma: number, gammas: Float64Array | undefined): Residuals[] {
  const { parts, likelihood, examples, net } = posterior;
  const outputs = net.graph.output.size;
  const { losses, loss } = parts.fit;
  const { hyper } = likelihood;
  if (losses === undefined || outputs === 1) {
    return [{ output: undefined, noise: hyper.value, loss, count: examples * outputs, gamma }];
  }
  return Array.from(losses, (own, c) => ({
    output: c,
    noise: hyper.of(c),
    loss: own,
    count: examples,
    gamma: gammas?.[c] ?? gamma / outputs,
  }));
}

function noiseFindings(posterior: WeightPosterior, gamma: number, gammas: Float64Array | undefined): Finding[] {
  const { name, hyper } = posterior.likelihood;
  if (!hyper.any) return [];
  const all = residuals(posterior, gamma, gammas);
  // The evidence is at its maximum where σ² = Σ residuals² / (N − γ) (MacKay 1992).
  const shownBy = (one: Residuals) => hyper.shownBy(one.loss, one.count - one.gamma);
  const list = all.map((one) => Number(shownBy(one).toPrecision(3))).join(", ");
  return all.flatMap((one): Finding[] => {
    const { output, noise } = one;
    const free = one.count - one.gamma;
    if (free < 1 || one.loss === 0) return [];
    const shown = shownBy(one);
    const ratio = noise / shown;
    const log = Math.abs(Math.log(ratio));
    if (log < Math.log(NOISE_MISMATCH) || log < STANDARD_ERRORS / Math.sqrt(2 * free)) return [];
    const give =
      output === undefined
        ? `Let optimizePrior() choose the ${hyper.name}, or give it: ${name}({ ${hyper.name} }) at the fit, with({ noise }) after it.`
        : `Fit with likelihood: "regression", whose noise optimizePrior() chooses for each output, or give what the residuals show: gaussian({ noise: [${all.length > FEW_OUTPUTS ? "…" : list}] }).`;
    return [
      {
        code: "noise-far-from-residuals",
        severity: "problem",
        message: `The ${hyper.name}${ofOutput(output)} is ${text(noise)}, ${ratio > 1 ? `${text(ratio)} times` : `only ${text(ratio)} of`} what the residuals of the fit show, ${text(shown)}. Predictions are ${ratio > 1 ? "too wide" : "too narrow"} for it.`,
        advice: give,
        measured: { ...(output !== undefined && { output }), noise, residual: shown, ratio },
      },
    ];
  });
}

function perfectFindings(posterior: WeightPosterior, gamma: number, gammas: Float64Array | undefined): Finding[] {
  const { targets, hyper } = posterior.likelihood;
  const { loss, examples } = posterior;
  const count = examples * posterior.net.graph.output.size;
  const advice =
    "Train with weightDecay or for fewer epochs, on more data or with a smaller network; compare posteriors on held-out data, diagnose(data) or evaluate, rather than by their evidence.";
  if (hyper.any) {
    const all = residuals(posterior, gamma, gammas);
    const one = all.find((each) => each.gamma > ALL_EXPLAINED * each.count || each.loss === 0);
    if (one !== undefined && one.output !== undefined && gamma <= ALL_EXPLAINED * count && loss > 0) {
      return [
        {
          code: "perfect-fit",
          severity: "warning",
          message: `The network has freedom for nearly every target${ofOutput(one.output)} that it was trained on (${text(one.gamma)} effective parameters, ${one.count} numbers), so that noise cannot be told from the function.`,
          advice,
          measured: { output: one.output, effectiveParameters: one.gamma, targets: one.count },
        },
      ];
    }
    if (gamma <= ALL_EXPLAINED * count && loss > 0) return [];
    return [
      {
        code: "perfect-fit",
        severity: "warning",
        message: `The network has freedom for nearly every target it was trained on (${text(gamma)} effective parameters, ${count} numbers), so that noise cannot be told from the function.`,
        advice,
        measured: { effectiveParameters: gamma, targets: count },
      },
    ];
  }
  const mean = loss / (targets === "classes" ? examples : count);
  if (targets === "numbers" || mean > NOTHING_LEFT) return [];
  return [
    {
      code: "perfect-fit",
      severity: "warning",
      message: `The network fits its training data perfectly (mean loss ${text(mean)}). Where it is that sure, the curvature vanishes, and the data say little of how far its weights can be trusted.`,
      advice,
      measured: { meanLoss: mean },
    },
  ];
}
