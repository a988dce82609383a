// What rows that candidates have not seen say of the portfolio: what each step from a linear model to the mixture gains, and where; and
// what wider and longer fits brought, as a sign of what still wider and longer ones would bring.

import { meanBy } from "../model/counting.ts";
import { pairedMeans } from "../model/paired.ts";
import type { Gain, GainPart, GainStep, Growth } from "../model/report-data.ts";
import type { Candidate, Losses, Mix } from "./portfolio.ts";
import type { Course } from "./recipe.ts";

/** −log p of rows that were held out, each in the same place. */
export interface RowLosses {
  /** Places of the rows among all of the table. */
  readonly places: readonly number[];
  /** Of each candidate at the scale that is its best alone; undefined where it was given up. */
  readonly each: readonly (readonly number[] | undefined)[];
  /** Of the mixture, part by part by the weights that were chosen for it. */
  readonly mixture: readonly number[];
  /** How much each row counts; undefined where all count alike. */
  readonly weights?: readonly number[] | undefined;
}

/**
 * Losses of candidates and of mixtures, row by row.
 * @param mixes the mixture of each part @param places of each part's rows among all @param weights of each part's rows
 */
export function rowLosses(
  losses: Losses,
  scales: readonly number[],
  mixes: readonly Mix[],
  places: readonly (readonly number[])[],
  weights: readonly (ArrayLike<number> | undefined)[] = [],
): RowLosses {
  const counts = weights.flatMap((part) => (part === undefined ? [] : Array.from(part)));
  const rowWeights = counts.length > 0 ? counts : undefined;
  const each = losses.map((parts) => {
    if (parts.some((part) => part === undefined)) return undefined;
    const all = scales.map((_, s) => parts.flatMap((part) => Array.from(part?.[s] ?? [])));
    const means = all.map((rows) => meanBy(rows, rowWeights));
    return all[means.indexOf(Math.min(...means))];
  });
  const mixture = mixes.flatMap((mix, k) => {
    const kept = mix.weights.flatMap((weight, c) => {
      const rows = losses[c][k]?.[scales.indexOf(mix.scales[c])];
      return weight > 0 && rows !== undefined ? [{ log: Math.log(weight), rows }] : [];
    });
    return places[k].map((_, i) => {
      const logs = kept.map(({ log, rows }) => log - rows[i]);
      const most = Math.max(...logs);
      return -most - Math.log(logs.reduce((sum, one) => sum + Math.exp(one - most), 0));
    });
  });
  return { places: places.flat(), each, mixture, weights: rowWeights };
}

/** By how much the second losses are less than the first, on average over rows, and the standard error. */
export function gainOf(from: readonly number[], to: readonly number[], weights?: readonly number[]): Gain {
  const { difference, standardError } = pairedMeans(from, to, weights);
  return { gain: difference, standardError };
}

/** Standard errors by which a gain is beyond chance. */
const CLEARLY = 2;
export const clearly = ({ gain, standardError }: Gain): boolean => gain > CLEARLY * standardError;

/** Whether a candidate is a linear model, and whether its noise depends on the row. */
export function linearKind({ recipe }: Candidate): "plain" | "varying" | undefined {
  if (recipe.by === "rounds") return recipe.hidden.length === 0 ? "plain" : undefined;
  if (recipe.by !== "evidence" || recipe.width > 0) return undefined;
  return recipe.varying ? "varying" : "plain";
}

/** The place of the best of some candidates, −1 where none is left. */
function bestOf({ each, weights }: RowLosses, of: (c: number) => boolean): number {
  const means = each.map((rows, c) => (rows !== undefined && of(c) ? meanBy(rows, weights) : Number.POSITIVE_INFINITY));
  const least = Math.min(...means);
  return Number.isFinite(least) ? means.indexOf(least) : -1;
}

/** What each step from a linear model to the mixture gains; none where there is no linear model. */
export function stepsOf(candidates: readonly Candidate[], rows: RowLosses): GainStep[] {
  const plain = bestOf(rows, (c) => linearKind(candidates[c]) === "plain");
  if (plain < 0) return [];
  const varying = bestOf(rows, (c) => linearKind(candidates[c]) === "varying");
  const best = bestOf(rows, () => true);
  let last = rows.each[plain] as readonly number[];
  const steps: GainStep[] = [];
  const add = (name: string, next: readonly number[] | undefined) => {
    if (next === undefined) return;
    steps.push({ name, ...gainOf(last, next, rows.weights) });
    last = next;
  };
  const byRow = varying >= 0 && clearly(gainOf(last, rows.each[varying] as readonly number[], rows.weights));
  if (byRow) add("noise that depends on the row", rows.each[varying]);
  if (best !== plain && !(byRow && best === varying))
    add(`curves and interactions (${candidates[best].name})`, rows.each[best]);
  add("the mixture of all", rows.mixture);
  return steps;
}

