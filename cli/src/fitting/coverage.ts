// Whether 90 % intervals and sets hold what they should in each part of the held-out rows, not only in all: along the prediction and its
// uncertainty, by columns of categories, and where values are missing.

import { coverageByGroup } from "laplace-ts";
import { setCoverage } from "../model/metrics.ts";
import type { TableFit } from "./fit.ts";
import { unlistedIn } from "./level-effects.ts";

/** A part of the rows, and how often their targets were held. */
export interface PartCoverage {
  /** In words, behind "rows". */
  readonly rows: string;
  readonly samples: number;
  readonly coverage: number;
  /** More or less than chance makes of one of all these parts in a hundred tables; undefined where it is neither. */
  readonly side: "less" | "more" | undefined;
}

const LEVEL = 0.9;
/** Rows that a part has at least, parts along a number, columns and categories that are looked at. */
const [FEWEST, PARTS, MOST_COLUMNS, MOST_CATEGORIES] = [25, 4, 20, 12];
/** How often a part would be named by chance, all together. */
const CHANCE = 0.01;

/** All parts that were looked at. */
export function partsOfHeldOut(fit: TableFit): PartCoverage[] {
  const { heldOut, rows, model, task } = fit;
  const { indices, truth, mean, sd = [], lower = [], upper = [], probabilities = [] } = heldOut;
  const named: { readonly rows: string; readonly places: readonly number[] }[] = [];
  const add = (what: string, places: readonly number[]) => {
    if (places.length >= FEWEST) named.push({ rows: what, places });
  };
  const along = (values: readonly number[], what: string) => {
    const parts = Math.min(PARTS, Math.floor(values.length / FEWEST));
    if (parts < 2) return;
    const order = values.map((_, i) => i).sort((a, b) => values[a] - values[b]);
    for (let k = 0; k < parts; k++) {
      const own = order.slice(Math.round((k * order.length) / parts), Math.round(((k + 1) * order.length) / parts));
      const ends = [own[0], own[own.length - 1]].map((i) => Number(values[i].toPrecision(3)));
      add(`with ${what} of ${ends[0]} to ${ends[1]}`, own);
    }
  };
  if (task !== "classification") {
    along(mean, "a prediction");
    along(sd, "a predicted deviation");
  } else {
    const { target } = model.encoding;
    const classes = target.kind === "classes" ? target.classes : [];
    for (const [c, name] of classes.slice(0, MOST_CATEGORIES).entries())
      add(
        `predicted to be ${JSON.stringify(name)}`,
        placesWhere(mean, (one) => one === c),
      );
  }
  const columns = model.encoding.columns.filter(({ kind }) => kind === "category").slice(0, MOST_COLUMNS);
  for (const { name } of columns) {
    const at = rows.names.indexOf(name);
    const cells = indices.map((i) => rows.rows[i][at].trim());
    for (const cell of [...new Set(cells)].slice(0, MOST_CATEGORIES))
      add(
        `whose ${JSON.stringify(name)} is ${JSON.stringify(cell)}`,
        placesWhere(cells, (one) => one === cell),
      );
  }
  const { gaps, x } = fit.trainingNumbers;
  const width = model.encoding.inputs.length;
  const unlisted = unlistedIn(model.encoding);
  const lacks = (i: number) =>
    gaps[i].some((place) => !unlisted(place, (x.data as Float64Array).subarray(i * width, (i + 1) * width)));
  // The model that is kept has all rows in their order.
  if (gaps.length === rows.rows.length) add("with missing values", placesWhere(indices, lacks));
  const each = CHANCE / 2 / Math.max(1, named.length);
  return named.map(({ rows: what, places }) => {
    const own = <T>(values: readonly T[]) => places.map((i) => values[i]);
    const samples = places.length;
    const coverage =
      task === "classification"
        ? setCoverage(own(probabilities), own(truth), LEVEL)
        : coverageByGroup({ lower: own(lower), upper: own(upper) }, own(truth), new Float64Array(samples))[0].coverage;
    const held = coverage * samples;
    const less = atMost(Math.floor(held), samples) < each;
    // Whole intervals of counts hold more.
    const more = task !== "count" && 1 - atMost(Math.ceil(held) - 1, samples) < each;
    return { rows: what, samples, coverage, side: less ? "less" : more ? "more" : undefined };
  });
}

const placesWhere = <T>(values: readonly T[], is: (value: T) => boolean) =>
  values.flatMap((value, i) => (is(value) ? [i] : []));

/** The probability that at most k of n are held where each is with a probability of 0.9: the binomial distribution. */
function atMost(k: number, n: number): number {
  let [term, sum] = [n * Math.log(1 - LEVEL), 0];
  for (let j = 0; j <= k; j++) {
    sum += Math.exp(term);
    term += Math.log((n - j) / (j + 1)) + Math.log(LEVEL / (1 - LEVEL));
  }
  return Math.min(1, sum);
}
