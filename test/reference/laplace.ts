// Curvature, posterior and evidence by their definitions, with plain loops over examples, outputs and weights.

import { Random } from "../../src/index.ts";
import { type Block, evaluate } from "./network.ts";

export type Matrix = number[][];

/** The noise is that of each output. */
interface GaussianDensity {
  readonly name: "gaussian";
  readonly noise: readonly number[];
}

/** A likelihood. */
export type Density =
  | GaussianDensity
  /** With a label at every position; the classes of each lie side by side, or (`first`) as many positions apart. */
  | { readonly name: "categorical"; readonly positions?: number; readonly first?: boolean }
  | { readonly name: "bernoulli" }
  | { readonly name: "poisson" }
  /** y = f + scale t, with 3 degrees of freedom; Λ is the Fisher information. */
  | { readonly name: "studentT"; readonly scale: number }
  /** Outputs in pairs, with noise of unit variance that is correlated within each. */
  | { readonly name: "pairs"; readonly correlation: number }
  /** Outputs in pairs, a mean and the logarithm of its variance, whose target is the first; Λ is the Fisher information. */
  | { readonly name: "heteroscedastic" };

export type Kind = "ggn" | "monteCarlo" | "empiricalFisher";

/** A layer at work at one position: its input, and the derivatives of each output of the network in its own, [C][o]. */
export interface Position {
  readonly begin: number;
  readonly group: number;
  readonly transposed: boolean;
  readonly input: readonly number[];
  readonly cotangents: Matrix;
}

/** An example: the network's outputs [C], their Jacobian [C][P], the layers at work, the target. */
export interface Example {
  readonly f: readonly number[];
  readonly jacobian: Matrix;
  readonly positions: readonly Position[];
  readonly y: readonly number[];
}

