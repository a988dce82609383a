// What counts of all kinds share: factorials, draws, and the variance of a log-normal rate.

import { portableExp, portableExpm1, portableLog } from "../array/portable.ts";
import type { DrawSource } from "./plain.ts";

/** The variance of e^f for f ~ N(m, v), e^(2m + 2v) (1 − e^−v); infinite only where that is above every float64 number. */
export function rateVariance(m: number, v: number): number {
  if (!(v > 0)) return 0;
  const [log, share] = [2 * m + 2 * v, -portableExpm1(-v)];
  return log < 700 ? portableExp(log) * share : portableExp(log + portableLog(share));
}

/** A Poisson variable: sums of small ones, each by Knuth's product of uniforms. */
export function drawCount(rate: number, random: DrawSource): number {
  if (rate > 700) return Math.max(0, Math.round(rate + Math.sqrt(rate) * random.normal()));
  let [count, product] = [-1, 1];
  for (const limit = Math.exp(-rate); product > limit || count < 0; count++) product *= random.uniform();
  return count;
}

/** What Stirling's formula for log n! leaves out. */
export const stirling = (n: number): number =>
  (1 / 12 - (1 / 360 - (1 / 1260 - 1 / (1680 * n * n)) / (n * n)) / (n * n)) / n;

/** log n!, by Stirling's series from 20 on. */
export function logFactorial(n: number): number {
  if (n < 20) {
    let sum = 0;
    for (let i = 2; i <= n; i++) sum += Math.log(i);
    return sum;
  }
  return n * Math.log(n) - n + 0.5 * Math.log(2 * Math.PI * n) + stirling(n);
}
