// Ascent of smooth functions of a few to many coordinates: log evidences over log precisions and log noise.

import { dot } from "../array/dot.ts";
import { ValueError } from "../errors.ts";
import type { Steps } from "../kernels/steps.ts";

/**
 * A function to be maximised: its value and gradient at u. It must not keep or change u. A value that is a difference of
 * larger terms says how large they are (`magnitude`), because its rounding is theirs. Where it knows about how much it curves
 * along each coordinate (`bend`, −∂²f/∂u², positive), directions begin with that.
 */
export type Objective = (
  u: Float64Array,
) => Steps<{ value: number; gradient: Float64Array; magnitude?: number; bend?: Float64Array | undefined }>;

/** Options of `maximise`. */
export interface MaximiseOptions {
  /** At most so many steps (default 200). */
  steps?: number;
  /** Converged where no entry of the projected gradient is larger (default 1e-6). */
  tolerance?: number;
  /** The least value of every coordinate, or of each (default -30). */
  lower?: number | Float64Array;
  /** The largest value of every coordinate, or of each (default 30). */
  upper?: number | Float64Array;
}

/** Options of `adamAscent`. */
export interface AdamAscentOptions {
  /** Steps (default 100). */
  steps?: number;
  /** Learning rate (default 0.1). */
  learningRate?: number;
}

/** Where an ascent ended. */
export interface Maximum {
  /** The last point. */
  u: Float64Array;
  /** The function there. */
  value: number;
  /** Its gradient there. */
  gradient: Float64Array;
  /** The largest entry of the gradient by size, without entries that a bound stops. */
  gradientNorm: number;
  /** Steps taken. */
  steps: number;
  /** Calls of the function. */
  evaluations: number;
  /**
   * Whether `gradientNorm` is within the tolerance (1e-6 for Adam, which does not stop there), or what was left to gain is
   * lost in the rounding of the values.
   */
  converged: boolean;
  /** Whether a bound stops a coordinate that the gradient would carry further: then this is not a maximum without it. */
  bounded: boolean;
}

/** The coordinates are logarithms: their bounds, either way, if no others are given. */
export const MOST_LOG = 30;

interface Point {
  readonly u: Float64Array;
  readonly value: number;
  readonly gradient: Float64Array;
  readonly magnitude: number;
  readonly bend: Float64Array | undefined;
}

/** A step, and how much the gradient fell along it. */
interface Pair {
  readonly s: Float64Array;
  readonly y: Float64Array;
}

interface Box {
  readonly lower: Float64Array;
  readonly upper: Float64Array;
}

const TOLERANCE = 1e-6;
const MEMORY = 10;
// Of few coordinates more pairs are kept: they cost nothing there and spare evaluations, which do.
const SMALL = 1000;
const SMALL_MEMORY = 100;
const TRIALS = 30;
// A step gains at least this part of what its slope at the beginning promised (Armijo) …
const GAIN = 1e-4;
// … and ends where the slope has fallen below this part of the slope at the beginning (Wolfe).
const FLATTER = 0.5;
// The coordinates are logarithms: a longer step could carry one over its optimum, onto the plateau that log evidences have
// beyond, where the gradient no longer calls it back.
const LONGEST = 3;
// Even a step that long can end on the plateau beyond an optimum: whether it lay within is asked at the end.
const FAR = 1;
// Where the function says how it curves, that may be far off beyond such a step.
const FAR_ALONE = 2;
// Differences of values below this, relatively, are taken for rounding.
const ROUNDING = 1e-12;
// Where no higher point is found, and a step promised to gain no more than this, relatively, rounding hides the rest.
const NEGLIGIBLE = 1e-9;

