// Whether the functions of a likelihood belong together, in numbers: derivatives against differences, and what is said of
// targets against integrals over the density.

import { Random } from "../array/random.ts";
import { checkChoice, OptionError, ValueError } from "../errors.ts";
import { checkTargets } from "./of-numbers.ts";
import type { NumberLikelihood, TargetNumbers } from "./plain.ts";

/** Outputs at which it is asked. */
const OUTPUTS = [-2.1, -0.9, 0.3, 1.2, 2.3];
/** Steps of differences, in natural units of the output: one has to agree. */
const STEPS = [1e-2, 1e-3, 1e-4, 1e-5];
const DIFFERENCE = 1e-6;
/** Integrals are as good as this also where the density has a corner. */
const INTEGRAL = 3e-4;
const DRAWS = 4000;
/** Beyond so many standard errors draws are not chance. */
export const STANDARD_ERRORS = 6;
/** Counts at most. */
const MOST_COUNTS = 100_000;

const needed = ["loss", "gradient", "information", "draw", "mean", "variance"] as const;
/** @throws OptionError for what is missing or unknown, ValueError for what does not agree */
export function verify(where: string, rule: NumberLikelihood): void {
  checkFunctions(where, rule, [], ["constant", "moments", "hessian"]);
  for (const f of OUTPUTS) {
    const information = rule.information(f);
    if (!(information >= 0 && information < Number.POSITIVE_INFINITY)) {
      throw new ValueError(
        `${where}: expected information to be at least 0 and finite, got ${information} at f = ${f}. It is the mean over targets, not the second derivative at one of them.`,
      );
    }
    const random = new Random(1);
    const draws = Float64Array.from({ length: DRAWS }, () => rule.draw(f, random));
    checkTargets(`${where}: draw at f = ${f}`, draws, rule.targets ?? "reals");
    for (const y of draws.subarray(0, 8)) {
      checkGradient(where, rule, f, y);
      checkHessian(where, rule, f, y);
    }
    checkDraws(where, rule, f, draws, checkIntegrals(where, rule, f));
  }
}

/**
 * @param values names of what else there is, @param optional of functions that may be missing
 * @throws OptionError for what is missing or unknown
 */
export function checkFunctions(
  where: string,
  rule: object,
  values: readonly string[],
  optional: readonly string[],
): void {
  if (rule === null || typeof rule !== "object") {
    throw new OptionError(`${where}: expected an object of functions, got ${rule === null ? "null" : typeof rule}.`);
  }
  const given = rule as Readonly<Record<string, unknown>>;
  const known: readonly string[] = [...needed, "targets", "curvature", ...optional, ...values];
  for (const name of Object.keys(rule)) {
    if (!known.includes(name)) {
      throw new OptionError(`${where}: unknown function "${name}"; a likelihood has ${known.join(", ")}.`);
    }
  }
  for (const name of [...needed, ...optional]) {
    if (typeof given[name] === "function" || (optional.includes(name) && given[name] === undefined)) continue;
    throw new OptionError(`${where}: expected a function ${name}, got ${typeof given[name]}.`);
  }
  const kinds: readonly unknown[] = ["reals", "positives", "counts"] satisfies TargetNumbers[];
  if (given.targets !== undefined && !kinds.includes(given.targets)) {
    throw new OptionError(`${where}: expected targets to be "reals", "positives" or "counts", got "${given.targets}".`);
  }
  const { curvature = "expected", hessian } = given;
  checkChoice(where, "curvature", curvature, ["expected", "observed"]);
  if (curvature === "observed" && hessian === undefined) {
    throw new OptionError(
      `${where}: curvature: "observed" needs a function hessian, which gives ∂² loss / ∂f² at a target.`,
    );
  }
}

export const text = (x: number) => String(Number(x.toPrecision(6)));

function checkDraws(where: string, rule: NumberLikelihood, f: number, draws: Float64Array, inner: number): void {
  const slopes = draws.map((y) => rule.gradient(f, y));
  const within = (values: Float64Array, expected: number, what: string) => {
    const mean = values.reduce((a, b) => a + b, 0) / DRAWS;
    const error = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0)) / DRAWS;
    // Integrals end between two targets of a rule.
    if (Math.abs(mean - expected) <= STANDARD_ERRORS * error + 0.01 * Math.abs(expected)) return;
    throw new ValueError(
      `${where}: draw and density do not agree. At targets drawn at f = ${f} ${what} is ${text(mean)}; it should be ${text(expected)}.`,
    );
  };
  within(slopes, 0, "the mean gradient");
  within(
    slopes.map((x) => x * x),
    rule.information(f),
    "the mean of gradient², the information,",
  );
  within(
    draws.map((y) => (isInner(rule, f, y) ? 1 : 0)),
    inner,
    "the share within a standard deviation of the mean",
  );
}

function checkGradient(where: string, rule: NumberLikelihood, f: number, y: number): void {
  const slope = rule.gradient(f, y);
  const unit = 1 / Math.sqrt(rule.information(f) || 1);
  const found = derivativeOf((x) => rule.loss(x, y), f, slope, unit, Math.abs(y));
  if (found === undefined) return;
  throw new ValueError(
    `${where}: the gradient is not the loss's derivative. At f = ${f} and y = ${text(y)} differences of the loss give ${text(found)}, the gradient ${text(slope)}.`,
  );
}

