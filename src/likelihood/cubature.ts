// Integrals over rows of n numbers, over a standard normal or around a peak: by the trapezoidal rule along each axis, which converges geometrically where
// functions are analytic (Trefethen & Weideman, SIAM Review 56, 2014); of rows of four numbers and more over draws.

import { portableExp } from "../array/portable.ts";
import { Random } from "../array/random.ts";

/** Deviations beyond which nothing is left in float64, and steps for rows of 1, 2 and 3 numbers. */
const END = 8;
const STEPS = [0.25, 0.2, 0.6];
const PAIRS = 2048;

/** Points z of n numbers, [count, n], with weights that make means. */
export interface Points {
  readonly count: number;
  readonly z: Float64Array;
  readonly weights: Float64Array;
}

const made = new Map<number, Points>();

/** Points for rows of n numbers. */
export function pointsOf(n: number): Points {
  const known = made.get(n);
  if (known !== undefined) return known;
  const found = n <= STEPS.length ? grid(n, STEPS[n - 1]) : drawn(n);
  made.set(n, found);
  return found;
}

function grid(n: number, h: number): Points {
  const z = ball(n, h);
  const weights = Array.from({ length: z.length / n }, (_, i) =>
    portableExp(-0.5 * z.slice(i * n, (i + 1) * n).reduce((sum, x) => sum + x * x, 0)),
  );
  const total = weights.reduce((a, b) => a + b, 0);
  return { count: weights.length, z: Float64Array.from(z), weights: Float64Array.from(weights, (w) => w / total) };
}

/** Points of a grid of steps h within the ball of radius END, n numbers each: corners have nothing. */
function ball(n: number, h: number): number[] {
  const most = Math.floor(END / h);
  const side = 2 * most + 1;
  const found: number[] = [];
  for (let i = 0; i < side ** n; i++) {
    const row = Array.from({ length: n }, (_, axis) => h * ((Math.floor(i / side ** axis) % side) - most));
    if (row.reduce((sum, x) => sum + x * x, 0) <= END * END) found.push(...row);
  }
  return found;
}

/** Points x around a peak of unit width, [count, n], whose steps grow outward, with the logarithms of their weights in ∫ dx. */
export interface PeakPoints {
  readonly count: number;
  readonly x: Float64Array;
  readonly logs: Float64Array;
}

/** How fast steps grow: x = sinh(κ t) / κ reaches 54 widths. */
const GROWTH = 0.5;
const peaks = new Map<number, PeakPoints>();

/** Points for a peak in n numbers. */
export function peakPointsOf(n: number): PeakPoints {
  const known = peaks.get(n);
  if (known !== undefined) return known;
  const found = n <= STEPS.length ? stretched(n, STEPS[n - 1]) : ofDraws(n);
  peaks.set(n, found);
  return found;
}

function stretched(n: number, h: number): PeakPoints {
  const t = ball(n, h);
  const logs = Float64Array.from({ length: t.length / n }, (_, i) =>
    t.slice(i * n, (i + 1) * n).reduce((sum, s) => sum + Math.log(h * Math.cosh(GROWTH * s)), 0),
  );
  return { count: logs.length, x: Float64Array.from(t, (s) => Math.sinh(GROWTH * s) / GROWTH), logs };
}

function ofDraws(n: number): PeakPoints {
  const { count, z } = pointsOf(n);
  const logs = Float64Array.from({ length: count }, (_, i) => {
    const square = z.subarray(i * n, (i + 1) * n).reduce((sum, x) => sum + x * x, 0);
    return 0.5 * (square + n * Math.log(2 * Math.PI)) - Math.log(count);
  });
  return { count, x: z, logs };
}

/** Draws in pairs of opposite sign. */
function drawn(n: number): Points {
  const random = new Random(0);
  const count = 2 * PAIRS;
  const z = new Float64Array(count * n);
  for (let i = 0; i < count * n; i += 2 * n) {
    for (let c = 0; c < n; c++) {
      z[i + c] = random.normal();
      z[i + n + c] = -z[i + c];
    }
  }
  return { count, z, weights: new Float64Array(count).fill(1 / count) };
}
