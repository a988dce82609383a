// Targets that are the outputs plus Gaussian noise.

import { refuseDetached } from "../array/entries.ts";
import { shapeText, sizeOf } from "../array/ndarray.ts";
import { checkNumber, checkOptions, OptionError, ShapeError, valueText } from "../errors.ts";
import { bytesPerElement, inMemory } from "../kernels/memory.ts";
import { withTraining } from "../kernels/training.ts";
import { mse } from "../losses/losses.ts";
import type { Outputs } from "../network/part-outputs.ts";
import { Hyper } from "./hyper.ts";
import { alone, type Likelihood, likelihoodOf, meanOf, writeDiagonal } from "./likelihood.ts";

/** Options of `gaussian`. */
export interface GaussianOptions {
  /**
   * Standard deviation of the noise, in the units of the targets: one, or one for each output, whose ratios stay when it is
   * tuned. Without it each output has a noise of its own, 1 until they are tuned.
   */
  noise?: number | readonly number[] | undefined;
}

/**
 * A Gaussian likelihood: y = f + σ ε, with the loss ½ Σ_c ((f_c − y_c) / r_c)². The noise is σ_c = σ r_c, where the r_c
 * have the geometric mean 1. Given noises keep their ratios when σ is tuned; without any, each output's is tuned. Targets are shaped like the outputs. Λ = diag(1 / r²) at σ = 1. The
 * predictive distribution, "exact", has the variance of the function plus σ_c².
 * @throws OptionError for noise that is not positive
 */
export function gaussian(options: GaussianOptions = {}): Likelihood<"normal"> {
  checkOptions("gaussian", options, ["noise"]);
  const { noise: given } = options;
  if (given === undefined) return gaussianOf(1, undefined, true);
  if (typeof given === "number") {
    checkNumber("gaussian", "noise", given, 0, true);
    return gaussianOf(given, undefined);
  }
  if (given === null || typeof given !== "object" || !(Symbol.iterator in given)) {
    throw new OptionError(
      `gaussian: noise must be a number, or a list of one for each output, not ${valueText(given)}.`,
    );
  }
  if (ArrayBuffer.isView(given)) refuseDetached("gaussian", "noise", given);
  const list = Array.from(given);
  if (list.length === 0) throw new OptionError("gaussian: noise must be a number, or a list of one for each output.");
  for (const sigma of list) checkNumber("gaussian", "noise", sigma, 0, true);
  return ofEach(list);
}

/** A Gaussian likelihood with a noise for each output. */
function ofEach(list: readonly number[], apart = false): Likelihood<"normal"> {
  const noise = Math.exp(list.reduce((sum, sigma) => sum + Math.log(sigma), 0) / list.length);
  return gaussianOf(
    noise,
    list.map((sigma) => sigma / noise),
    apart,
  );
}

const { elementShape, readTargets, counted } = mse.rule;

/** A Gaussian likelihood with the noise σ r_c. */
export function gaussianOf(noise: number, ratios: readonly number[] | undefined, apart = false): Likelihood<"normal"> {
  const ratio = (c: number) => ratios?.[c] ?? 1;

  /** Multiplies rows [n, C] by r^power. */
  const weigh = ({ dtype, batch, outputs }: Outputs, to: number, power: number): void => {
    if (ratios === undefined) return;
    const start = to / bytesPerElement(dtype);
    inMemory(dtype, (memory) => {
      for (let i = 0; i < batch * outputs; i++) memory[start + i] *= ratio(i % outputs) ** power;
    });
  };

  return likelihoodOf<"normal">({
    name: "gaussian",
    elementShape,
    readTargets,
    counted,
    targets: "numbers",
    normal: true,
    hyper: new Hyper({
      name: "noise",
      value: noise,
      ratios,
      apart,
      normaliser: Math.log(noise * Math.sqrt(2 * Math.PI)),
    }),
    links: ["exact"],
    needs: () => "variance",
    checkNetwork(where, net) {
      const outputs = net.graph.output.size;
      if (ratios !== undefined && ratios.length !== outputs) {
        throw new ShapeError(
          `${where}: the likelihood has ${ratios.length} noises, but the network's output has shape ${shapeText(net.outputShape)}.`,
        );
      }
    },
    elements({ kernels, batch, outputs, f }, targets, to) {
      withTraining(kernels).squaredError(batch * outputs, f, targets, to);
      const start = to / 8;
      inMemory("float64", (elements) => {
        for (let i = 0; i < batch * outputs; i++) elements[start + i] *= 0.5 / ratio(i % outputs) ** 2;
      });
    },
    gradient(outputs, targets, scale, to) {
      withTraining(outputs.kernels).scaledDifference(outputs.batch * outputs.outputs, outputs.f, targets, scale, to);
      weigh(outputs, to, -2);
    },
    group: alone,
    rootColumns: sizeOf,
    curve: "root",
    root(outputs, columns, to) {
      writeDiagonal(outputs, columns, to, (_, k) => 1 / ratio(k));
    },
    drawColumn(outputs, draws, to) {
      let at = to / bytesPerElement(outputs.dtype);
      inMemory(outputs.dtype, (memory) => {
        for (let b = 0; b < outputs.batch; b++) {
          const random = draws(b);
          for (let c = 0; c < outputs.outputs; c++) memory[at++] = random.normal();
        }
      });
      weigh(outputs, to, -1);
    },
    constant: () => 0,
    // Squares of deviations, not of errors: those may be above every float64 number where their ratio is not.
    logDensity: (y, { mean, variance }) => logNormal((y - mean) / Math.sqrt(variance), variance),
    information: (_, c) => (noise * ratio(c)) ** -2,
    uncertainty(f) {
      const { outputs, mean, variance } = f;
      return {
        total: this.target("exact", f, { samples: 1, seed: 0 }).variance,
        aleatoric: this.targetAt(mean, [outputs]).variance,
        epistemic: variance,
      };
    },
    baseline: {
      numbers: 2,
      words: "their mean",
      fit(targets) {
        const level = meanOf(targets);
        const variance = meanOf(targets.map((t) => (t - level) ** 2));
        return (t) => -logNormal((t - level) / Math.sqrt(variance), variance);
      },
    },
    entry: {},
    target(_, { outputs, mean, variance }) {
      return { mean: mean.slice(), variance: variance.map((v, i) => v + (noise * ratio(i % outputs)) ** 2) };
    },
    targetAt: (f, shape) => ({
      mean: f,
      variance: f.map((_, i) => (noise * ratio(i % sizeOf(shape))) ** 2),
    }),
    withHyper: (sigma) => (typeof sigma === "number" ? gaussianOf(sigma, ratios, apart) : ofEach(sigma, apart)),
  });
}

/** The log density of a normal variable that is z deviations from its mean. */
function logNormal(z: number, variance: number): number {
  return -0.5 * (Math.log(2 * Math.PI) + Math.log(variance) + z ** 2);
}
