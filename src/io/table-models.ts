// A model of a table: the encoding of its rows, and a posterior over the network behind it, or several.

import { NDArray } from "../array/ndarray.ts";
import type { TableEncoding, TableRow } from "../data/encoding.ts";
import { meanLimits } from "../data/target.ts";
import { fromScale } from "../data/target-scales.ts";
import { checkOptions, ValueError } from "../errors.ts";
import { asynchronously, atOnce, type BurstOptions, type ExamplesReport, type Steps } from "../kernels/steps.ts";
import type { Posterior } from "../laplace/posterior.ts";
import type { Approximation } from "../prediction/prediction.ts";
import type { Json } from "./json.ts";
import { bandsOf } from "./table-bands.ts";
import { countPredictions } from "./table-counts.ts";
import { overDraws, type RowPredictions } from "./table-draws.ts";
import { checkGuarantee, type TableGuarantee } from "./table-guarantee-files.ts";
import { checkMeanWeights, ownMean } from "./table-means.ts";
import { inOwnUnits, mixRows, partsQuantile, type TablePart } from "./table-mixtures.ts";
import { checkPosterior, heaviestOf, type TableMixture } from "./table-posteriors.ts";
import { checkPower, toPower } from "./table-powers.ts";
import { classRows, countRows, DRAWS, drawsOf, inputsOf, numberRows } from "./table-rows.ts";

/** What a model of a table is made of. */
export interface TableModelParts {
  /** Numbers: a Gaussian likelihood, one output, or a heteroscedastic one, two outputs. Counts: Poisson, one output, with a dispersion or without. Two classes: Bernoulli, one logit. More: categorical, a logit for each. */
  readonly posterior?: Posterior | undefined;
  /**
   * Several posteriors that predict together, in the place of one: `mixture(posteriors)`, or, where some have a noise that depends on the
   * row and others do not, `{ posteriors, weights }`.
   */
  readonly mixture?: TableMixture | undefined;
  readonly encoding: TableEncoding;
  /** How predictions are made (default: the likelihood's own default). */
  readonly approximation?: Approximation | undefined;
  /** The function's variance, as predictions have it, above which a row is far from the training data (default: none is). */
  readonly farVariance?: number | undefined;
  /**
   * Whether that is the variance of more than two logits themselves, with that of their level, which softmax ignores: so it
   * was in files of version 0.1 (default false).
   */
  readonly farLevel?: boolean | undefined;
  /**
   * Classes: the power to which the probabilities of the posterior, or of the mixture, are raised before they are divided by their sum
   * (default 1). Above 1 predictions are more certain; it is a scale of the logits (Guo et al. 2017). What the weights leave open is as it was.
   */
  readonly probabilityPower?: number | undefined;
  /**
   * Numbers but counts: with which weights the posteriors' means make the mean that is predicted, at least 0, with sum 1 (default: the mixture's own). It is
   * kept within the 90 % interval; densities, deviations and quantiles are the mixture's.
   */
  readonly meanWeights?: Float64Array | undefined;
  /** What intervals and sets need that hold their level whatever the model: `tableRegions` makes them. */
  readonly guarantee?: TableGuarantee<TableModel> | undefined;
  /** Anything else to keep in the file, as JSON. */
  readonly notes?: Json | undefined;
}

