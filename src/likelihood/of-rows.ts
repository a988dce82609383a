// The adapter that runs plain functions of rows as a likelihood, in the kernels' memory.

import { inType } from "../array/arguments.ts";
import { dot } from "../array/dot.ts";
import { asArray, NDArray, sameShape, shapeText, sizeOf } from "../array/ndarray.ts";
import { ShapeError } from "../errors.ts";
import { bytesPerElement, inMemory } from "../kernels/memory.ts";
import { mse } from "../losses/losses.ts";
import type { Outputs } from "../network/part-outputs.ts";
import { peakPointsOf, pointsOf } from "./cubature.ts";
import { noHyper } from "./hyper.ts";
import { type FunctionDistribution, type Likelihood, type LikelihoodEntry, likelihoodOf } from "./likelihood.ts";
import { semidefiniteRoot } from "./logit-draws.ts";
import { observedRowRoot } from "./observed.ts";
import { checkTargets } from "./of-numbers.ts";
import type { Row, RowLikelihood } from "./plain.ts";

/** Mean and variances of each number of a target. */
interface RowMoments {
  readonly mean: Row;
  readonly aleatoric: Row;
  readonly epistemic: Row;
}

/** What built-in likelihoods know besides. */
interface Known {
  /** Over f ~ N(m, V), in closed form. */
  moments?(m: Row, covariance: Row | undefined): RowMoments;
  /** Whether predicted targets count as normal. */
  readonly normal?: boolean;
}

