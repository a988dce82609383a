// What data show of where the weights leave predictions open: nowhere, everywhere alike, more than noise does, or far away.

import { meanOf } from "../likelihood/likelihood.ts";
import type { WeightPosterior } from "../posterior/weight-posterior.ts";
import { confidences, type Diagnosed, FEW, type Find, perOutput, perSample, summed } from "./data.ts";
import { type Finding, NO_WEIGHT, negligible, ofOutput, text } from "./findings.ts";

/** A relative spread of the function's variance below this counts as none; leverages of 500 features still spread by a twentieth. */
const CONSTANT = 0.01;
/** The share of the predictive variance that is more than data near the training's leave open. */
const DOMINATING = 0.9;
/** The mean probability that uncertainty about the weights takes from the predicted class. */
const CONFIDENCE_LOST = 0.25;
/** Information this many times the training data's mean: five times its deviation … */
const FAR = 25;
/** … at this share of inputs. */
const FAR_SHARE = 0.1;

/** What each output shows by itself, or all of them together where they show the same. */
function ofEach(find: Find, posterior: WeightPosterior, given: Diagnosed): Finding[] {
  const found = given.together ? [] : perOutput(find, posterior, given);
  if (found.length > 0 && found.length < given.outputs) return found;
  const all = find(posterior, given, undefined);
  return all.length > 0 ? all : found;
}

/**
 * What data show of the function's variances.
 * @param gamma effective parameters, and of each output where it is known which determines how many
 */
export function varianceFindings(
  posterior: WeightPosterior,
  given: Diagnosed,
  gamma: number,
  gammas: Float64Array | undefined,
): Finding[] {
  const certain = ofEach(negligibleFindings, posterior, given);
  // Where no output moves, nothing is left to look at.
  if (certain.some(({ measured }) => measured.output === undefined)) return certain;
  const findings = [...certain, ...ofEach(constantFindings, posterior, given), ...ofEach(dominating, posterior, given)];
  if (given.training || gamma < NO_WEIGHT || posterior.fit.of.kind === "empiricalFisher") return findings;
  const far: Find = (_, some, output) => farFindings(posterior, some, output, gammas, gamma);
  // Where no output is known to determine so many weights, their information adds: it has no unit.
  return [...findings, ...(gammas === undefined ? far(posterior, given, undefined) : ofEach(far, posterior, given))];
}

function negligibleFindings({ likelihood, examples }: WeightPosterior, given: Diagnosed, output: number | undefined) {
  const { spread, information } = given;
  // One weight that all data determine, such as an output's level, leaves information of 1 / N; p (1 − p) is at most ¼.
  const bounded = likelihood.targets === "numbers";
  const bound = examples * meanOf(bounded ? summed(given, information) : summed(given, spread).map((v) => v / 4));
  return bound < NO_WEIGHT ? [negligible(bound, output)] : [];
}

function constantFindings(posterior: WeightPosterior, given: Diagnosed, output: number | undefined): Finding[] {
  const { samples, outputs, spread } = given;
  const { hyper } = posterior.likelihood;
  // Outputs together count in units of their noises.
  const own = spread.length > samples ? spread.map((v, i) => v / hyper.of(i % outputs) ** 2) : spread;
  const variances = summed(given, own);
  const mean = meanOf(variances);
  const constant = Math.sqrt(meanOf(variances.map((v) => (v / mean - 1) ** 2)));
  if (!(constant < CONSTANT) || !manyInputs(given)) return [];
  return [
    {
      code: "uncertainty-constant",
      severity: "warning",
      message: `The uncertainty about the weights${output === undefined ? "" : `, as output ${output} shows it,`} is the same at all ${samples} inputs: it does not tell inputs that the network knows from others.`,
      advice:
        'Fit more of the network: weights: "all", or the weights of a layer rather than its bias; if the inputs differ little, standardise them.',
      measured: { ...(output !== undefined && { output }), relativeSpread: constant, samples },
    },
  ];
}

function farFindings(
  { examples }: WeightPosterior,
  given: Diagnosed,
  output: number | undefined,
  gammas: Float64Array | undefined,
  gamma: number,
): Finding[] {
  const information = summed(given, given.information);
  const usual = (output === undefined || gammas === undefined ? gamma : gammas[output]) / examples;
  const far = meanOf(information.map((x) => (x > FAR * usual ? 1 : 0)));
  if (!(far > FAR_SHARE) || usual * examples < NO_WEIGHT) return [];
  return [
    {
      code: "far-from-training-data",
      severity: "warning",
      message: `${Math.round(100 * far)} % of these inputs are far from the training data: uncertainty about the weights moves their predictions${ofOutput(output)} more than five times as much as those of the training.`,
      advice:
        "Check that inputs are scaled as in training. Where they are right, trust these predictions as little as their variance says, or train on data like these.",
      measured: {
        ...(output !== undefined && { output }),
        share: far,
        information: meanOf(information),
        trainingInformation: usual,
      },
    },
  ];
}

/** Whether there are at least ten different inputs. */
function manyInputs({ x }: Diagnosed): boolean {
  const seen = new Set<string>();
  for (let i = 0; i < x.shape[0] && seen.size < FEW; i++) seen.add(x.sub(i).data.join());
  return seen.size >= FEW;
}

function dominating({ likelihood }: WeightPosterior, given: Diagnosed, output: number | undefined): Finding[] {
  const finding = (message: string, measured: Finding["measured"]): Finding[] => [
    {
      code: "function-variance-dominating",
      severity: "warning",
      message,
      advice:
        "Let optimizePrior() choose the prior, or give a larger priorPrecision. If it was tuned, more data or a smaller network leave less uncertainty; compare priors on held-out data, since the evidence can leave too much.",
      measured: { ...(output !== undefined && { output }), ...measured },
    },
  ];
  const { outputs, mean, functionMean } = given;
  if (likelihood.normal && likelihood.rows === undefined) {
    const share = perSample(given, (i) => given.functionVariance[i] / given.variance[i] / outputs).sort()[
      Math.floor(given.samples / 2)
    ];
    if (share <= DOMINATING) return [];
    return finding(
      `Uncertainty about the weights makes up ${Math.round(100 * share)} % of the predicted variance${ofOutput(output)} at most inputs, and noise nearly nothing.`,
      { share },
    );
  }
  if (likelihood.targets === "numbers") return [];
  const top = (p: Float64Array) => meanOf(confidences(p, outputs, likelihood.targets === "classes").confidence);
  const [network, predicted] = [top(likelihood.targetAt(functionMean, [outputs]).mean), top(mean)];
  if (network - predicted <= CONFIDENCE_LOST) return [];
  return finding(
    `Uncertainty about the weights takes the mean confidence${ofOutput(output)} from ${text(network)}, the network's own, to ${text(predicted)}.`,
    { networkConfidence: network, confidence: predicted },
  );
}
