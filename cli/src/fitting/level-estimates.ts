// Effects of levels on an output: a model of random effects (Laird & Ware 1982) beside a linear one, whose deviations the evidence
// chooses. Sums over the rows of each level are enough for it, so nothing has the size of rows × levels (Woodbury); what does not
// depend on the output is done once.

import { cholesky, einsum, NDArray, type Steps } from "laplace-ts";

/** Ratios of the noise's variance to that of effects that are tried, the largest first; at infinity there are none. */
const RATIOS = [1000, 300, 100, 30, 10, 3, 1, 0.3, 0.1, 0.03, 0.01] as const;
/** Ratios of the noise's variance to that of the other inputs' weights. */
const RIDGES = [1, 10, 100] as const;
/** Nats of all rows together by which effects must be better than none: beyond what chance gives one of a hundred columns. */
const WORTH = 2.7;
/** Numbers of a design that are kept: of more each row is computed whenever it is needed. */
const MOST_KEPT = 2 ** 23;
/** Multiplications of a step, some tens of milliseconds, and what a turn costs beside its own. */
const [STEP_WORK, TURN] = [2 ** 24, 64];

/** Rows of levels: of each row the place of its level, −1 where there is none. */
export interface LeveledRows {
  readonly level: Int32Array;
  readonly levels: number;
}

/** Φ, [rows, width], row by row. */
export interface Design {
  readonly width: number;
  write(row: number, into: Float64Array): void;
}

/** Sums over rows of a design that effects of all columns and on all outputs share. */
export interface DesignSums {
  readonly design: Design;
  /** Rows that choose λ, κ and β. */
  readonly places: readonly number[];
  /** How much each row counts (default: each once), and those of `places` together. */
  readonly weights: ArrayLike<number> | undefined;
  readonly total: number;
  /** ΦᵀΦ, its lower triangle. */
  readonly gram: Float64Array;
}

/** Effects of levels on one output. */
export interface LevelEstimate {
  /** [levels], in units of the output, around 0. */
  readonly effect: Float64Array;
  /** The effect of each row's level by the other rows of the level. */
  readonly without: Float64Array;
  /** Variance of the noise / variance of effects: infinite where levels do not differ beyond chance. */
  readonly ratio: number;
  /** The deviation of effects. */
  readonly deviation: number;
}

/**
 * The sums of a design.
 * @param chosen places of the rows that choose λ, κ and β (default: all)
 */
export function* designSums(
  design: Design,
  rows: number,
  weights?: ArrayLike<number>,
  chosen?: readonly number[],
): Steps<DesignSums> {
  const { width } = design;
  const kept = rows * width <= MOST_KEPT ? yield* matrixOf(design, rows) : design;
  const places = chosen ?? Array.from({ length: rows }, (_, i) => i);
  const row = new Float64Array(width);
  const gram = new Float64Array(width * width);
  const late = pace();
  let total = 0;
  for (const i of places) {
    if (late(width * width)) yield;
    const w = weights?.[i] ?? 1;
    kept.write(i, row);
    total += w;
    for (let a = 0; a < width; a++) {
      const own = w * row[a];
      if (own !== 0) for (let b = 0; b <= a; b++) gram[a * width + b] += own * row[b];
    }
  }
  return { design: kept, places, weights, total, gram };
}

/**
 * What estimates effects of one column's levels on an output: y = Φ β + u_level + noise, u ~ N(0, σ²/λ), β ~ N(0, σ²/κ), by the λ and κ of
 * the greatest evidence. The effects are their means given those; that of a row without itself is (S − w r) / (n − w + λ), S and n the sums
 * of its level over residuals r and weights w. Matrices are those of all outputs.
 */