/** The likelihood whose rows of outputs each follow the rule. */
export function ofRows<Kind extends "numbers" | "varying" = "numbers">(
  name: string,
  rule: RowLikelihood,
  entry: LikelihoodEntry,
  { moments = (m, covariance) => momentsByPoints(rule, m, covariance), normal = false }: Known = {},
): Likelihood<Kind> {
  const { outputs: size, numbers = size, targets: kind = "reals" } = rule;
  const observed = rule.curvature === "observed";
  const constantOf = (y: Row) => rule.constant?.(y) ?? 0;
  const [f, y, slope] = [new Float64Array(size), new Float64Array(numbers), new Float64Array(size)];
  const square = new Float64Array(size * size);
  const targetShape = (shape: readonly number[]) =>
    numbers === size ? shape : [...shape.slice(0, -1), ...(numbers === 1 ? [] : [numbers])];

  /** Λ at a row. */
  const information = (at: Row): Row => {
    rule.information(at, square.fill(0));
    return square;
  };

  /** Visits the rows of outputs, whose values are in `f` then, by their number and where they begin in the memory. */
  const eachRow = (outputs: Outputs, memory: ArrayLike<number>, visit: (row: number, at: number) => void) => {
    const start = outputs.f / bytesPerElement(outputs.dtype);
    for (let row = 0; row < (outputs.batch * outputs.outputs) / size; row++) {
      const at = row * size;
      for (let c = 0; c < size; c++) f[c] = memory[start + at + c];
      visit(row, at);
    }
  };

  /** Visits the rows of a distribution: m in `f`, and V, undefined where it is 0. */
  const eachMean = (part: FunctionDistribution, visit: (row: number, covariance: Row | undefined) => void) => {
    const { mean, covariance } = part;
    for (let row = 0; row < mean.length / size; row++) {
      f.set(mean.subarray(row * size, (row + 1) * size));
      visit(row, covariance?.subarray(row * size * size, (row + 1) * size * size));
    }
  };

  /** Mean and variances of the targets of all rows. */
  const momentsOf = (part: FunctionDistribution) => {
    const [mean, aleatoric, epistemic] = [0, 1, 2].map(() => new Float64Array((part.mean.length / size) * numbers));
    eachMean(part, (row, covariance) => {
      const found = moments(f, covariance);
      mean.set(found.mean, row * numbers);
      aleatoric.set(found.aleatoric, row * numbers);
      epistemic.set(found.epistemic, row * numbers);
    });
    return { mean, aleatoric, epistemic, total: aleatoric.map((x, i) => x + epistemic[i]) };
  };

  const made = likelihoodOf<"numbers" | "varying">({
    name,
    targets: "numbers",
    normal,
    hyper: noHyper,
    links: ["exact", "plugin"],
    needs: (link) => (link === "plugin" ? "mean" : "covariance"),
    entry,
    checkNetwork(where, net) {
      const { outputShape } = net;
      if (outputShape[outputShape.length - 1] === size) return;
      throw new ShapeError(
        `${where}: the likelihood "${name}" takes rows of ${size} outputs, but the network's output has shape ${shapeText(outputShape)}; its last axis must be ${size}.`,
      );
    },
    elementShape: (shape) => shape.slice(0, -1),
    counted: (_, targets) => targets.length / size,
    readTargets(where, targets, shape, dtype) {
      if (numbers === size) {
        const t = mse.rule.readTargets(where, targets, shape, dtype);
        checkTargets(where, t.data, kind);
        return t;
      }
      const given = asArray(targets);
      const expected = targetShape(shape);
      // A single number may have an axis of its own.
      if (!sameShape(given.shape, expected) && !sameShape(given.shape, [...shape.slice(0, -1), numbers])) {
        throw new ShapeError(
          `${where}: the targets have shape ${shapeText(given.shape)}; expected ${shapeText(expected)} for outputs ${shapeText(shape)}, ${numbers} number${numbers === 1 ? "" : "s"} for each ${size} outputs.`,
        );
      }
      const { data } = inType(where, "y", given, dtype);
      checkTargets(where, data, kind);
      const padded = new Float64Array(sizeOf(shape));
      for (let i = 0; i < data.length; i++) padded[Math.floor(i / numbers) * size + (i % numbers)] = data[i];
      return new NDArray(padded, shape).as(dtype);
    },
    elements(outputs, targets, to) {
      const start = targets / bytesPerElement(outputs.dtype);
      inMemory(outputs.dtype, (memory) =>
        inMemory("float64", (elements) =>
          eachRow(outputs, memory, (row, at) => {
            for (let c = 0; c < numbers; c++) y[c] = memory[start + at + c];
            elements[to / 8 + row] = rule.loss(f, y);
          }),
        ),
      );
    },
    gradient(outputs, targets, scale, to) {
      const bytes = bytesPerElement(outputs.dtype);
      inMemory(outputs.dtype, (memory) =>
        eachRow(outputs, memory, (_, at) => {
          for (let c = 0; c < numbers; c++) y[c] = memory[targets / bytes + at + c];
          rule.gradient(f, y, slope.fill(0));
          for (let c = 0; c < size; c++) memory[to / bytes + at + c] = scale * slope[c];
        }),
      );
    },
    group: () => ({ size, step: 1 }),
    rootColumns: sizeOf,
    observed,
    root(outputs, { first, count }, to, targets) {
      const { kernels, dtype, batch, outputs: width } = outputs;
      kernels.fill(count * batch * width, 0, to);
      const [start, t] = [to, targets].map((from) => from / bytesPerElement(dtype));
      inMemory(dtype, (memory) =>
        eachRow(outputs, memory, (_, at) => {
          const [b, offset] = [Math.floor(at / width), at % width];
          if (offset + size <= first || offset >= first + count) return;
          for (let c = 0; c < numbers && observed; c++) y[c] = memory[t + at + c];
          const root = observed ? observedRowRoot(name, rule, f, y, square) : semidefiniteRoot(information(f), size);
          for (let j = 0; j < size; j++) {
            const k = offset + j - first;
            if (k < 0 || k >= count) continue;
            for (let i = j; i < size; i++) memory[start + (k * batch + b) * width + offset + i] = root[i * size + j];
          }
        }),
      );
    },
    curve:
      rule.hessian &&
      ((outputs, targets, tangent, to) => {
        const [t, from, start] = [targets, tangent, to].map((one) => one / bytesPerElement(outputs.dtype));
        inMemory(outputs.dtype, (memory) =>
          eachRow(outputs, memory, (_, at) => {
            for (let c = 0; c < numbers; c++) y[c] = memory[t + at + c];
            rule.hessian?.(f, y, square.fill(0));
            for (let i = 0; i < size; i++) {
              let sum = 0;
              for (let j = 0; j < size; j++) sum += square[i * size + j] * memory[from + at + j];
              memory[start + at + i] = sum;
            }
          }),
        );
      }),
    drawColumn(outputs, draws, to) {
      const start = to / bytesPerElement(outputs.dtype);
      const { outputs: width } = outputs;
      inMemory(outputs.dtype, (memory) => {
        let random = draws(0);
        eachRow(outputs, memory, (_, at) => {
          if (at % width === 0) random = draws(at / width);
          rule.draw(f, random, y.fill(0));
          rule.gradient(f, y, slope.fill(0));
          for (let c = 0; c < size; c++) memory[start + at + c] = slope[c];
        });
      });
    },
    constant({ data }) {
      let sum = 0;
      for (let at = 0; at < data.length; at += size) {
        for (let c = 0; c < numbers; c++) y[c] = data[at + c];
        sum += constantOf(y);
      }
      return sum;
    },
    information: () => Number.NaN,
    rows: {
      numbers,
      targetShape,
      logDensities(targets, part) {
        const result = new Float64Array(part.mean.length / size);
        eachMean(part, (row, covariance) => {
          y.set(targets.subarray(row * numbers, (row + 1) * numbers));
          result[row] = logMixture(rule, y, f, covariance) - constantOf(y);
        });
        return result;
      },
      informations(part) {
        const result = new Float64Array(part.mean.length / size);
        eachMean(part, (row, covariance) => {
          if (covariance !== undefined) result[row] = dot(information(f), covariance);
        });
        return result;
      },
      baseline(targets) {
        const rows = Array.from({ length: targets.length / numbers }, (_, i) =>
          targets.slice(i * numbers, (i + 1) * numbers),
        );
        const best = bestRow(rule, rows);
        return Float64Array.from(rows, (row) => rule.loss(best, row) + constantOf(row));
      },
    },
    uncertainty(part) {
      const { total, aleatoric, epistemic } = momentsOf(part);
      return { total, aleatoric, epistemic };
    },
    // That of rows is in `rows`.
    baseline: { numbers: size, words: "one constant row of outputs", fit: () => () => Number.NaN },
    target(_, part) {
      const { mean, total: variance } = momentsOf(part);
      return { mean, variance };
    },
    targetAt(values) {
      const { mean, aleatoric: variance } = momentsOf({
        batch: 1,
        outputs: values.length,
        mean: values,
        variance: values,
      });
      return { mean, variance };
    },
  });
  return made as Likelihood<Kind>;
}