/**
 * Climbs f from `start` by L-BFGS (Liu & Nocedal, Mathematical Programming 45, 1989) within a box, to which `start` is moved
 * first. Steps follow the projection of a line onto the box; coordinates that the gradient presses against a bound
 * rest (Bertsekas, SIAM J. Control Optim. 20, 1982). No coordinate moves by more than 3 in a step. A trial point where f
 * throws or is not finite shortens the step.
 *
 * At the end coordinates that crossed an optimum with a long step, and lie outside of it, are put back into its middle; the climb
 * goes on from there if that is higher.
 *
 * Every step increases f as long as values can tell. Where they agree to 1e-12, relative to their terms (absolutely
 * for terms below 1), the slope along the step decides (as in Hager & Zhang, SIAM J. Optim. 16, 2005), so that the gradient can become
 * as small as its own rounding allows. The value returned is at least the start's, and the largest met, within that 1e-12.
 *
 * @throws ValueError where f is not finite at the start; what f throws there
 */
export function* maximise(f: Objective, start: Float64Array, options: MaximiseOptions = {}): Steps<Maximum> {
  const { steps: most = 200, tolerance = TOLERANCE, lower = -MOST_LOG, upper = MOST_LOG } = options;
  const each = (bound: number | Float64Array) =>
    typeof bound === "number" ? new Float64Array(start.length).fill(bound) : bound;
  const box = { lower: each(lower), upper: each(upper) };
  let evaluations = 0;
  const at = (u: Float64Array): Steps<Point> => {
    evaluations++;
    return evaluate(f, u);
  };
  let here = yield* at(start.map((x, i) => clip(x, i, box)));
  let best = here.value;
  let steps = 0;
  /** Coordinates that a long step carried over a place where their gradient vanishes: it lies between these two. */
  const crossed: Crossed = new Map();
  /** What the last quasi-Newton step that found no higher point promised to gain. */
  let promised = Number.POSITIVE_INFINITY;
  const pairs: Pair[] = [];
  const memory = start.length > SMALL ? MEMORY : SMALL_MEMORY;
  for (;;) {
    const projected = projectedGradient(here, box);
    const gradientNorm = largest(projected);
    const converged = gradientNorm <= tolerance;
    const bounded = here.gradient.some((entry, i) => Math.abs(entry) > tolerance && projected[i] === 0);
    const back = converged && steps < most ? putBack(here.u, crossed) : undefined;
    const higher = back && (yield* attempt(at, back));
    if (higher !== undefined && higher.value > here.value + ROUNDING * Math.max(1, here.magnitude)) {
      here = higher;
      best = Math.max(best, here.value);
      pairs.length = 0;
      steps++;
      continue;
    }
    if (converged || steps === most) return { ...here, gradientNorm, steps, evaluations, converged, bounded };
    const d = direction(pairs, here, projected, box);
    // Without a memory of the function's scale no coordinate moves by more than 1 at first.
    const first = pairs.length > 0 || here.bend !== undefined ? 1 : Math.min(1, 1 / gradientNorm);
    const there = yield* search(at, here, d, first, best, box);
    if (there !== undefined) {
      remember(pairs, here, there, memory);
      for (let i = 0; i < start.length; i++) {
        const far = Math.abs(there.u[i] - here.u[i]) > FAR;
        if (far && here.gradient[i] * there.gradient[i] < 0) crossed.set(i, [here.u[i], there.u[i]]);
      }
      here = there;
      best = Math.max(best, here.value);
      steps++;
      promised = Number.POSITIVE_INFINITY;
    } else if (pairs.length > 0) {
      promised = dot(d, projected) / 2;
      pairs.length = 0;
    } else {
      const lost = promised <= NEGLIGIBLE * Math.max(1, here.magnitude);
      return { ...here, gradientNorm, steps, evaluations, converged: lost, bounded };
    }
  }
}

/**
 * Climbs f by Adam (Kingma & Ba, arXiv 1412.6980; β 0.9 and 0.999, ε 1e-8, bias corrected) for a fixed number of steps, as
 * laplace-torch tunes. It knows no bounds, may end lower than it began, and f is called once more for the last point.
 *
 * @throws ValueError where f is not finite; what f throws
 */
