// The candidates for a table, and their mixture by rows that they have not seen: the scale of each one's uncertainty that predicts
// these rows best, and the weights with which they predict them best together.

import { type Counting, countingOf, meanAndError } from "../model/counting.ts";
import type { Recipe } from "./jobs.ts";
import { scalesTogether } from "./together.ts";

/** A way to fit a table. */
export interface Candidate {
  readonly name: string;
  readonly recipe: Recipe;
  /** The family of counts, of which a mixture has one. */
  readonly family?: "Poisson" | "negative binomial";
  /** Fits from different seeds that predict together. */
  readonly seeds: number;
  /** The network in a line, and why its posterior has its structure. */
  readonly network: string;
  readonly structureReason: string;
}

/** How candidates are mixed. */
export interface Mix {
  /** Of each candidate; they sum to 1, 0 for those that are left out. */
  readonly weights: readonly number[];
  readonly scales: readonly number[];
  /** Mean −log p of each candidate at its best scale; infinite for those that were given up. */
  readonly losses: readonly number[];
  /** Of numbers, weights of the candidates' means, which sum to 1: 0 for those that are left out (default: the weights). */
  readonly meanWeights?: readonly number[] | undefined;
}

/** What a mixture is made by. */
export interface MixOptions {
  /** The part whose rows have no say (default: none). */
  readonly without?: number;
  /** Of each candidate. */
  readonly families?: readonly Candidate["family"][];
  /** Whether scales are chosen by the density of the mixture, not of each candidate alone (default false). */
  readonly together?: boolean;
  /** How much rows count, part by part (default: each once). */
  readonly weights?: readonly (ArrayLike<number> | undefined)[];
}

/** Losses of rows in parts: of each candidate, part by part, at each scale; undefined where it was given up before. */
export type Losses = readonly (readonly (readonly Float64Array[] | undefined)[])[];

/** Standard errors by which a scale may be behind the best one, and be taken because it is nearer to the evidence's own. */
const NO_WORSE = 0.25;
/** A candidate with less weight is left out. */
const SMALLEST_WEIGHT = 0.04;

/**
 * Mixes candidates by the rows of all parts, or of all but one. Of each it takes the first scale that is hardly worse than its best,
 * so that uncertainty about rows unlike these is given up for a gain alone; then, where scales are chosen together, those by which
 * the mixture predicts best.
 */
export function mixOf(losses: Losses, scales: readonly number[], options: MixOptions = {}): Mix {
  const { without = -1, families = [], together = false } = options;
  const given = options.weights?.filter((_, part) => part !== without);
  const rowWeights = given?.some((own) => own !== undefined)
    ? given.flatMap((own) => Array.from(own ?? []))
    : undefined;
  const each = losses.map((parts) => {
    const own = parts.filter((_, part) => part !== without);
    if (own.some((part) => part === undefined)) return undefined;
    const all = scales.map((_, s) => own.flatMap((part) => Array.from(part?.[s] ?? [])));
    const counting = countingOf(all[0].length, rowWeights);
    const means = all.map((values) => meanAndError(values, counting)[0]);
    const loss = Math.min(...means);
    const chosen = firstOf(all, means, means.indexOf(loss), counting);
    return { loss, chosen, all, rows: all[chosen] };
  });
  const family = familyOf(each, families, rowWeights);
  const known = each.filter((one, c) => one !== undefined && families[c] === family).filter((one) => one !== undefined);
  const alone = known.map((one) => one.chosen);
  const weigh = (losses: readonly (readonly number[])[]) => mixtureWeights(losses, rowWeights);
  const found = together
    ? scalesTogether(
        known.map(({ all }) => all),
        alone,
        weigh,
        rowWeights,
      )
    : { chosen: alone, weights: weigh(known.map(({ rows }) => rows)) };
  return {
    weights: each.map((one) => (one === undefined ? 0 : (found.weights[known.indexOf(one)] ?? 0))),
    scales: each.map((one) => (one === undefined ? 1 : scales[found.chosen[known.indexOf(one)] ?? one.chosen])),
    losses: each.map((one) => one?.loss ?? Number.POSITIVE_INFINITY),
  };
}