/** Writes m + L z, of a lower triangular L. */
function moved(m: Row, root: Row, z: Row, to: Row): void {
  const n = m.length;
  for (let i = 0; i < n; i++) {
    to[i] = m[i];
    for (let j = 0; j <= i; j++) to[i] += root[i * n + j] * z[j];
  }
}

/** Mean and variance of targets, over f ~ N(m, V), by the law of total variance; of each number. */
function momentsByPoints(rule: RowLikelihood, m: Row, covariance: Row | undefined): RowMoments {
  const { outputs: size, numbers = size } = rule;
  const [mean, aleatoric, epistemic] = [0, 1, 2].map(() => new Float64Array(numbers));
  if (covariance === undefined || covariance.every((v) => v === 0)) {
    rule.mean(m, mean);
    rule.variance(m, aleatoric);
    return { mean, aleatoric, epistemic };
  }
  const root = semidefiniteRoot(covariance, size);
  const { count, z, weights } = pointsOf(size);
  const [f, value] = [new Float64Array(size), new Float64Array(numbers)];
  const means = new Float64Array(count * numbers);
  for (let i = 0; i < count; i++) {
    moved(m, root, z.subarray(i * size, (i + 1) * size), f);
    rule.mean(f, value.fill(0));
    means.set(value, i * numbers);
    for (let c = 0; c < numbers; c++) mean[c] += weights[i] * value[c];
    rule.variance(f, value.fill(0));
    for (let c = 0; c < numbers; c++) aleatoric[c] += weights[i] * value[c];
  }
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < numbers; c++) epistemic[c] += weights[i] * (means[i * numbers + c] - mean[c]) ** 2;
  }
  return { mean, aleatoric, epistemic };
}

/**
 * log ∫ e^(−loss(f, y)) N(f; m, V) df. With f = m + L z it is an integral over a standard normal z; points lie around the peak
 * of the product, as wide as it is there (adaptive quadrature; Pinheiro & Bates 1995).
 */