export function exampleOf(
  blocks: readonly Block[],
  inputShape: readonly number[],
  theta: readonly number[],
  x: readonly number[],
  y: readonly number[],
): Example {
  const { uses } = evaluate(blocks, inputShape, theta, x);
  const probes = uses.reduce((sum, { outputs }) => sum + outputs, 0);
  const { elements } = evaluate(blocks, inputShape, theta, x, probes);
  const begin = theta.length + x.length;
  return {
    f: elements.map(({ value }) => value),
    jacobian: elements.map(({ slopes }) => slopes.slice(0, theta.length)),
    positions: uses.map((use) => ({
      begin: use.begin,
      group: use.group,
      transposed: use.transposed,
      input: use.input,
      cotangents: elements.map(({ slopes }) => slopes.slice(begin + use.probe, begin + use.probe + use.outputs)),
    })),
    y,
  };
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

function softmax(f: readonly number[]): number[] {
  const e = f.map((x) => Math.exp(x));
  const total = e.reduce((a, b) => a + b, 0);
  return e.map((x) => x / total);
}

/** The outputs that the label of each position depends on. */
export function groupsOf(density: Density, outputs: number): number[][] {
  const { positions = 1, first = false } = density.name === "categorical" ? density : {};
  const classes = outputs / positions;
  return Array.from({ length: positions }, (_, t) =>
    Array.from({ length: classes }, (__, c) => (first ? c * positions + t : t * classes + c)),
  );
}

/** Probabilities of the classes at every position. */
function probabilities(density: Density, f: readonly number[]): number[] {
  const result = [...f];
  for (const group of groupsOf(density, f.length)) {
    softmax(group.map((i) => f[i])).forEach((p, c) => {
      result[group[c]] = p;
    });
  }
  return result;
}

/** 1 for outputs whose label counts, 0 where it is ignored: the target of such a position is a row of zeros. */
function countedOf(density: Density, y: readonly number[]): number[] {
  const result = y.map(() => 1);
  if (density.name !== "categorical") return result;
  for (const group of groupsOf(density, y.length)) {
    if (group.every((i) => y[i] === 0)) for (const i of group) result[i] = 0;
  }
  return result;
}

/** The geometric mean of a Gaussian's noise, which is what its curvature leaves out; 1 for others. */
export function scaleOf(density: Density): number {
  if (density.name !== "gaussian") return 1;
  return density.noise.reduce((product, sigma) => product * sigma, 1) ** (1 / density.noise.length);
}

/** Noise relative to that scale. */
const ratios = (density: GaussianDensity) => density.noise.map((sigma) => sigma / scaleOf(density));

/** Λ = ∂²ℓ/∂f² at unit noise. */
export function lambda(density: Density, f: readonly number[], y: readonly number[]): Matrix {
  const p = probabilities(density, f);
  const counted = countedOf(density, y);
  const groups = groupsOf(density, f.length);
  return f.map((x, c) =>
    f.map((_, d) => {
      if (density.name === "categorical") {
        const together = counted[c] === 1 && groups.some((group) => group.includes(c) && group.includes(d));
        return together ? (c === d ? p[c] : 0) - p[c] * p[d] : 0;
      }
      if (density.name === "pairs") {
        if (c >> 1 !== d >> 1) return 0;
        return (c === d ? 1 : -density.correlation) / (1 - density.correlation ** 2);
      }
      if (c !== d) return 0;
      if (density.name === "heteroscedastic") return c % 2 === 0 ? Math.exp(-f[c + 1]) : 0.5;
      if (density.name === "gaussian") return 1 / ratios(density)[c] ** 2;
      if (density.name === "studentT") return 4 / 6 / density.scale ** 2;
      return density.name === "bernoulli" ? sigmoid(x) * (1 - sigmoid(x)) : Math.exp(x);
    }),
  );
}

/** ∂ℓ/∂f at unit noise; the target of a class is a row with one 1. */
export function lossGradient(density: Density, f: readonly number[], y: readonly number[]): number[] {
  const p = probabilities(density, f);
  const counted = countedOf(density, y);
  return f.map((x, c) => {
    if (density.name === "categorical") return counted[c] * (p[c] - y[c]);
    if (density.name === "bernoulli") return sigmoid(x) - y[c];
    if (density.name === "poisson") return Math.exp(x) - y[c];
    if (density.name === "studentT") return studentSlope(density.scale, x - y[c]);
    if (density.name === "heteroscedastic") {
      if (c % 2 === 0) return (x - y[c]) / Math.exp(f[c + 1]);
      return 0.5 - (f[c - 1] - y[c - 1]) ** 2 / (2 * Math.exp(x));
    }
    if (density.name === "pairs") {
      const { correlation: r } = density;
      return (x - y[c] - r * (f[c ^ 1] - y[c ^ 1])) / (1 - r ** 2);
    }
    return (x - y[c]) / ratios(density)[c] ** 2;
  });
}

/** ∂/∂r of 2 log(1 + (r / scale)² / 3) */
function studentSlope(scale: number, r: number): number {
  const z = r / scale;
  return (2 / (1 + z ** 2 / 3)) * ((2 * z) / 3) * (1 / scale);
}

/** ∂ℓ/∂f at a target drawn from the likelihood. */
function drawnGradient(density: Density, f: readonly number[], random: Random): number[] {
  if (density.name === "gaussian") return ratios(density).map((ratio) => random.normal() / ratio);
  if (density.name === "categorical") {
    const p = probabilities(density, f);
    for (const group of groupsOf(density, f.length)) {
      const u = random.uniform();
      let [label, sum] = [0, p[group[0]]];
      while (u >= sum && label < group.length - 1) sum += p[group[++label]];
      p[group[label]] -= 1;
    }
    return p;
  }
  if (density.name === "heteroscedastic") {
    const y = f.map((x, c) => (c % 2 === 0 ? x + Math.sqrt(Math.exp(f[c + 1])) * random.normal() : 0));
    return lossGradient(density, f, y);
  }
  if (density.name === "pairs") {
    const { correlation: r } = density;
    const y = [...f];
    for (let c = 0; c < f.length; c += 2) {
      const [a, b] = [random.normal(), random.normal()];
      y[c] += a;
      y[c + 1] += r * a + Math.sqrt(1 - r ** 2) * b;
    }
    return lossGradient(density, f, y);
  }
  return f.map((x) => {
    if (density.name === "bernoulli") return sigmoid(x) - (random.uniform() < sigmoid(x) ? 1 : 0);
    if (density.name === "studentT") {
      const radius = Math.sqrt(3 * (random.uniform() ** (-2 / 3) - 1));
      return studentSlope(density.scale, -density.scale * radius * Math.cos(2 * Math.PI * random.uniform()));
    }
    // Knuth's product of uniforms
    const limit = Math.exp(-Math.exp(x));
    let [count, product] = [0, random.uniform()];
    for (; product > limit; count++) product *= random.uniform();
    return Math.exp(x) - count;
  });
}

/** M_n with the curvature Σ_n J_nᵀ M_n J_n: Λ, the mean outer product of drawn gradients, or that of the data's own. */
export function middles(
  density: Density,
  examples: readonly Example[],
  kind: Kind,
  { samples, seed, first = 0 }: { readonly samples: number; readonly seed: number; readonly first?: number },
): Matrix[] {
  const outer = (g: readonly number[]) => g.map((a) => g.map((b) => a * b));
  if (kind === "ggn") return examples.map(({ f, y }) => lambda(density, f, y));
  if (kind === "empiricalFisher") return examples.map(({ f, y }) => outer(lossGradient(density, f, y)));
  // A stream for each draw of each example, by its place in the data; `test/array/random.test.ts` knows what restart does.
  const master = new Random(seed);
  const keys = Array.from({ length: samples }, () => Uint32Array.from({ length: 4 }, () => master.uint32()));
  return examples.map(({ f, y }, n) => {
    const counted = countedOf(density, y);
    const draw = (random: Random) => drawnGradient(density, f, random).map((x, c) => counted[c] * x);
    const all = keys.map((key) => outer(draw(new Random().restart(key, first + n))));
    return f.map((_, c) => f.map((_, d) => all.reduce((sum, m) => sum + m[c][d] / samples, 0)));
  });
}

export const zeroMatrix = (n: number, m = n): Matrix => Array.from({ length: n }, () => new Array<number>(m).fill(0));

/** Σ_n R_nᵀ M_n R_n for rows R_n [C][s]. */
export function gram(rows: readonly Matrix[], weights: readonly Matrix[], size: number): Matrix {
  const result = zeroMatrix(size);
  rows.forEach((r, n) => {
    const weighted = weights[n].map((line) => r[0].map((_, q) => line.reduce((sum, m, d) => sum + m * r[d][q], 0)));
    for (let p = 0; p < size; p++) {
      for (let q = 0; q < size; q++) {
        for (let c = 0; c < r.length; c++) result[p][q] += r[c][p] * weighted[c][q];
      }
    }
  });
  return result;
}

export const columnsOf = (rows: Matrix, indices: ArrayLike<number>): Matrix =>
  rows.map((row) => Array.from(indices, (i) => row[i]));

/** Σ_n J_nᵀ M_n J_n over some weights. */
export function fullCurvature(
  examples: readonly Example[],
  weights: readonly Matrix[],
  indices: ArrayLike<number>,
): Matrix {
  return gram(
    examples.map(({ jacobian }) => columnsOf(jacobian, indices)),
    weights,
    indices.length,
  );
}

/** A parameter array, of the layer whose parameters begin at `begin`. */
export interface Part {
  readonly role: string;
  readonly begin: number;
  readonly offset: number;
  readonly size: number;
}

/** Whether a position of an example counts: by default all do. */
export type Keep = (example: Example, position: number) => boolean;

/**
 * The positions of a network that works on each alone, `per` of them for a label, without those whose labels are ignored.
 */
export const countedPositions =
  (density: Density, per: number): Keep =>
  ({ y }, position) =>
    countedOf(density, y)[groupsOf(density, y.length)[Math.floor(position / per)][0]] === 1;

/** A layer's factors as ../shared/oracles/README.md defines them: A over inputs, B over outputs. */
function kroneckerFactors(
  examples: readonly Example[],
  weights: readonly Matrix[],
  begin: number,
  sharing: "expand" | "reduce",
  group = 0,
  keep: Keep = () => true,
): { readonly a: Matrix; readonly b: Matrix } {
  const all = examples.map(({ positions }) =>
    positions.filter((position) => position.begin === begin && position.group === group),
  );
  const own = all.map((list, n) => list.filter((_, t) => keep(examples[n], t)));
  const [first] = all[0];
  const [outputs, inputs] = [first.cotangents[0].length, first.input.length];
  const outputSums = (list: readonly Position[]): Matrix =>
    list[0].cotangents.map((row, c) => row.map((_, o) => list.reduce((sum, one) => sum + one.cotangents[c][o], 0)));
  const inputMean = (list: readonly Position[]) =>
    list[0].input.map((_, i) => list.reduce((sum, { input }) => sum + input[i] / list.length, 0));
  // Each position as an example of its own, or all of an example's reduced to one.
  const groups = own.flatMap((list, n) =>
    sharing === "expand" ? list.map((one) => ({ list: [one], n })) : { list, n },
  );
  const terms = groups.length;
  return {
    a: gram(
      groups.map(({ list }) => [inputMean(list)]),
      groups.map(() => [[1 / terms]]),
      inputs,
    ),
    b: gram(
      groups.map(({ list }) => outputSums(list)),
      groups.map(({ n }) => weights[n]),
      outputs,
    ),
  };
}

/** B ⊗ A */
export function kroneckerProduct(b: Matrix, a: Matrix): Matrix {
  return b.flatMap((rowB) => a.map((rowA) => rowB.flatMap((x) => rowA.map((y) => x * y))));
}

/** The block of a parameter in Kronecker structure. */
export function kroneckerBlock(
  examples: readonly Example[],
  weights: readonly Matrix[],
  part: Part,
  sharing: "expand" | "reduce",
  keep?: Keep,
): Matrix {
  const transposedWeight = examples[0].positions.some(({ begin, transposed }) => begin === part.begin && transposed);
  // A transposed convolution's bias is a shift: no factor of its weight is that of its outputs.
  if (part.role === "scale" || part.role === "shift" || (part.role === "bias" && transposedWeight)) {
    return fullCurvature(
      examples,
      weights,
      Array.from({ length: part.size }, (_, i) => part.offset + i),
    );
  }
  const blocks = weightFactors(examples, weights, part, sharing, keep);
  return blockDiagonal(
    blocks.map(({ left, right }) => (part.role === "weight" ? kroneckerProduct(left, right) : left)),
  );
}

/** The factors of a layer's weight, rows by columns, for each of its groups. */
export function weightFactors(
  examples: readonly Example[],
  weights: readonly Matrix[],
  { begin }: Part,
  sharing: "expand" | "reduce",
  keep?: Keep,
): { readonly left: Matrix; readonly right: Matrix }[] {
  const uses = examples[0].positions.filter((position) => position.begin === begin);
  return Array.from(new Set(uses.map(({ group }) => group)), (group) => {
    const { a, b } = kroneckerFactors(examples, weights, begin, sharing, group, keep);
    return uses[0].transposed ? { left: a, right: b } : { left: b, right: a };
  });
}

/** Blocks along the diagonal. */
export function blockDiagonal(blocks: readonly Matrix[]): Matrix {
  const size = blocks.reduce((sum, block) => sum + block.length, 0);
  const result = zeroMatrix(size);
  let at = 0;
  for (const block of blocks) {
    block.forEach((row, i) => {
      row.forEach((x, j) => {
        result[at + i][at + j] = x;
      });
    });
    at += block.length;
  }
  return result;
}

export function product(a: Matrix, b: Matrix): Matrix {
  return a.map((row) => b[0].map((_, j) => row.reduce((sum, x, k) => sum + x * b[k][j], 0)));
}

export const transposed = (a: Matrix): Matrix => a[0].map((_, j) => a.map((row) => row[j]));

/** Q diag(values) Qᵀ with the curvature's own diagonal in the basis Q: every example's rows are rotated. */
export function correctedBlock(
  examples: readonly Example[],
  weights: readonly Matrix[],
  { offset, size }: Part,
  q: Matrix,
): Matrix {
  const values = new Array<number>(size).fill(0);
  examples.forEach(({ jacobian }, n) => {
    const rotated = product(
      jacobian.map((row) => row.slice(offset, offset + size)),
      q,
    );
    for (let i = 0; i < size; i++) {
      for (let c = 0; c < rotated.length; c++) {
        for (let d = 0; d < rotated.length; d++) values[i] += rotated[c][i] * weights[n][c][d] * rotated[d][i];
      }
    }
  });
  const stretched = q.map((row) => row.map((x, i) => x * values[i]));
  return product(stretched, transposed(q));
}

/** L, lower triangular, with L Lᵀ = P. */
export function choleskyFactor(p: Matrix): Matrix {
  const l = zeroMatrix(p.length);
  for (let i = 0; i < p.length; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = p[i][j];
      for (let k = 0; k < j; k++) sum -= l[i][k] * l[j][k];
      l[i][j] = i === j ? Math.sqrt(sum) : sum / l[j][j];
    }
  }
  return l;
}

