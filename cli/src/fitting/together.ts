// The scales of a mixture's candidates, chosen together. A mixture of candidates that are each as wide as their own errors is wider than
// its errors, by what the candidates differ (Gneiting & Ranjan 2013): its own density says how wide each should be in it.

import { type Counting, countingOf } from "../model/counting.ts";

/** Rounds in which each candidate's scale is chosen once, and nats of a row, and standard errors, by which a change must gain. */
const [ROUNDS, NATS, CLEARLY] = [4, 1e-3, 1];

/**
 * Scales, as places among those that were tried, and weights under which rows are most probable: each in turn, those of the others
 * as they are. A candidate without a weight stays without.
 * @param losses [candidate][scale][row]
 * @param chosen where to begin, the place of each candidate's scale
 * @param weigh weights of the candidates by losses [candidate][row]
 * @param rowWeights how much each row counts (default: each once)
 */
export function scalesTogether(
  losses: readonly (readonly (readonly number[])[])[],
  chosen: readonly number[],
  weigh: (rows: readonly (readonly number[])[]) => number[],
  rowWeights?: ArrayLike<number>,
): { readonly chosen: number[]; readonly weights: number[] } {
  const found = [...chosen];
  const counting = countingOf(losses[0]?.[0]?.length ?? 0, rowWeights);
  const rowsNow = () => losses.map((own, k) => own[found[k]]);
  let weights = weigh(rowsNow());
  const kept = weights.map((weight) => weight > 0);
  const order = weights.map((_, k) => k).sort((a, b) => weights[b] - weights[a]);
  for (let round = 0; round < ROUNDS; round++) {
    let changed = false;
    for (const k of order) {
      if (!kept[k]) continue;
      const rest = restOf(rowsNow(), weights, k);
      // A scale that was not tried has no density anywhere.
      const tried = losses[k].map((rows) =>
        rows.some(Number.isFinite) ? mixedLosses(rest, rows, weights[k]) : undefined,
      );
      const now = tried[found[k]];
      if (now === undefined) continue;
      const gains = tried.map((rows) => (rows === undefined ? Number.NEGATIVE_INFINITY : gainOf(now, rows, counting)));
      const best = gains.indexOf(Math.max(...gains));
      if (!(gains[best] > 0)) continue;
      found[k] = best;
      changed = true;
    }
    if (!changed) break;
    const again = rowsNow().filter((_, k) => kept[k]);
    const own = weigh(again);
    let at = 0;
    weights = kept.map((one) => (one ? own[at++] : 0));
    for (const [k, weight] of weights.entries()) if (weight === 0) kept[k] = false;
  }
  return { chosen: found, weights };
}

/** log Σ w p over all candidates but one, row by row. */
function restOf(rows: readonly (readonly number[])[], weights: readonly number[], without: number): number[] {
  return rows[without].map((_, i) => {
    let most = Number.NEGATIVE_INFINITY;
    for (const [k, own] of rows.entries()) if (k !== without && weights[k] > 0) most = Math.max(most, -own[i]);
    let sum = 0;
    for (const [k, own] of rows.entries()) {
      if (k !== without && weights[k] > 0 && most > Number.NEGATIVE_INFINITY)
        sum += weights[k] * Math.exp(-own[i] - most);
    }
    return most + Math.log(sum);
  });
}

/** −log p of the others' mixture with a candidate in it, row by row. */
function mixedLosses(rest: readonly number[], own: readonly number[], weight: number): number[] {
  return rest.map((others, i) => {
    const log = Math.log(weight) - own[i];
    const most = Math.max(others, log);
    if (most === Number.NEGATIVE_INFINITY) return Number.POSITIVE_INFINITY;
    return -most - Math.log(Math.exp(others - most) + Math.exp(log - most));
  });
}

/** Nats of a row that are gained, where that is beyond chance; 0 where it may be chance. */
function gainOf(now: readonly number[], next: readonly number[], { of, total }: Counting): number {
  const gains = now.map((loss, i) => loss - next[i]);
  const mean = gains.reduce((sum, gain, i) => sum + of(i) * gain, 0) / total;
  const square = gains.reduce((sum, gain, i) => sum + of(i) * (gain - mean) ** 2, 0);
  return mean > NATS && mean > (CLEARLY * Math.sqrt(square)) / total ? mean : 0;
}