export function* adamAscent(f: Objective, start: Float64Array, options: AdamAscentOptions = {}): Steps<Maximum> {
  const { steps = 100, learningRate = 0.1 } = options;
  const u = start.slice();
  const m = new Float64Array(u.length);
  const v = new Float64Array(u.length);
  for (let t = 1; t <= steps; t++) {
    const { gradient } = yield* evaluate(f, u.slice());
    for (let i = 0; i < u.length; i++) {
      m[i] = 0.9 * m[i] + 0.1 * gradient[i];
      v[i] = 0.999 * v[i] + 0.001 * gradient[i] ** 2;
      const mean = m[i] / (1 - 0.9 ** t);
      const square = v[i] / (1 - 0.999 ** t);
      u[i] += (learningRate * mean) / (Math.sqrt(square) + 1e-8);
    }
  }
  const last = yield* evaluate(f, u);
  const gradientNorm = largest(last.gradient);
  const converged = gradientNorm <= TOLERANCE;
  return { ...last, gradientNorm, steps, evaluations: steps + 1, converged, bounded: false };
}

/** Coordinates, and the two ends of a step. */
type Crossed = Map<number, readonly [from: number, to: number]>;

/** u with the coordinates that lie outside of their step in its middle, undefined where none does; each step is looked at once. */
function putBack(u: Float64Array, crossed: Crossed): Float64Array | undefined {
  const outside = [...crossed].filter(([i, [from, to]]) => (u[i] - from) * (u[i] - to) > 0);
  crossed.clear();
  if (outside.length === 0) return undefined;
  const back = u.slice();
  for (const [i, [from, to]] of outside) back[i] = (from + to) / 2;
  return back;
}

/** f at u, the gradient copied: f may use one array for all its gradients. */
function* evaluate(f: Objective, u: Float64Array): Steps<Point> {
  const { value, gradient, magnitude = Math.abs(value), bend } = yield* f(u);
  if (!Number.isFinite(value)) throw new ValueError(`The function to be maximised is ${value}.`);
  const bad = gradient.findIndex((entry) => !Number.isFinite(entry));
  if (bad >= 0) throw new ValueError(`The gradient of the function to be maximised has ${gradient[bad]} at [${bad}].`);
  return { u, value, gradient: gradient.slice(), magnitude, bend: bend?.slice() };
}

const clip = (x: number, i: number, { lower, upper }: Box): number => Math.min(Math.max(x, lower[i]), upper[i]);

/** Whether a bound stops coordinate i at u that is to move this way. */
function stopped(u: number, i: number, way: number, { lower, upper }: Box): boolean {
  return way > 0 ? u >= upper[i] : way < 0 && u <= lower[i];
}

function projectedGradient({ u, gradient }: Point, box: Box): Float64Array {
  return gradient.map((entry, i) => (stopped(u[i], i, entry, box) ? 0 : entry));
}

function largest(values: Float64Array): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) most = Math.max(most, Math.abs(values[i]));
  return most;
}

function add(to: Float64Array, factor: number, values: Float64Array): void {
  for (let i = 0; i < to.length; i++) to[i] += factor * values[i];
}

/** A direction of ascent: L-BFGS's two loops over the pairs, on the coordinates that no bound stops. */
function direction(pairs: Pair[], { u, gradient, bend }: Point, projected: Float64Array, box: Box): Float64Array {
  const rests = gradient.map((entry, i) => (stopped(u[i], i, entry, box) ? 1 : 0));
  const bound = rests.includes(1);
  const free = (values: Float64Array) => (bound ? values.map((value, i) => (rests[i] ? 0 : value)) : values);
  const used: { s: Float64Array; y: Float64Array; product: number; a: number }[] = [];
  const d = projected.slice();
  for (const pair of pairs.toReversed()) {
    const s = free(pair.s);
    const y = free(pair.y);
    const product = dot(s, y);
    // Pairs were taken along all coordinates; on the free ones alone they may say nothing.
    if (!(product > 1e-14 * dot(y, y) && product > 0)) continue;
    const a = dot(s, d) / product;
    add(d, -a, y);
    used.push({ s, y, product, a });
  }
  if (bend !== undefined) {
    // No coordinate moves further by its own slope alone.
    for (let i = 0; i < d.length; i++) d[i] /= Math.max(bend[i], Math.abs(gradient[i]) / FAR_ALONE, Number.MIN_VALUE);
  } else if (used.length > 0) {
    const scale = used[0].product / dot(used[0].y, used[0].y);
    for (let i = 0; i < d.length; i++) d[i] *= scale;
  }
  for (const { s, y, product, a } of used.toReversed()) add(d, a - dot(y, d) / product, s);
  for (let i = 0; i < d.length; i++) if (stopped(u[i], i, d[i], box)) d[i] = 0;
  const slope = dot(d, projected);
  if (slope > 0 && Number.isFinite(slope)) return d;
  pairs.length = 0;
  return projected;
}