/** log det P and P⁻¹ = L⁻ᵀ L⁻¹ */
export function inverted(p: Matrix): { readonly logDeterminant: number; readonly inverse: Matrix } {
  const n = p.length;
  const l = choleskyFactor(p);
  const x = zeroMatrix(n);
  for (let c = 0; c < n; c++) {
    for (let i = c; i < n; i++) {
      let sum = i === c ? 1 : 0;
      for (let k = c; k < i; k++) sum -= l[i][k] * x[k][c];
      x[i][c] = sum / l[i][i];
    }
  }
  const logDeterminant = l.reduce((sum, row, i) => sum + 2 * Math.log(row[i]), 0);
  return { logDeterminant, inverse: product(transposed(x), x) };
}

/** Σ_n log p(y_n | f_n), where temperature divides what depends on f. */
export function logLikelihood(density: Density, examples: readonly Example[], temperature: number): number {
  let sum = 0;
  for (const { f, y } of examples) {
    const p = probabilities(density, f);
    f.forEach((x, c) => {
      if (density.name === "gaussian") {
        const sigma = density.noise[c];
        sum -= ((x - y[c]) / sigma) ** 2 / (2 * temperature) + Math.log(sigma * Math.sqrt(2 * Math.PI));
      } else if (density.name === "categorical") sum += (y[c] * Math.log(p[c])) / temperature;
      else if (density.name === "bernoulli") {
        sum += (y[c] * Math.log(sigmoid(x)) + (1 - y[c]) * Math.log(sigmoid(-x))) / temperature;
      } else if (density.name === "studentT") {
        // The density of t with 3 degrees of freedom is 2 / (π √3 (1 + t²/3)²).
        const { scale } = density;
        sum -= (2 * Math.log(1 + ((x - y[c]) / scale) ** 2 / 3)) / temperature;
        sum += Math.log(2 / (Math.PI * Math.sqrt(3) * scale));
      } else if (density.name === "heteroscedastic") {
        if (c % 2 === 1) return;
        const variance = Math.exp(f[c + 1]);
        sum -= ((x - y[c]) ** 2 / variance + f[c + 1]) / (2 * temperature) + Math.log(2 * Math.PI) / 2;
      } else if (density.name === "pairs") {
        // Half of each pair's (r₀² − 2ρ r₀r₁ + r₁²) / (1 − ρ²), and of its constant.
        const { correlation: r } = density;
        const [own, other] = [x - y[c], f[c ^ 1] - y[c ^ 1]];
        sum -= (own * (own - r * other)) / (2 * (1 - r ** 2) * temperature);
        sum -= Math.log(2 * Math.PI * Math.sqrt(1 - r ** 2)) / 2;
      } else {
        sum += (y[c] * x - Math.exp(x)) / temperature;
        for (let k = 2; k <= y[c]; k++) sum -= Math.log(k);
      }
    });
  }
  return sum;
}