export function* levelEstimator(
  { design: { width, write }, places, weights, total, gram }: DesignSums,
  { level, levels }: LeveledRows,
): Steps<(y: ArrayLike<number>) => Steps<LevelEstimate>> {
  const row = new Float64Array(width);
  const rows = level.length;
  const weightOf = (i: number) => weights?.[i] ?? 1;
  const late = pace();
  // Sums of each level, [levels, width], and its weight.
  const sums = new Float64Array(levels * width);
  const counts = new Float64Array(levels);
  for (const i of places) {
    if (late(width)) yield;
    const [w, l] = [weightOf(i), level[i]];
    if (l < 0) continue;
    write(i, row);
    counts[l] += w;
    for (let a = 0; a < width; a++) sums[l * width + a] += w * row[a];
  }
  const groups = alikeLevels(counts);
  const matrices = RATIOS.map(() => gram.slice());
  const shareOf = (ratio: number, count: number) => 1 / (count + ratio);
  // Levels whose rows count as much as those of many others share a product; each of the others has one for each ratio.
  const [shared, few] = [true, false].map((is) =>
    groups.filter(({ members }) => members.length > RATIOS.length === is),
  );
  for (const { count, members } of shared) {
    const products = new Float64Array(width * width);
    yield* addProducts(sums, width, members, () => 1, products);
    for (const [r, ratio] of RATIOS.entries()) {
      if (late(width * width)) yield;
      for (let k = 0; k < products.length; k++) matrices[r][k] -= shareOf(ratio, count) * products[k];
    }
  }
  const others = few.flatMap(({ members }) => members);
  for (const [r, ratio] of RATIOS.entries())
    yield* addProducts(sums, width, others, (l) => -shareOf(ratio, counts[l]), matrices[r]);
  const choices = [choiceAt(Number.POSITIVE_INFINITY, gram)];
  for (const [r, ratio] of RATIOS.entries()) {
    yield;
    choices.push(choiceAt(ratio, matrices[r]));
  }
  return estimate;

  /** What evidence at a ratio needs of the design alone. */
  function choiceAt(ratio: number, lower: Float64Array) {
    const finite = ratio < Number.POSITIVE_INFINITY;
    const logs = groups.reduce(
      (sum, { count, members }) => sum + (finite ? members.length * Math.log1p(count / ratio) : 0),
      0,
    );
    const ridges = RIDGES.map((ridge) => {
      const own = new Float64Array(width * width);
      for (let i = 0; i < width; i++) {
        for (let j = 0; j <= i; j++) own[i * width + j] = own[j * width + i] = lower[i * width + j];
        own[i * width + i] += ridge;
      }
      const factor = cholesky(new NDArray(own, [width, width]));
      return { factor, logs: logs + factor.logDeterminant() - width * Math.log(ridge) };
    });
    return { ratio, ridges };
  }

  function* estimate(y: ArrayLike<number>): Steps<LevelEstimate> {
    const right = new Float64Array(width);
    const targets = new Float64Array(levels);
    let square = 0;
    for (const i of places) {
      if (late(width)) yield;
      const own = weightOf(i) * y[i];
      write(i, row);
      square += own * y[i];
      for (let a = 0; a < width; a++) right[a] += own * row[a];
      if (level[i] >= 0) targets[level[i]] += own;
    }
    // Of each group Σ (sum of targets) · (sums of Φ), and Σ (sum of targets)².
    const [crossed, squares] = [new Float64Array(groups.length * width), new Float64Array(groups.length)];
    for (const [g, { members }] of groups.entries()) {
      for (const l of members) {
        if (late(width)) yield;
        squares[g] += targets[l] ** 2;
        for (let a = 0; a < width; a++) crossed[g * width + a] += targets[l] * sums[l * width + a];
      }
    }
    let [none, loss] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    let best = { ratio: Number.POSITIVE_INFINITY, beta: right as Float64Array, variance: 0 };
    for (const { ratio, ridges } of choices) {
      const b = right.slice();
      let quadratic = square;
      for (const [g, { count }] of groups.entries()) {
        if (late(width)) yield;
        const share = 1 / (count + ratio);
        quadratic -= share * squares[g];
        for (let a = 0; a < width; a++) b[a] -= share * crossed[g * width + a];
      }
      for (const { factor, logs } of ridges) {
        const beta = factor.solve(new NDArray(b, [width])).data as Float64Array;
        const left = beta.reduce((sum, value, i) => sum - value * b[i], quadratic);
        const variance = Math.max(left / total, Number.MIN_VALUE);
        // −2 log evidence, but for a constant.
        const own = total * Math.log(variance) + logs;
        if (ratio === Number.POSITIVE_INFINITY) none = Math.min(none, own);
        else if (own < loss) [loss, best] = [own, { ratio, beta, variance }];
      }
    }
    const [effect, without] = [new Float64Array(levels), new Float64Array(rows)];
    if (!(loss < none - 2 * WORTH)) return { effect, without, ratio: Number.POSITIVE_INFINITY, deviation: 0 };
    const { ratio, beta, variance } = best;
    const residual = new Float64Array(rows);
    const [all, known] = [new Float64Array(levels), new Float64Array(levels)];
    for (let i = 0; i < rows; i++) {
      if (late(width)) yield;
      write(i, row);
      let fitted = 0;
      for (let a = 0; a < width; a++) fitted += row[a] * beta[a];
      residual[i] = y[i] - fitted;
      if (level[i] < 0) continue;
      all[level[i]] += weightOf(i) * residual[i];
      known[level[i]] += weightOf(i);
    }
    for (let l = 0; l < levels; l++) effect[l] = all[l] / (known[l] + ratio);
    for (let i = 0; i < rows; i++) {
      const [l, w] = [level[i], weightOf(i)];
      if (l >= 0) without[i] = (all[l] - w * residual[i]) / (Math.max(0, known[l] - w) + ratio);
    }
    return { effect, without, ratio, deviation: Math.sqrt(variance / ratio) };
  }
}

