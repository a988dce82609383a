// Means of rows that candidates have not seen, and the weights that these rows give them in a mixture.

import { type TableModel, ValueError } from "laplace-ts";
import { type Numbers, partsOf } from "../model/rows.ts";
import { inTurns, turn } from "../turn.ts";
import type { Outcome } from "./jobs.ts";
import { meanWeights } from "./mean-weights.ts";
import { modelOf, type Prepared } from "./members.ts";
import type { Mix } from "./portfolio.ts";

/** Rows, and fits that have not seen them: one of each candidate, undefined where there is none. */
interface Part {
  readonly fits: readonly (Outcome | undefined)[];
  readonly prepared: Prepared;
  readonly rows: Numbers;
}

/** What a candidate says of rows, in the target's own units. */
interface Predicted {
  readonly mean: Float64Array;
  /** A third of the 90 % interval, about: of a long tail the moment would be its end's. */
  readonly deviation: Float64Array;
}

/** Deviations between the ends of a 90 % interval. */
const ENDS = 2 * 1.645;

/** Weighs means by rows in parts; each candidate's mean is worked out once. */
export class HeldOutMeans {
  readonly #parts: readonly Part[];
  readonly #approximation: TableModel["approximation"];
  readonly #known = new Map<string, Promise<Predicted>>();

  constructor(parts: readonly Part[], approximation: TableModel["approximation"]) {
    this.#parts = parts;
    this.#approximation = approximation;
  }

  /** A mixture of numbers with weights of its means; of classes and counts as it is. @param without the part whose rows have no say */
  async weigh(mix: Mix, without = -1): Promise<Mix> {
    const members = mix.weights.flatMap((weight, c) => (weight > 0 ? [c] : []));
    const { target } = this.#parts[0].prepared.encoding;
    if (members.length < 2 || target.kind === "classes" || target.counts) return mix;
    const v = members.map((c) => mix.weights[c]);
    const means: number[][] = members.map(() => []);
    const [truth, deviations, rowWeights]: [number[], number[], number[]] = [[], [], []];
    for (const [k, { rows, prepared }] of this.#parts.entries()) {
      if (k === without) continue;
      const said = await Promise.all(members.map((c) => this.#predicted(k, c, mix.scales[c])));
      for (let i = 0; i < rows.rows; i++) {
        const mean = said.reduce((sum, own, j) => sum + v[j] * own.mean[i], 0);
        const square = said.reduce(
          (sum, own, j) => sum + v[j] * (own.deviation[i] ** 2 + (own.mean[i] - mean) ** 2),
          0,
        );
        deviations.push(Math.sqrt(square));
        for (const [j, own] of said.entries()) means[j].push(own.mean[i]);
        truth.push(prepared.encoding.ofTarget(rows.y.data[i]));
        if (rows.weights !== undefined) rowWeights.push(rows.weights.data[i]);
      }
      await turn();
    }
    const known = { means, truth, deviations, rowWeights: rowWeights.length > 0 ? rowWeights : undefined };
    const found = meanWeights(v, known);
    return { ...mix, meanWeights: mix.weights.map((_, c) => found[members.indexOf(c)] ?? 0) };
  }

  #predicted(k: number, c: number, scale: number): Promise<Predicted> {
    const key = `${k} ${c} ${scale}`;
    const found = this.#known.get(key) ?? this.#predict(this.#parts[k], c, scale);
    this.#known.set(key, found);
    return found;
  }

  async #predict({ fits, prepared, rows }: Part, c: number, scale: number): Promise<Predicted> {
    const [mean, deviation] = [new Float64Array(rows.rows), new Float64Array(rows.rows)];
    const posterior = fits[c]?.posterior;
    if (posterior === undefined) throw new ValueError("fit: a candidate of the mixture has no fit.");
    const model = await inTurns(modelOf([{ posterior, weight: 1, scale }], prepared, this.#approximation));
    let at = 0;
    for (const part of partsOf(rows, posterior)) {
      const found = model.predictEncoded(part.x.data as Float64Array, part.unusual, part.gaps);
      mean.set(found.mean ?? [], at);
      deviation.set(found.upper?.map((high, i) => (high - (found.lower?.[i] ?? 0)) / ENDS) ?? [], at);
      at += part.rows;
      await turn();
    }
    return { mean, deviation };
  }
}
