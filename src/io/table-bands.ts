// What the weights leave open of each class's probability: quantiles over draws of the network.

import { DRAWS } from "./table-rows.ts";

/** Draws below the 5 % quantile. */
const LOW = 3;

/**
 * The 5 % and 95 % quantiles of probabilities that are raised to a power, [rows · classes].
 * @param draws of each posterior, [draws, rows, outputs]
 */
export function bandsOf(
  draws: readonly ArrayLike<number>[],
  weights: Float64Array,
  [rows, classes]: readonly [number, number],
  power: number,
): { readonly lower: Float64Array; readonly upper: Float64Array } {
  const outputs = classes === 2 ? 1 : classes;
  const [lower, upper] = [new Float64Array(rows * classes), new Float64Array(rows * classes)];
  const count = DRAWS * draws.length;
  const p = new Float64Array(classes);
  const drawn = Array.from({ length: classes }, () => new Float64Array(count));
  const order = Array.from({ length: count }, (_, s) => s);
  for (let i = 0; i < rows; i++) {
    for (let s = 0; s < count; s++) {
      softmax(draws[Math.floor(s / DRAWS)], ((s % DRAWS) * rows + i) * outputs, outputs, p, power);
      for (let c = 0; c < classes; c++) drawn[c][s] = p[c];
    }
    for (let c = 0; c < classes; c++) {
      const own = drawn[c];
      order.sort((a, b) => own[a] - own[b]);
      const bound = (share: number) => own[order[placeOf(order, weights, share)]];
      lower[i * classes + c] = bound(LOW);
      upper[i * classes + c] = bound(DRAWS - 1 - LOW);
    }
  }
  return { lower, upper };
}

/** The place among ordered draws, DRAWS of each posterior, below which `draws` of DRAWS lie by the posteriors' weights. */
function placeOf(order: readonly number[], weights: Float64Array, draws: number): number {
  let below = 0;
  return order.findIndex((s, at) => {
    below += weights[Math.floor(s / DRAWS)];
    // A half is more than what rounding adds to a sum of whole draws.
    return below > draws + 0.5 || at === order.length - 1;
  });
}

/** The probabilities of logits at a place, to a power; a single logit is that of the second class against 0. */
function softmax(logits: ArrayLike<number>, at: number, outputs: number, into: Float64Array, power: number): void {
  let largest = outputs === 1 ? 0 : Number.NEGATIVE_INFINITY;
  for (let c = 0; c < outputs; c++) largest = Math.max(largest, logits[at + c]);
  let sum = 0;
  for (let c = 0; c < into.length; c++) {
    const logit = outputs === 1 ? (c === 0 ? 0 : logits[at]) : logits[at + c];
    into[c] = Math.exp(power * (logit - largest));
    sum += into[c];
  }
  for (let c = 0; c < into.length; c++) into[c] /= sum;
}
