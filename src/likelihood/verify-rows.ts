// Whether the functions of a likelihood of rows belong together, in numbers: derivatives against differences, and what is said
// of targets against draws.

import { Random } from "../array/random.ts";
import { OptionError, ValueError } from "../errors.ts";
import { informationRoot } from "./observed.ts";
import { checkTargets } from "./of-numbers.ts";
import type { Row, RowLikelihood } from "./plain.ts";
import { checkFunctions, derivativeOf, STANDARD_ERRORS, text } from "./verify.ts";

/** How many rows of outputs it is asked at, and draws at each. */
const ROWS = 5;
const DRAWS = 4000;
/** What draws of more than so much of a sum say nothing of: its tails are too long. */
const DOMINATED = 0.1;
/** Draws near the mean, below which their number says nothing of the density. */
const FEW = 50;
const ROUNDING = 1e-9;

/** @throws OptionError for what is missing or unknown, ValueError for what does not agree */
export function verifyRows(where: string, rule: RowLikelihood): void {
  checkFunctions(where, rule, ["outputs", "numbers"], ["constant", "hessian"]);
  const { outputs: size, numbers = size } = rule;
  const whole = (n: number) => Number.isInteger(n) && n >= 1;
  if (!whole(size) || !whole(numbers) || numbers > size) {
    throw new OptionError(
      `${where}: expected outputs and numbers to be whole, at least 1, and numbers at most outputs, got ${size} and ${numbers}.`,
    );
  }
  const random = new Random(1);
  for (let i = 0; i < ROWS; i++) {
    const f = Float64Array.from({ length: size }, () => random.normal());
    const information = informationAt(where, rule, f);
    const draws = Array.from({ length: DRAWS }, () => {
      const y = new Float64Array(numbers);
      rule.draw(f, random, y);
      return y;
    });
    for (const y of draws) checkTargets(`${where}: draw at f = ${rowText(f)}`, y, rule.targets ?? "reals");
    for (const y of draws.slice(0, 8)) {
      checkGradient(where, rule, f, y, information);
      checkHessian(where, rule, f, y, information);
    }
    checkDraws(where, rule, f, draws, information);
  }
}

const rowText = (row: Row) => `[${Array.from(row, text).join(", ")}]`;

/** Λ at f. @throws ValueError unless it is symmetric, finite and nowhere negative */
function informationAt(where: string, rule: RowLikelihood, f: Row): Row {
  const n = rule.outputs;
  const information = new Float64Array(n * n);
  rule.information(f, information);
  const at = (i: number, j: number) => information[i * n + j];
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      const unit = Math.sqrt(at(i, i) * at(j, j));
      if (at(i, i) >= 0 && Math.abs(at(i, j) - at(j, i)) <= ROUNDING * unit) continue;
      throw new ValueError(
        `${where}: expected the information to be a symmetric matrix [${n}, ${n}] without negative eigenvalues, got ${rowText(information)} at f = ${rowText(f)}. It is the mean over targets, not the second derivatives at one of them.`,
      );
    }
  }
  if (informationRoot(information, n) === undefined) {
    throw new ValueError(
      `${where}: the information ${rowText(information)} at f = ${rowText(f)} has a negative eigenvalue.`,
    );
  }
  return information;
}

function checkHessian(where: string, rule: RowLikelihood, f: Row, y: Row, information: Row): void {
  if (rule.hessian === undefined) return;
  const n = rule.outputs;
  const [value, slope] = [new Float64Array(n * n), new Float64Array(n)];
  rule.hessian(f, y, value);
  const units = Array.from({ length: n }, (_, c) => 1 / Math.sqrt(information[c * n + c] || 1));
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      const gradient = (x: number) => {
        rule.gradient(f.with(j, x), y, slope.fill(0));
        return slope[i] * units[i];
      };
      const found = derivativeOf(gradient, f[j], value[i * n + j] * units[i], units[j], Math.abs(y[0]));
      if (found === undefined) continue;
      throw new ValueError(
        `${where}: the hessian is not the gradient's derivative. At f = ${rowText(f)} and y = ${rowText(y)} differences of the gradient of output ${i} in output ${j} give ${text(found / units[i])}, the hessian ${text(value[i * n + j])}.`,
      );
    }
  }
}