/** The family of counts whose best candidate predicts rows best: the negative binomial where it is clearly better. */
function familyOf(
  each: readonly ({ readonly loss: number; readonly rows: readonly number[] } | undefined)[],
  families: readonly Candidate["family"][],
  weights: readonly number[] | undefined,
): Candidate["family"] {
  const best = (family: Candidate["family"]) =>
    each
      .filter((_, c) => families[c] === family)
      .reduce(
        (least, own) => (own !== undefined && !(own.loss >= (least?.loss ?? own.loss + 1)) ? own : least),
        undefined,
      );
  const [plain, dispersed] = [best("Poisson"), best("negative binomial")];
  if (plain === undefined || dispersed === undefined) {
    return plain !== undefined ? "Poisson" : dispersed !== undefined ? "negative binomial" : undefined;
  }
  const gains = plain.rows.map((loss, i) => loss - dispersed.rows[i]);
  const [mean, error] = meanAndError(gains, countingOf(gains.length, weights));
  return mean > error ? "negative binomial" : "Poisson";
}

/** Rounds of EM; each raises the density of the rows. */
const EM_ROUNDS = 300;
/** Rows that each candidate is given beforehand, so that few rows do not choose alone. */
const PRIOR_ROWS = 0.5;

/** The weights of a mixture under which rows are most probable, by EM (Dempster, Laird & Rubin 1977): of losses [candidate][row]. */
export function mixtureWeights(losses: readonly (readonly number[])[], rowWeights?: ArrayLike<number>): number[] {
  const [first = []] = losses;
  const { of } = countingOf(first.length, rowWeights);
  const { density } = densities(losses);
  let kept = losses.map(() => true);
  for (;;) {
    const weights = expectation(density, kept, of);
    const small = weights.map((weight, k) => kept[k] && weight < SMALLEST_WEIGHT);
    if (!small.some(Boolean)) return weights;
    const least = Math.min(...weights.filter((_, k) => kept[k]));
    const out = weights.findIndex((weight, k) => kept[k] && weight === least);
    kept = kept.map((own, k) => own && k !== out);
  }
}

/** Densities of rows relative to the best candidate of each, [row][candidate], so that none rounds to 0 everywhere, and the loss of that. */
function densities(losses: readonly (readonly number[])[]) {
  const rows = losses[0]?.length ?? 0;
  const [density, least] = [new Float64Array(rows * losses.length), new Float64Array(rows)];
  for (let i = 0; i < rows; i++) {
    least[i] = Number.POSITIVE_INFINITY;
    for (const own of losses) least[i] = Math.min(least[i], own[i]);
    for (const [k, own] of losses.entries()) density[i * losses.length + k] = Math.exp(least[i] - own[i]);
  }
  return { density, least };
}

function expectation(density: Float64Array, kept: readonly boolean[], of: Counting["of"]): number[] {
  const size = kept.length;
  const rows = density.length / size;
  const count = kept.filter(Boolean).length;
  const weights = Float64Array.from(kept, (own) => (own ? 1 / count : 0));
  const sums = new Float64Array(size);
  for (let round = 0; round < EM_ROUNDS; round++) {
    for (let k = 0; k < size; k++) sums[k] = kept[k] ? PRIOR_ROWS : 0;
    for (let i = 0; i < rows; i++) {
      const at = i * size;
      let total = 0;
      for (let k = 0; k < size; k++) total += density[at + k] * weights[k];
      if (!(total > 0)) continue;
      const counts = of(i);
      for (let k = 0; k < size; k++) sums[k] += (counts * (density[at + k] * weights[k])) / total;
    }
    const all = sums.reduce((sum, own) => sum + own, 0);
    for (let k = 0; k < size; k++) weights[k] = sums[k] / all;
  }
  return Array.from(weights);
}

