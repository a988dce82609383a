// The logarithm of the gamma function.

import { ValueError, valueText } from "../errors.ts";

/**
 * log Γ(x) for x > 0, to about 1e-14 of its size or of 1: Stirling's series from 20 on, to which Γ(x + 1) = x Γ(x) leads
 * (NIST DLMF 5.11.1, 5.5.1). The constants of many densities have it: log n! = log Γ(n + 1).
 * @returns NaN for x ≤ 0
 */
export function logGamma(x: number): number {
  if (typeof x !== "number") throw new ValueError(`logGamma: x is ${valueText(x)}, not a number.`);
  if (!(x > 0)) return Number.NaN;
  if (x === Number.POSITIVE_INFINITY) return x;
  let [z, product] = [x, 1];
  for (; z < 20; z++) product *= z;
  const u = 1 / (z * z);
  const series = (1 / 12 - u * (1 / 360 - u * (1 / 1260 - u * (1 / 1680 - u / 1188)))) / z;
  return (z - 0.5) * Math.log(z) - z + 0.5 * Math.log(2 * Math.PI) + series - Math.log(product);
}