/** What the mixture gains over a linear model; undefined where none was fitted to the end. */
export function overLinearOf(candidates: readonly Candidate[], rows: RowLosses): Gain | undefined {
  const plain = bestOf(rows, (c) => linearKind(candidates[c]) === "plain");
  return plain < 0 ? undefined : gainOf(rows.each[plain] as readonly number[], rows.mixture, rows.weights);
}

/** Rows that a part has at least, and parts along a number. */
const [FEWEST, PARTS, MOST_CLASSES] = [10, 4, 12];

/**
 * What the mixture gains over a linear model in parts of the rows: along the prediction of numbers, by the true class.
 * @param values of each row of `places`: the prediction, or the place of the class
 */
export function partsOfGain(
  candidates: readonly Candidate[],
  rows: RowLosses,
  values: readonly number[],
  classes: readonly string[] | undefined,
): GainPart[] {
  const plain = bestOf(rows, (c) => linearKind(candidates[c]) === "plain");
  if (plain < 0) return [];
  const linear = rows.each[plain] as readonly number[];
  const gainAt = (places: readonly number[]) =>
    gainOf(
      places.map((i) => linear[i]),
      places.map((i) => rows.mixture[i]),
      rows.weights && places.map((i) => rows.weights?.[i] ?? 1),
    );
  const known = values.flatMap((value, i) => (Number.isFinite(value) ? [i] : []));
  if (classes !== undefined) {
    return classes.slice(0, MOST_CLASSES).flatMap((name, c) => {
      const own = known.filter((i) => values[i] === c);
      return own.length >= FEWEST ? [{ rows: name, samples: own.length, ...gainAt(own) }] : [];
    });
  }
  const order = known.toSorted((a, b) => values[a] - values[b]);
  const count = Math.min(PARTS, Math.floor(order.length / FEWEST));
  if (count < 2) return [];
  return Array.from({ length: count }, (_, k) => {
    const own = order.slice(Math.round((k * order.length) / count), Math.round(((k + 1) * order.length) / count));
    const [low, high] = [own[0], own[own.length - 1]].map((i) => Number(values[i].toPrecision(3)));
    return { rows: `${low} to ${high}`, samples: own.length, ...gainAt(own) };
  });
}

/** Units of hidden layers of candidates that differ in nothing else; undefined for others. */
function widthOf({ recipe }: Candidate): number | undefined {
  if (recipe.by === "rounds")
    return recipe.hidden.length > 0 ? recipe.hidden.reduce((sum, one) => sum + one, 0) : undefined;
  return recipe.by === "evidence" && !recipe.varying && recipe.groups === "inputs" && recipe.width > 0
    ? recipe.width
    : undefined;
}

/** What the widest network gains over the next narrower one, of the same family of counts. */
export function widerOf(candidates: readonly Candidate[], rows: RowLosses): Growth | undefined {
  const { each } = rows;
  const widths = candidates.map(widthOf);
  const order = candidates
    .flatMap((_, c) => (widths[c] === undefined ? [] : [c]))
    .sort((a, b) => (widths[b] ?? 0) - (widths[a] ?? 0));
  const [wide] = order;
  const narrow = order.find(
    (c) => Number(widths[c]) < Number(widths[wide]) && candidates[c].family === candidates[wide].family,
  );
  if (narrow === undefined) return undefined;
  const names = { from: candidates[narrow].name, to: candidates[wide].name };
  const [from, to] = [each[narrow], each[wide]];
  // What was clearly behind on the first rows has no figure.
  if (from === undefined || to === undefined) return undefined;
  const best = each[bestOf(rows, () => true)] as readonly number[];
  return { ...names, ...gainOf(from, to, rows.weights), behind: clearly(gainOf(to, best, rows.weights)) };
}

/** What the second half of a training brought to the rows that said when to stop; undefined where there are none. */
export function longerOf({ epochs, validation, kept }: Course): number | undefined {
  if (validation.length < 2) return undefined;
  const at = (epoch: number) => validation[epochs.findLastIndex((one) => one <= epoch)];
  const [half, whole] = [at(kept / 2), at(kept)];
  return half === undefined || whole === undefined ? undefined : half - whole;
}