function logMixture(rule: RowLikelihood, y: Row, m: Row, covariance: Row | undefined): number {
  const n = rule.outputs;
  if (covariance === undefined || covariance.every((v) => v === 0)) return -rule.loss(m, y);
  const root = semidefiniteRoot(covariance, n);
  const [f, slope, information] = [new Float64Array(n), new Float64Array(n), new Float64Array(n * n)];
  const minusLog = (z: Row) => {
    moved(m, root, z, f);
    return rule.loss(f, y) + 0.5 * dot(z, z);
  };
  /** R, lower triangular, with R Rᵀ = I + Lᵀ Λ L at z. */
  const widthAt = (z: Row): Row => {
    moved(m, root, z, f);
    rule.information(f, information.fill(0));
    const precision = new Float64Array(n * n);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        let sum = i === j ? 1 : 0;
        for (let a = i; a < n; a++) {
          for (let b = j; b < n; b++) sum += root[a * n + i] * information[a * n + b] * root[b * n + j];
        }
        precision[i * n + j] = sum;
      }
    }
    return semidefiniteRoot(precision, n);
  };
  // The peak, by Fisher scoring.
  let peak: Row = new Float64Array(n);
  let width = widthAt(peak);
  for (let step = 0; step < 50; step++) {
    moved(m, root, peak, f);
    rule.gradient(f, y, slope.fill(0));
    const g = peak.map((x, i) => {
      let sum = x;
      for (let a = i; a < n; a++) sum += root[a * n + i] * slope[a];
      return sum;
    });
    const move = solve(width, solve(width, g, false), true);
    const before = minusLog(peak);
    let share = 1;
    while (share > 1e-6 && !(minusLog(peak.map((x, i) => x - share * move[i])) <= before)) share /= 2;
    if (share <= 1e-6) break;
    peak = peak.map((x, i) => x - share * move[i]);
    width = widthAt(peak);
    if (dot(move, g) < 1e-8) break;
  }
  const { count, x: points, logs: weights } = peakPointsOf(n);
  const logs = Float64Array.from({ length: count }, (_, i) => {
    const z = solve(width, points.subarray(i * n, (i + 1) * n), true).map((step, c) => peak[c] + step);
    return weights[i] - minusLog(z);
  });
  const top = logs.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  let log = top - 0.5 * n * Math.log(2 * Math.PI) + Math.log(logs.reduce((sum, one) => sum + Math.exp(one - top), 0));
  for (let i = 0; i < n; i++) log -= Math.log(width[i * n + i]);
  return log;
}

/** R⁻¹ b, or R⁻ᵀ b, of a lower triangular R. */
function solve(root: Row, b: Row, transposed: boolean): Row {
  const n = b.length;
  const x = b.slice();
  for (let step = 0; step < n; step++) {
    const i = transposed ? n - 1 - step : step;
    for (let k = 0; k < step; k++) {
      const j = transposed ? n - 1 - k : k;
      x[i] -= (transposed ? root[j * n + i] : root[i * n + j]) * x[j];
    }
    x[i] /= root[i * n + i];
  }
  return x;
}

/** The row of outputs that fits all targets best, from 0 on, by Fisher scoring. */
function bestRow(rule: RowLikelihood, targets: readonly Row[]): Row {
  const n = rule.outputs;
  let best: Row = new Float64Array(n);
  const loss = (f: Row) => targets.reduce((sum, y) => sum + rule.loss(f, y), 0) / targets.length;
  const [slope, one, information] = [new Float64Array(n), new Float64Array(n), new Float64Array(n * n)];
  for (let i = 0; i < 200; i++) {
    slope.fill(0);
    for (const y of targets) {
      rule.gradient(best, y, one.fill(0));
      for (let c = 0; c < n; c++) slope[c] += one[c] / targets.length;
    }
    rule.information(best, information.fill(0));
    const root = semidefiniteRoot(information, n);
    for (let c = 0; c < n; c++) root[c * n + c] ||= 1;
    const move = solve(root, solve(root, slope, false), true);
    const before = loss(best);
    let share = 1;
    while (share > 1e-12 && !(loss(best.map((x, c) => x - share * move[c])) < before)) share /= 2;
    if (share <= 1e-12) break;
    best = best.map((x, c) => x - share * move[c]);
  }
  return best;
}