function checkGradient(where: string, rule: RowLikelihood, f: Row, y: Row, information: Row): void {
  const n = rule.outputs;
  const slope = new Float64Array(n);
  rule.gradient(f, y, slope);
  for (let c = 0; c < n; c++) {
    const loss = (x: number) => rule.loss(f.with(c, x), y);
    const found = derivativeOf(loss, f[c], slope[c], 1 / Math.sqrt(information[c * n + c] || 1), Math.abs(y[0]));
    if (found === undefined) continue;
    throw new ValueError(
      `${where}: the gradient is not the loss's derivative. At f = ${rowText(f)} and y = ${rowText(y)} differences of the loss in output ${c} give ${text(found)}, the gradient ${text(slope[c])}.`,
    );
  }
}

function checkDraws(where: string, rule: RowLikelihood, f: Row, draws: readonly Row[], information: Row): void {
  const { outputs: n, numbers = n } = rule;
  const agree = (of: (y: Row, i: number) => number, expected: number, unit: number, what: string) => {
    const values = draws.map(of);
    const squares = values.map((x) => (x - expected) ** 2);
    const total = squares.reduce((a, b) => a + b, 0);
    const mean = values.reduce((a, b) => a + b, 0) / DRAWS;
    // Of tails so long that a few draws are all, a mean of draws says nothing.
    if (!Number.isFinite(expected) || Math.max(...squares) > DOMINATED * total + 1e-300) return;
    if (Math.abs(mean - expected) <= (STANDARD_ERRORS * Math.sqrt(total)) / DRAWS + 0.01 * unit) return;
    throw new ValueError(
      `${where}: at targets drawn at f = ${rowText(f)} ${what} is ${text(mean)}; it should be ${text(expected)}. Draws, density and what is said of them do not agree.`,
    );
  };
  const slopes = draws.map((y) => {
    const slope = new Float64Array(n);
    rule.gradient(f, y, slope);
    return slope;
  });
  for (let i = 0; i < n; i++) {
    agree((_, k) => slopes[k][i], 0, 0, `the mean gradient of output ${i}`);
    for (let j = 0; j <= i; j++) {
      const unit = Math.sqrt(information[i * n + i] * information[j * n + j]);
      const what = `the mean of gradient × gradient of outputs ${i} and ${j}, the information,`;
      agree((_, k) => slopes[k][i] * slopes[k][j], information[i * n + j], unit, what);
    }
  }
  const [mean, variance] = [new Float64Array(numbers), new Float64Array(numbers)];
  rule.mean(f, mean);
  rule.variance(f, variance);
  for (let c = 0; c < numbers; c++) {
    agree((y) => y[c], mean[c], 0, `the mean of number ${c}`);
    agree((y) => (y[c] - mean[c]) ** 2, variance[c], variance[c], `the variance of number ${c}`);
  }
  checkDensity(where, rule, f, draws, mean, variance);
}

/** The mean of 1 / density over draws within a box is the box's volume, of counts the number of its points. */
function checkDensity(where: string, rule: RowLikelihood, f: Row, draws: readonly Row[], mean: Row, variance: Row) {
  const counts = rule.targets === "counts";
  const least = rule.targets === undefined || rule.targets === "reals" ? Number.NEGATIVE_INFINITY : 0;
  const bounds = Array.from(mean, (m, c) => {
    const spread = Number.isFinite(variance[c]) && variance[c] > 0 ? Math.sqrt(variance[c]) : 1;
    const [low, high] = [Math.max(least, m - spread), m + spread];
    return counts ? { low: Math.ceil(low), high: Math.floor(high) } : { low, high };
  });
  const volume = bounds.reduce((product, { low, high }) => product * (high - low + (counts ? 1 : 0)), 1);
  if (!(volume > 0)) return;
  const values = draws.map((y) => {
    if (!bounds.every(({ low, high }, c) => y[c] >= low && y[c] <= high)) return 0;
    return Math.exp(rule.loss(f, y) + (rule.constant?.(y) ?? 0)) / volume;
  });
  if (values.filter((x) => x > 0).length < FEW) return;
  const share = values.reduce((a, b) => a + b, 0) / DRAWS;
  const error = Math.sqrt(values.reduce((a, b) => a + (b - share) ** 2, 0)) / DRAWS;
  if (Math.abs(share - 1) <= STANDARD_ERRORS * error + 0.01) return;
  throw new ValueError(
    `${where}: at f = ${rowText(f)} targets are drawn ${text(share)} times as often as the density e^(−loss − constant) says. What the loss leaves out belongs in constant(y).`,
  );
}