function checkHessian(where: string, rule: NumberLikelihood, f: number, y: number): void {
  if (rule.hessian === undefined) return;
  const value = rule.hessian(f, y);
  const unit = 1 / Math.sqrt(rule.information(f) || 1);
  const found = derivativeOf((x) => rule.gradient(x, y) * unit, f, value * unit, unit, Math.abs(y));
  if (found === undefined) return;
  throw new ValueError(
    `${where}: the hessian is not the gradient's derivative. At f = ${f} and y = ${text(y)} differences of the gradient give ${text(found / unit)}, the hessian ${text(value)}.`,
  );
}

/**
 * Undefined where the slope is the loss's derivative at x, otherwise what differences give.
 * @param unit of x @param size of targets
 */
export function derivativeOf(
  loss: (x: number) => number,
  x: number,
  slope: number,
  unit: number,
  size: number,
): number | undefined {
  let found = Number.NaN;
  for (const step of STEPS) {
    const h = step * unit;
    const at = (k: number) => loss(x + k * h);
    const difference = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h);
    // Of outputs much larger than their unit, rounding leaves less.
    const tolerance = DIFFERENCE + (2 ** -48 * (Math.abs(x) + size)) / h;
    if (Math.abs(difference - slope) * unit <= tolerance * (1 + Math.abs(slope) * unit)) return undefined;
    found = difference;
  }
  return found;
}

/** Calls `visit` with targets and their weights, which make sums of integrals over all targets. */
function eachTarget(rule: NumberLikelihood, f: number, visit: (y: number, weight: number) => void): void {
  const { targets = "reals" } = rule;
  const [mean, spread] = [rule.mean(f), spreadOf(rule, f)];
  if (targets === "counts") {
    const most = Math.min(MOST_COUNTS, Math.ceil(mean + 60 * spread + 100));
    for (let y = 0; y <= most; y++) visit(y, 1);
    return;
  }
  // Double exponential rules: of tails nothing is cut off.
  const h = 1 / 128;
  const end = targets === "reals" ? 4 : 5;
  for (let t = -end; t <= end; t += h) {
    const x = 0.5 * Math.PI * Math.sinh(t);
    const slope = 0.5 * Math.PI * Math.cosh(t) * h;
    if (targets === "reals") visit(mean + spread * Math.sinh(x), spread * Math.cosh(x) * slope);
    else visit(mean * Math.exp(x), mean * Math.exp(x) * slope);
  }
}

/** Whether a target is within a standard deviation of the mean, or a unit where that is infinite. */
const isInner = (rule: NumberLikelihood, f: number, y: number): boolean =>
  Math.abs(y - rule.mean(f)) <= spreadOf(rule, f);

function spreadOf(rule: NumberLikelihood, f: number): number {
  const variance = rule.variance(f);
  if (Number.isFinite(variance) && variance > 0) return Math.sqrt(variance);
  return 1 / Math.sqrt(rule.information(f) || 1);
}

/** Checks what is said of targets, and gives the probability of those within a standard deviation. */
function checkIntegrals(where: string, rule: NumberLikelihood, f: number): number {
  const [mean, variance, information] = [rule.mean(f), rule.variance(f), rule.information(f)];
  let [whole, slopes, squares, first, second, inner] = [0, 0, 0, 0, 0, 0];
  eachTarget(rule, f, (y, weight) => {
    const density = weight * Math.exp(-rule.loss(f, y) - (rule.constant?.(y) ?? 0));
    // Far out, where the density is 0 in floating point, other functions may overflow.
    if (density === 0) return;
    whole += density;
    slopes += density * rule.gradient(f, y);
    squares += density * rule.gradient(f, y) ** 2;
    first += density * (y - mean);
    second += density * (y - mean) ** 2;
    if (isInner(rule, f, y)) inner += density;
  });
  const agree = (found: number, expected: number, unit: number, what: string, advice: string) => {
    if (Math.abs(found - expected) <= INTEGRAL * unit || !Number.isFinite(expected)) return;
    throw new ValueError(`${where}: at f = ${f} ${what} is ${text(found)}; it should be ${text(expected)}. ${advice}`);
  };
  const over = "over all targets, by the density e^(−loss − constant),";
  agree(whole, 1, 1, `the integral ${over}`, "What the loss leaves out belongs in constant(y).");
  agree(slopes, 0, Math.sqrt(information) || 1, `the mean gradient ${over}`, "What depends on f belongs in the loss.");
  agree(squares, information, information || 1, `the mean of gradient² ${over}`, "Is that the information?");
  if (!Number.isFinite(variance)) return inner;
  const spread = Math.sqrt(variance) || 1;
  agree(mean + first, mean, spread, `the mean ${over}`, "Is mean(f) that of targets at f?");
  agree(second, variance, variance || 1, `the variance ${over}`, "Is variance(f) that of targets at f?");
  return inner;
}