/** The first scale that is no more than a part of the standard error behind the best. */
function firstOf(
  all: readonly (readonly number[])[],
  means: readonly number[],
  best: number,
  { of, total }: Counting,
): number {
  return all.findIndex((values, s) => {
    const excess = means[s] - means[best];
    const square = values.reduce((sum, loss, i) => sum + of(i) * (loss - all[best][i] - excess) ** 2, 0);
    return excess <= (NO_WORSE * Math.sqrt(square)) / total;
  });
}

/** Standard errors by which a candidate must be behind to be given up, and nats per row. */
const [CLEARLY, FAR_BEHIND] = [4, 0.05];

/** Whether the first part's rows say that a candidate is hopeless. */
export function hopeless(losses: Losses, candidate: number, weights?: ArrayLike<number>): boolean {
  const first = losses.map(([part]) => part && bestOf(part, weights));
  const [own, others] = [first[candidate], first.filter((part) => part !== undefined)];
  if (own === undefined) return true;
  return others.some((other) => {
    const { of, total } = countingOf(own.length, weights);
    const mean = own.reduce((sum, loss, i) => sum + (of(i) * (loss - other[i])) / total, 0);
    const square = own.reduce((sum, loss, i) => sum + of(i) * (loss - other[i] - mean) ** 2, 0);
    return mean > FAR_BEHIND && mean > (CLEARLY * Math.sqrt(square)) / total;
  });
}

/** Nats that candidates which take long must add to the mixture of the others: of a row, and of all, since they bring something by chance. */
const [WORTH, WORTH_OF_ALL] = [0.005, 0.25];

/**
 * Those of a mixture's candidates that go on after the first part: of some that take long those that its rows say add something to the others of their
 * family; the least is left out first, as long as all that are left out add little together.
 */
export function worthGoingOn(
  losses: Losses,
  left: readonly number[],
  long: ReadonlySet<number>,
  families: readonly Candidate["family"][],
  weights?: ArrayLike<number>,
): number[] {
  const kept = new Set(left.filter((c) => !long.has(c) || losses[c][0] !== undefined));
  for (const family of new Set(families)) {
    const own = left.filter((c) => kept.has(c) && families[c] === family && losses[c][0] !== undefined);
    const rows = new Map(own.map((c) => [c, Array.from(bestOf(losses[c][0] as readonly Float64Array[], weights))]));
    const without = (c?: number) =>
      lossOf(
        own.flatMap((one) => (kept.has(one) && one !== c ? [rows.get(one) as number[]] : [])),
        weights,
      );
    if (own.length < 2) continue;
    const { total } = countingOf(rows.get(own[0])?.length ?? 0, weights);
    // Without what is useless the others are weighed better: what is lost is so from the best mixture that was seen.
    for (let best = without(); ; ) {
      const some = own.filter((c) => kept.has(c) && long.has(c));
      if (some.length === 0 || own.filter((c) => kept.has(c)).length < 2) break;
      const after = some.map(without);
      const least = Math.min(...after);
      if (!(least < best + Math.max(WORTH, WORTH_OF_ALL / total))) break;
      best = Math.min(best, least);
      kept.delete(some[after.indexOf(least)]);
    }
  }
  return left.filter((c) => kept.has(c));
}

/** The mean −log p of rows by the mixture that they choose, of all. */
function lossOf(rows: readonly (readonly number[])[], weights: ArrayLike<number> | undefined): number {
  const { of, total } = countingOf(rows[0].length, weights);
  const { density, least } = densities(rows);
  const size = rows.length;
  const shares = expectation(
    density,
    rows.map(() => true),
    of,
  );
  return least.reduce((sum, own, i) => {
    let mixed = 0;
    for (let k = 0; k < size; k++) mixed += shares[k] * density[i * size + k];
    return sum + (of(i) * (own - Math.log(mixed))) / total;
  }, 0);
}

function bestOf(scales: readonly Float64Array[], weights: ArrayLike<number> | undefined): Float64Array {
  const totals = scales.map((losses) => {
    const { of } = countingOf(losses.length, weights);
    return losses.reduce((sum, loss, i) => sum + of(i) * loss, 0);
  });
  return scales[totals.indexOf(Math.min(...totals))];
}