/** What `TableModel.predict` gives for each row. */
export interface TablePrediction {
  readonly rows: number;
  /** Regression, in the target's units: the mean of a new target, by the model's `meanWeights` where it has some. */
  readonly mean?: Float64Array;
  /** Regression: the standard deviation of a new target, noise included; of a mixture, within and between its posteriors, around its own mean. */
  readonly sd?: Float64Array;
  /** Regression: of that, what the weights leave open; of a target on another scale by their share of the variance there. */
  readonly functionSd?: Float64Array;
  /** Regression: the interval that should hold 90 % of new targets, between the mixture's own quantiles; of counts whole, ends included, with 90 % or more. */
  readonly lower?: Float64Array;
  readonly upper?: Float64Array;
  /** Regression: the Gaussian of each posterior, one or those of the mixture, on the scale of the target, of counts that of the log rate: what `tableQuantiles` and `tableScores` read. */
  readonly parts?: readonly TablePart[];
  /** Classification: the probability of each class, [rows, classes]. */
  readonly probabilities?: NDArray;
  /** Classification: their logarithms, also where they round to 0 or 1, [rows, classes]. */
  readonly logProbabilities?: NDArray;
  /** Classification: the position of the most probable class. */
  readonly predicted?: Int32Array;
  /**
   * The share of the uncertainty that more data would remove, from 0 to 1, as `uncertainty` says it. Regression: the
   * function's variance / the target's. Classification: the mutual information of class and weights / the entropy of the
   * class; of more than two classes from 64 draws.
   */
  readonly epistemic: Float64Array;
  /**
   * The variance of the function at each row, as the network learned it: of more than two classes that of the logits'
   * differences to their mean, summed. `farVariance` is compared with it.
   */
  readonly functionVariance: Float64Array;
  /** Whether the row is far from the training data: an unusual value, or a function's variance beyond training's. */
  readonly far: readonly boolean[];
  /** The columns with a value unlike those of the training: a number far outside their range, an unknown category. */
  readonly unusual: readonly (readonly string[])[];
}

/** The 95 % quantile of N(0, 1); written out, because the functions of Math that give it differ between engines. */
const Z90 = 1.6448536269514726;
/** Predicts rows of a table, in the target's own units. Made by `tableModel` or `loadTableModel`. */
export class TableModel {
  /** The posterior, or that of the mixture with the greatest weight. */
  readonly posterior: Posterior;
  /** Several posteriors that predict together; undefined where there is one. */
  readonly mixture: TableMixture | undefined;
  readonly encoding: TableEncoding;
  readonly approximation: Approximation;
  readonly farVariance: number;
  readonly farLevel: boolean;
  readonly probabilityPower: number;
  /** Of each posterior of the mixture; undefined where they are the mixture's own. */
  readonly meanWeights: Float64Array | undefined;
  readonly guarantee: TableGuarantee<TableModel> | undefined;
  readonly notes: Json;

  constructor(parts: TableModelParts) {
    const { mixture, encoding, farVariance = Number.POSITIVE_INFINITY, farLevel = false, notes = null } = parts;
    const posterior = mixture === undefined ? parts.posterior : heaviestOf(mixture);
    if (posterior === undefined) throw new ValueError("tableModel: neither a posterior nor a mixture is given.");
    if (mixture !== undefined && parts.posterior !== undefined && !mixture.posteriors.includes(parts.posterior)) {
      throw new ValueError("tableModel: the posterior is not in the mixture; give one of both.");
    }
    const approximation = parts.approximation ?? (posterior.likelihood.links[0] as Approximation);
    for (const one of mixture?.posteriors ?? [posterior]) checkPosterior(one as Posterior, encoding, approximation);
    const { probabilityPower = 1 } = parts;
    checkPower(probabilityPower, encoding);
    if (!(farVariance >= 0)) throw new ValueError(`tableModel: farVariance must be at least 0, not ${farVariance}.`);
    [this.posterior, this.mixture] = [
      posterior,
      mixture !== undefined && mixture.posteriors.length > 1 ? mixture : undefined,
    ];
    [this.encoding, this.approximation] = [encoding, approximation];
    [this.farVariance, this.farLevel, this.notes] = [farVariance, farLevel, notes];
    this.probabilityPower = probabilityPower;
    if (parts.meanWeights !== undefined) checkMeanWeights(parts.meanWeights, mixture, encoding);
    // One posterior's mean is its own.
    this.meanWeights = this.mixture && parts.meanWeights?.slice();
    this.guarantee = parts.guarantee;
    if (parts.guarantee !== undefined) checkGuarantee(parts.guarantee, encoding);
  }