/** Adds the pair of a step where f is concave along it, and forgets the oldest. */
function remember(pairs: Pair[], here: Point, there: Point, memory: number): void {
  const s = there.u.map((x, i) => x - here.u[i]);
  const y = here.gradient.map((entry, i) => entry - there.gradient[i]);
  if (!(dot(s, y) > 0)) return;
  pairs.push({ s, y });
  if (pairs.length > memory) pairs.shift();
}

/**
 * A point on the projection of u + t d that satisfies Armijo's and Wolfe's conditions, or else the highest one met that
 * satisfies Armijo's. A bracket of t is narrowed by the secant of the slopes. Undefined where there is none.
 */
function* search(
  at: (u: Float64Array) => Steps<Point>,
  here: Point,
  d: Float64Array,
  first: number,
  best: number,
  box: Box,
): Steps<Point | undefined> {
  const slope0 = dot(here.gradient, d);
  const rounding = ROUNDING * Math.max(1, Math.abs(best), here.magnitude);
  let [low, lowSlope, high, highSlope] = [0, slope0, Number.POSITIVE_INFINITY, Number.NaN];
  const longest = LONGEST / largest(d);
  let found: Point | undefined;
  let t = Math.min(first, longest);
  for (let trial = 0; trial < TRIALS; trial++) {
    const u = here.u.map((x, i) => clip(x + t * d[i], i, box));
    const there = yield* attempt(at, u);
    let next = 4 * t;
    let tooFar = true;
    if (there === undefined) {
      highSlope = Number.NaN;
    } else {
      const gain = there.value - here.value;
      let promised = 0;
      let slope = 0;
      for (let i = 0; i < u.length; i++) {
        promised += here.gradient[i] * (u[i] - here.u[i]);
        if (!stopped(u[i], i, d[i], box)) slope += there.gradient[i] * d[i];
      }
      const steep = slope > FLATTER * slope0;
      if (Math.abs(gain) <= rounding) {
        // The values cannot tell; the slopes can.
        const flat = Math.abs(slope) <= FLATTER * slope0;
        if ((flat || (steep && t >= longest)) && there.value >= best - rounding) return there;
        tooFar = !steep;
      } else if (gain > 0 && promised > 0 && gain >= GAIN * promised) {
        if (!steep || t >= longest) return there;
        if (found === undefined || there.value > found.value) found = there;
        tooFar = false;
      }
      if (tooFar) {
        highSlope = slope;
      } else {
        const secant = t + ((t - low) * slope) / (lowSlope - slope);
        next = lowSlope > slope ? Math.min(Math.max(secant, 2 * t), 10 * t) : 10 * t;
        [low, lowSlope] = [t, slope];
      }
    }
    if (tooFar) high = t;
    if (high < Number.POSITIVE_INFINITY) {
      const part = highSlope < 0 ? lowSlope / (lowSlope - highSlope) : 0.3;
      next = low + (high - low) * Math.min(Math.max(part, 0.1), 0.9);
    }
    t = Math.min(next, longest);
  }
  return found;
}

/** The point, or undefined where f throws or is not finite. */
function* attempt(at: (u: Float64Array) => Steps<Point>, u: Float64Array): Steps<Point | undefined> {
  try {
    return yield* at(u);
  } catch {
    return undefined;
  }
}
