// The noise beside missing values. A network that sees the median where a value is missing errs there by what the value
// matters; least squares takes that for noise in all rows. Here the residuals' variance is split: noise, and for each column
// a multiple of the variance that its draws make.

import { NDArray, type Posterior, type Steps, TableEncoding } from "laplace-ts";
import { meanBy } from "../model/counting.ts";
import { type Numbers, take } from "../model/rows.ts";
import { unlistedIn } from "./level-effects.ts";
import { MANY_ROWS } from "./many-rows.ts";

/** Rows with gaps that are looked at, and rows without. */
const [MOST_GAPS, MOST_WHOLE] = [1000, 4096];
/** Numbers of draws that go through the network together. */
const TOGETHER = 2 ** 16;
/** Steps of the split; each lowers the divergence. */
const STEPS = 200;
/** Rows that hold a column's spread near 1. */
const PRIOR_ROWS = 5;
const MOST_SPREAD = 4;

/** The encoding with the spread of its draws, and the posterior with the noise of rows without gaps; in steps. */
export function* withGaps(
  posterior: Posterior,
  encoding: TableEncoding,
  numbers: Numbers,
): Steps<{ readonly posterior: Posterior; readonly encoding: TableEncoding }> {
  const { any, value: noise } = posterior.likelihood.hyper;
  const { target } = encoding;
  if (target.kind !== "number" || !any) return { posterior, encoding };
  const width = encoding.inputs.length;
  const x = numbers.x.data as Float64Array;
  const rowOf = (i: number) => x.subarray(i * width, (i + 1) * width);
  // Rows with categories that are not listed say nothing of those that lack a value.
  const used = encoding.columns.filter(({ kind }) => kind !== "ignored").map(({ name }) => name);
  const unlisted = unlistedIn(encoding);
  const unknown = (i: number) => numbers.gaps[i].some((place) => unlisted(place, rowOf(i)));
  const places = numbers.gaps.flatMap((gaps, i) => (gaps.length > 0 && !unknown(i) ? [i] : []));
  if (places.length === 0) return { posterior, encoding };
  const whole = numbers.gaps.flatMap((gaps, i) => (gaps.length === 0 ? [i] : [])).slice(0, MOST_WHOLE);
  const rows = [...whole, ...places.slice(0, MOST_GAPS)];
  const { net } = posterior;
  // Of many rows those that are looked at alone.
  const some = numbers.rows > MANY_ROWS ? take(numbers, rows) : undefined;
  const outputs = net.forward((some ?? numbers).x).data;
  const square = Float64Array.from(rows, (i, k) => (numbers.y.data[i] - outputs[some === undefined ? i : k]) ** 2);
  const given = numbers.weights?.data;
  const weights = given && rows.map((i) => given[i]);
  const pooled = meanBy(square, weights);
  yield;
  const variances: { readonly column: number; readonly variance: number }[][] = rows.map(() => []);
  // Draws go through the network together: one gap's alone are too few to be quick.
  let waiting: { readonly k: number; readonly column: number; readonly drawn: Float64Array }[] = [];
  const look = () => {
    const all = new Float64Array(waiting.reduce((sum, { drawn }) => sum + drawn.length, 0));
    let at = 0;
    for (const { drawn } of waiting) {
      all.set(drawn, at);
      at += drawn.length;
    }
    const f = Float64Array.from(net.forward(new NDArray(all, [all.length / width, width])).data);
    at = 0;
    for (const { k, column, drawn } of waiting) {
      const own = f.subarray(at, at + drawn.length / width);
      at += own.length;
      const mean = own.reduce((sum, value) => sum + value / own.length, 0);
      const variance = own.reduce((sum, value) => sum + (value - mean) ** 2 / own.length, 0);
      variances[k].push({ column, variance });
    }
    waiting = [];
  };
  for (const [k, i] of rows.entries()) {
    for (const column of numbers.gaps[i]) {
      const drawn = encoding.draw(rowOf(i), [column]) as Float64Array;
      waiting.push({ k, column, drawn });
      if (waiting.reduce((sum, one) => sum + one.drawn.length, 0) < TOGETHER) continue;
      look();
      yield;
    }
  }
  if (waiting.length > 0) look();
  yield;
  if (!(pooled > 0)) return { posterior, encoding };
  const parts = splitVariance(square, variances, pooled, weights);
  const columns = encoding.columns.map((column) => {
    const spread = parts.spreads.get(used.indexOf(column.name));
    return column.kind === "ignored" || spread === undefined ? column : { ...column, spread };
  });
  // The covariance of the weights stays what all rows made it.
  const ratio = Math.min(1, Math.max(parts.noise / pooled, 1e-3));
  const own = posterior.with({ noise: noise * Math.sqrt(ratio), temperature: posterior.temperature / ratio });
  const { missing, rule, margin } = encoding;
  return { posterior: own, encoding: new TableEncoding({ columns, target, missing, rule, margin }) };
}

/**
 * The noise σ² and spreads s for which squared residuals have the variances σ² + Σ s_c v_c most likely under Gaussians: the
 * Itakura–Saito divergence of the squares, lowered by multiplicative updates (Févotte & Idier, 2011, arXiv:1010.1763).
 */
function splitVariance(
  square: Float64Array,
  variances: readonly (readonly { readonly column: number; readonly variance: number }[])[],
  pooled: number,
  weights: readonly number[] | undefined,
) {
  let noise = pooled;
  const spreads = new Map<number, number>();
  const counts = new Map<number, number>();
  for (const row of variances) {
    for (const { column } of row) {
      spreads.set(column, 1);
      counts.set(column, (counts.get(column) ?? 0) + 1);
    }
  }
  for (let step = 0; step < STEPS; step++) {
    let [above, below] = [0, 0];
    const sums = new Map(Array.from(spreads.keys(), (column) => [column, [0, 0]]));
    for (let i = 0; i < square.length; i++) {
      let variance = noise;
      for (const { column, variance: own } of variances[i]) variance += (spreads.get(column) ?? 1) * own;
      const weight = weights?.[i] ?? 1;
      const [up, down] = [(weight * square[i]) / variance ** 2, weight / variance];
      above += up;
      below += down;
      for (const { column, variance: own } of variances[i]) {
        const sum = sums.get(column);
        if (sum === undefined) continue;
        sum[0] += own * up;
        sum[1] += own * down;
      }
    }
    noise = Math.max(noise * Math.sqrt(above / below), 1e-6 * pooled);
    for (const [column, [up, down]] of sums) {
      if (down > 0) spreads.set(column, (spreads.get(column) ?? 1) * Math.sqrt(up / down));
    }
  }
  for (const [column, spread] of spreads) {
    const n = counts.get(column) ?? 0;
    spreads.set(column, Math.min(MOST_SPREAD, (n * spread + PRIOR_ROWS) / (n + PRIOR_ROWS)));
  }
  return { noise, spreads };
}