  /**
   * Predictions for rows of texts by the names of their columns. A cell that cannot be read counts as missing, and its row is
   * far. Where a cell is missing, the prediction is the mixture over values of the training that it may have had: it is
   * wider by what the column matters.
   * @throws ValueError for a column that is missing, or a missing value where they are refused
   */
  predict(rows: readonly TableRow[]): TablePrediction {
    return atOnce(this.#predict(rows));
  }

  /** `predict` in bursts, with turns of the event loop between them. @throws as `predict`; the signal's reason */
  async predictAsync(rows: readonly TableRow[], options: BurstOptions<ExamplesReport> = {}): Promise<TablePrediction> {
    return asynchronously("predict", options, () => this.#predict(rows));
  }

  *#predict(rows: readonly TableRow[]): Steps<TablePrediction, ExamplesReport> {
    const { x, unusual, gaps } = yield* this.encoding.encoding(rows, { unreadable: "missing" });
    return yield* this.#predictEncoded(x, unusual, gaps);
  }

  /** Predictions for inputs that the encoding made, [rows · inputs], what was unusual about each row, and its gaps. @param summed whether mean, deviations and bounds of numbers are worked out, and of classes `epistemic`, which is NaN otherwise (default true): densities and scores go by `parts` or `logProbabilities` alone */
  predictEncoded(
    x: Float64Array,
    unusual: readonly (readonly string[])[],
    gaps: readonly (readonly number[])[] = [],
    summed = true,
  ): TablePrediction {
    return atOnce(this.#predictEncoded(x, unusual, gaps, summed));
  }

  *#predictEncoded(
    x: Float64Array,
    unusual: readonly (readonly string[])[],
    gaps: readonly (readonly number[])[],
    summed = true,
  ): Steps<TablePrediction, ExamplesReport> {
    const rows = unusual.length;
    const { posteriors, weights } = this;
    const all: RowPredictions[] = [];
    for (const posterior of posteriors) {
      all.push(
        yield* overDraws(this.encoding, x, rows, gaps, (inputs) => this.#predictInputs(posterior, inputs, summed)),
      );
    }
    const found = all.length === 1 ? all[0] : mixRows(all, weights, rows);
    const { functionVariance, epistemic } = found;
    const far = unusual.map((columns, i) => columns.length > 0 || functionVariance[i] > this.farVariance);
    const { target } = this.encoding;
    if (target.kind === "number" && target.counts) {
      const parts = all.map((one, k) => ({
        weight: weights[k],
        mean: one.mean,
        sd: one.variance.map(Math.sqrt),
        dispersion: posteriors[k].likelihood.dispersion ?? 0,
      }));
      const [, most] = meanLimits(target);
      const counts = countPredictions(parts, rows, (k, i) => all[k].functionVariance[i], most);
      return { rows, ...counts, parts, functionVariance, far, unusual };
    }
    if (target.kind === "number") {
      const inUnits = (one: RowPredictions) => ({
        mean: one.mean.map((m) => m * target.sd + target.mean),
        sd: one.variance.map((v) => Math.sqrt(v) * target.sd),
      });
      const { scale } = target;
      const parts = all.map((one, k) => ({ weight: weights[k], ...inUnits(one), ...(scale && { scale }) }));
      if (!summed) return { rows, parts, epistemic, functionVariance, far, unusual };
      const scaled = inUnits(found);
      const whole =
        scale === undefined
          ? { ...scaled, means: parts.map((part) => part.mean) }
          : inOwnUnits(parts, scale, rows, meanLimits(target));
      const bound = (side: -1 | 1) =>
        scaled.mean.map((m, i) =>
          fromScale(
            scale,
            parts.length === 1 ? m + side * Z90 * scaled.sd[i] : partsQuantile(parts, i, 0.5 + side * 0.45, side * Z90),
          ),
        );
      const [lower, upper] = [bound(-1), bound(1)];
      return {
        rows,
        mean: whole.mean,
        sd: whole.sd,
        ...this.#ownMean(whole.means, { lower, upper }),
        functionSd:
          scale === undefined
            ? functionVariance.map((v) => Math.sqrt(v) * target.sd)
            : whole.sd.map((sd, i) => sd * Math.sqrt(epistemic[i])),
        lower,
        upper,
        parts,
        epistemic,
        functionVariance,
        far,
        unusual,
      };
    }
    const classes = target.classes.length;
    const { mean, logs } = this.probabilityPower === 1 ? found : toPower(found.logs, classes, this.probabilityPower);
    const predicted = Int32Array.from({ length: rows }, (_, i) => {
      const row = mean.subarray(i * classes, (i + 1) * classes);
      return row.indexOf(Math.max(...row));
    });
    return {
      rows,
      probabilities: new NDArray(mean, [rows, classes]),
      logProbabilities: new NDArray(logs, [rows, classes]),
      predicted,
      epistemic,
      functionVariance,
      far,
      unusual,
    };
  }

  /** The posteriors that predict, one or those of the mixture that have a weight. */
  get posteriors(): readonly Posterior[] {
    const { mixture, posterior } = this;
    return mixture === undefined
      ? [posterior]
      : mixture.posteriors.filter((_, k) => mixture.weights[k] > 0).map((one) => one as Posterior);
  }

  /** Their weights, which sum to 1. */
  get weights(): Float64Array {
    return this.mixture?.weights.filter((weight) => weight > 0) ?? Float64Array.of(1);
  }

  /** The mean by weights of its own, where there are some. */
  #ownMean(
    means: readonly Float64Array[],
    { lower, upper }: { readonly lower: Float64Array; readonly upper: Float64Array },
  ): { readonly mean?: Float64Array } {
    const { meanWeights, mixture } = this;
    if (meanWeights === undefined || mixture === undefined) return {};
    return {
      mean: ownMean(
        means,
        meanWeights.filter((_, k) => mixture.weights[k] > 0),
        lower,
        upper,
      ),
    };
  }

  /** What a posterior says of each row of inputs, as its network learned it. */
  #predictInputs(posterior: Posterior, x: Float64Array, summed: boolean): Steps<RowPredictions, ExamplesReport> {
    const { approximation, farLevel: level, encoding } = this;
    const { target } = encoding;
    const rows = target.kind === "classes" ? classRows : target.counts ? countRows : numberRows;
    const samples = summed ? drawsOf(this.posteriors.length) : 0;
    return rows(posterior, inputsOf(x, encoding.inputs.length), { approximation, level, samples });
  }