/** Adds Σ c s sᵀ to a matrix, of those rows s of [levels, width] that are named, a chunk of them at a time; c is of the level. */
function* addProducts(
  sums: Float64Array,
  width: number,
  members: readonly number[],
  factor: (level: number) => number,
  into: Float64Array,
): Steps<void> {
  const most = Math.max(1, Math.floor(STEP_WORK / width ** 2));
  for (let first = 0; first < members.length; first += most) {
    const chunk = members.slice(first, first + most);
    const [rows, scaled] = [0, 1].map(() => new Float64Array(chunk.length * width));
    for (const [k, l] of chunk.entries()) {
      const c = factor(l);
      for (let a = 0; a < width; a++) {
        rows[k * width + a] = sums[l * width + a];
        scaled[k * width + a] = c * sums[l * width + a];
      }
    }
    const [left, right] = [scaled, rows].map((data) => new NDArray(data, [chunk.length, width]));
    const product = einsum("li,lj->ij", left, right).data;
    for (let k = 0; k < into.length; k++) into[k] += product[k];
    yield;
  }
}

/** Whether it is time for a pause, told the work of each turn. */
function pace(): (work: number) => boolean {
  let sum = 0;
  return (work) => {
    sum += work + TURN;
    if (sum < STEP_WORK) return false;
    sum = 0;
    return true;
  };
}

/** Levels by how much their rows count: those of as much have the same share in all sums. */
function alikeLevels(counts: Float64Array): { readonly count: number; readonly members: readonly number[] }[] {
  const groups = new Map<number, number[]>();
  for (const [l, count] of counts.entries()) {
    if (!(count > 0)) continue;
    const own = groups.get(count);
    if (own === undefined) groups.set(count, [l]);
    else own.push(l);
  }
  return Array.from(groups, ([count, members]) => ({ count, members }));
}

/** A design whose rows are in memory. */
function* matrixOf({ width, write }: Design, rows: number): Steps<Design> {
  const all = new Float64Array(rows * width);
  const row = new Float64Array(width);
  const late = pace();
  for (let i = 0; i < rows; i++) {
    // A row of random features is products with all inputs.
    if (late(width * width)) yield;
    write(i, row);
    all.set(row, i * width);
  }
  return { width, write: (i, into) => into.set(all.subarray(i * width, (i + 1) * width)) };
}