  /**
   * What the weights leave open of each class's probability: its 5 % and 95 % quantiles over draws of the linearised
   * network, [rows, classes]. @throws ValueError for a model of numbers, or rows that cannot be read
   */
  probabilityBands(rows: readonly TableRow[]): { readonly lower: NDArray; readonly upper: NDArray } {
    const { target, inputs } = this.encoding;
    if (target.kind === "number") throw new ValueError("probabilityBands: the model predicts numbers, not classes.");
    const x = new NDArray(this.encoding.encode(rows, { unreadable: "missing" }).x, [rows.length, inputs.length]);
    const draws = this.posteriors.map((posterior) => posterior.functionSamples(x, DRAWS).data);
    const found = bandsOf(draws, this.weights, [rows.length, target.classes.length], this.probabilityPower);
    const array = (own: Float64Array) => new NDArray(own, [rows.length, target.classes.length]);
    return { lower: array(found.lower), upper: array(found.upper) };
  }
}

/** A model of a table from its parts. @throws ValueError for parts that do not fit together; OptionError */
export function tableModel(parts: TableModelParts): TableModel {
  checkOptions("tableModel", parts, [
    "posterior",
    "mixture",
    "encoding",
    "approximation",
    "farVariance",
    "farLevel",
    "probabilityPower",
    "meanWeights",
    "guarantee",
    "notes",
  ]);
  return new TableModel(parts);
}
