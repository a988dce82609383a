// A last layer of many outputs: what is in closed form there agrees with columns of Λ^½ that are pulled back one by one.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readPlan } from "../../src/curvature/plan.ts";
import { passColumns } from "../../src/curvature/root-columns.ts";
import {
  array,
  bernoulli,
  type Curvature,
  categorical,
  chain,
  curvatureOf,
  type Dataset,
  dense,
  flatten,
  type Layer,
  type Likelihood,
  laplace,
  multiHeadAttention,
  type Network,
  poisson,
  Random,
  randomNormal,
  relu,
  type Structure,
  tanh,
  type Weights,
} from "../../src/index.ts";
import { withClasses } from "../../src/kernels/classes.ts";
import { kernelsFor } from "../../src/kernels/kernels.ts";
import { allocateFloats, copyIn, copyOut, scope } from "../../src/kernels/memory.ts";
import { OutputSpread, writeCholeskyColumns } from "../../src/likelihood/spreads.ts";
import { bringAll } from "../../src/structures/all.ts";
import { numbers } from "../reference/draw.ts";

bringAll();

const close = { relative: 1e-10, absolute: 1e-10 };

/** A likelihood that does not say its closed form. */
const slowly = (likelihood: Likelihood): Likelihood => Object.create(likelihood, { head: { value: undefined } });

/** Whether a fit takes the closed form. */
function isClosed(net: Network, likelihood: Likelihood, structure: Structure, weights: Weights): boolean {
  const plan = readPlan("test", net, () => likelihood, { structure, weights });
  return passColumns(plan).spread !== undefined;
}

/** All numbers of a curvature, the factors or eigenbases among them. */
function numbersOf(curvature: Curvature): number[] {
  const result = [...curvature.diagonal().data];
  if (curvature.structure === "kronecker") {
    for (const { a, b } of curvature.factors()) result.push(...b.data, ...(a?.data ?? []));
  }
  if (curvature.size < 600) result.push(...curvature.dense().data);
  return result;
}

const IGNORED = -100;

interface Case {
  readonly name: string;
  readonly likelihood: Likelihood;
  readonly inputs: readonly number[];
  readonly layers: readonly Layer[];
  /** Targets for so many examples. */
  target(random: Random, examples: number): number[];
  readonly shape: readonly number[];
}

const labels =
  (classes: number, positions = 1, ignored = 0) =>
  (random: Random, n: number) =>
    Array.from({ length: n * positions }, () => (random.uniform() < ignored ? IGNORED : random.integer(classes)));

const cases: readonly Case[] = [
  {
    name: "classes behind one hidden layer",
    likelihood: categorical(),
    inputs: [2],
    layers: [dense(3, relu), dense(67)],
    target: labels(67),
    shape: [],
  },
  {
    name: "classes behind two",
    likelihood: categorical(),
    inputs: [2],
    layers: [dense(3, tanh), dense(2, tanh), dense(71)],
    target: labels(71),
    shape: [],
  },
  {
    name: "classes of a layer with more inputs, without a bias",
    likelihood: categorical(),
    inputs: [3],
    layers: [dense(66, tanh), dense(64, undefined, { bias: false })],
    target: labels(64),
    shape: [],
  },
  {
    name: "tokens at positions that do not mix, some ignored",
    likelihood: categorical({ classAxis: "last", ignoredLabel: IGNORED }),
    inputs: [3, 2],
    layers: [dense(3, tanh), dense(67)],
    target: labels(67, 3, 0.3),
    shape: [3],
  },
  {
    name: "tokens at positions that mix, some ignored",
    likelihood: categorical({ classAxis: "last", ignoredLabel: IGNORED }),
    inputs: [3, 2],
    layers: [dense(2), multiHeadAttention(1), dense(67)],
    target: labels(67, 3, 0.3),
    shape: [3],
  },
  {
    name: "labels",
    likelihood: bernoulli({ ignoredLabel: IGNORED }),
    inputs: [2],
    layers: [dense(2, tanh), dense(3, tanh), dense(65)],
    target: labels(2, 65, 0.2),
    shape: [65],
  },
  {
    name: "counts",
    likelihood: poisson(),
    inputs: [2],
    layers: [dense(2, tanh), dense(64)],
    target: labels(4, 64),
    shape: [64],
  },
];

const selections: readonly Weights[] = ["all", "lastLayer", { layers: ["0"] }];

describe.each(cases)("$name", ({ likelihood, inputs, layers, target, shape }) => {
  const net = chain({ inputs, dtype: "float64", seed: 5 }, ...layers);
  const examples = 3;
  const random = new Random(7);
  const y = target(random, examples);
  const data: Dataset = {
    x: randomNormal([examples, ...inputs], { seed: 3 }),
    y: array(y, { shape: [examples, ...shape] }),
    weights: array([0.5, 2, 0]),
  };

  test.each(["diagonal", "kronecker", "ekfac", "full"] as const)("%s", (structure) => {
    for (const weights of selections) {
      // Of thousands of weights the whole matrix is too large here.
      if (structure === "full" && weights !== selections[2] && net.parameterCount > 1000) continue;
      for (const sharing of structure === "kronecker" ? (["expand", "reduce"] as const) : (["expand"] as const)) {
        const options = { structure, weights, sharing };
        // The whole matrix has products of two layers.
        expect(isClosed(net, likelihood, structure, weights)).toBe(structure !== "full" || weights !== "all");
        expect(isClosed(net, slowly(likelihood), structure, weights)).toBe(false);
        const slow = curvatureOf(net, slowly(likelihood), data, options);
        // A basis of its own would differ where eigenvalues are alike.
        const basis = structure === "ekfac" ? { basis: slow } : {};
        const due = structure === "ekfac" ? curvatureOf(net, slowly(likelihood), data, { ...options, ...basis }) : slow;
        const ours = curvatureOf(net, likelihood, data, { ...options, ...basis });
        expect(numbersOf(ours)).toBeAllClose(numbersOf(due), close);
      }
    }
  });
});

describe("the columns behind a layer", () => {
  /** Σ over columns of x xᵀ for each row, [rows, n, n]. */
  const grams = (x: ArrayLike<number>, columns: number, rows: number, n: number) => {
    const result = new Float64Array(rows * n * n);
    for (let k = 0; k < columns; k++) {
      for (let r = 0; r < rows; r++) {
        for (let i = 0; i < n; i++) {
          for (let j = 0; j < n; j++) {
            const at = (k * rows + r) * n;
            result[(r * n + i) * n + j] += x[at + i] * x[at + j];
          }
        }
      }
    }
    return result;
  };
  const shapes = fc.record({
    rows: fc.integer({ min: 1, max: 4 }),
    classes: fc.constantFrom(1, 2, 3, 5, 7, 13, 31),
    n: fc.constantFrom(1, 2, 3, 4, 7, 11, 32),
    shared: fc.boolean(),
    peak: fc.constantFrom(0, 3, 40),
    seed: fc.nat(),
  });
  const of = ({
    rows,
    classes,
    n,
    peak,
    seed,
  }: {
    rows: number;
    classes: number;
    n: number;
    peak: number;
    seed: number;
  }) => {
    const random = new Random(seed);
    // Rows of one large entry too, and of zeros, as those of labels that are left out are.
    const q = numbers(random, rows * classes, "float64").map((x, i) => (i % 5 === 4 ? 0 : Math.exp(peak * x)));
    return { q, w: numbers(random, classes * n, "float64") };
  };

  test("have the products Wᵀ Λ W, whichever of them are written at once; Cholesky columns too", () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const { rows, classes, n, shared } = shape;
        const { q, w } = of(shape);
        const due = new Float64Array(rows * n * n);
        for (let r = 0; r < rows; r++) {
          const own = q.slice(r * classes, (r + 1) * classes);
          const total = own.reduce((a, b) => a + b, 0);
          // Σ_cd q_c q_d (w_c − w_d)(w_c − w_d)ᵀ / 2 Σ q, which does not cancel.
          for (let c = 0; c < classes; c++) {
            for (let d = 0; d < (shared ? classes : 1); d++) {
              const weight = shared ? (total > 0 ? (own[c] * own[d]) / total / 2 : 0) : own[c];
              const x = Array.from({ length: n }, (_, i) => w[c * n + i] - (shared ? w[d * n + i] : 0));
              for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) due[(r * n + i) * n + j] += weight * x[i] * x[j];
            }
          }
        }
        const kernels = kernelsFor("float64");
        const columns = classes - (shared ? 1 : 0);
        const [found, fewer] = scope(() => {
          const [at, of] = [copyIn("float64", q), copyIn("float64", w)];
          const mean = allocateFloats("float64", n);
          const to = allocateFloats("float64", Math.max(1, columns * rows * n));
          for (let first = 0; first < columns; first += 3) {
            const count = Math.min(3, columns - first);
            const place = to + 8 * first * rows * n;
            withClasses(kernels).spreadColumns(
              rows,
              classes,
              n,
              at,
              of,
              shared,
              first,
              count,
              mean,
              place,
              rows * n,
              n,
            );
          }
          const all = copyOut("float64", to, columns * rows * n);
          const [gram, work, target] = [rows * n * n, n * n, rows * n * n].map((m) => allocateFloats("float64", m));
          for (let r = 0; r < rows; r++) {
            kernels.syrk(n, columns, to + 8 * r * n, 1, rows * n, gram + 8 * r * n * n, n, 1, false, false);
          }
          for (let r = 0; r < rows; r++) {
            const which = { first: 0, count: n };
            writeCholeskyColumns("float64", n, gram + 8 * r * n * n, work, which, target + 8 * r * n, rows * n);
          }
          return [all, copyOut("float64", target, rows * n * n)];
        });
        const largest = Math.max(1e-200, ...due.map(Math.abs));
        expect(grams(found, columns, rows, n)).toBeAllClose(due, { relative: 1e-11, absolute: 1e-12 * largest });
        expect(grams(fewer, n, rows, n)).toBeAllClose(due, { relative: 1e-10, absolute: 1e-10 * largest });
      }),
      { numRuns: 200 },
    );
  });

  test("rowGrams leaves out what is 0 in all columns, and nothing else", () => {
    fc.assert(
      fc.property(shapes, fc.constantFrom(0, 0.5, 0.9), ({ rows, classes: columns, n, seed }, zeros) => {
        const random = new Random(seed);
        const x = numbers(random, columns * rows * n, "float64");
        for (let r = 0; r < rows; r++) {
          for (let i = 0; i < n; i++) {
            const dead = random.uniform() < zeros;
            for (let k = 0; k < columns; k++) if (dead || random.uniform() < 0.2) x[(k * rows + r) * n + i] = -0;
          }
        }
        const each = grams(x, columns, rows, n);
        const before = numbers(random, n * n, "float64");
        const found = scope(() => {
          const [at, to, work, live] = [copyIn("float64", x), copyIn("float64", before), n * (columns + n), n].map(
            (m, i) => (i < 2 ? m : allocateFloats("float64", m)),
          );
          kernelsFor("float64").rowGrams(rows, columns, n, at, rows * n, n, to, work, live);
          return copyOut("float64", to, n * n);
        });
        for (let i = 0; i < n; i++) {
          for (let j = 0; j <= i; j++) {
            let due = before[i * n + j];
            for (let r = 0; r < rows; r++) due += each[(r * n + i) * n + j];
            expect(found[i * n + j]).toBeCloseTo(due, 11);
          }
        }
      }),
      { numRuns: 100 },
    );
  });

  test("variances of an entry near 1 keep their digits", () => {
    const q = Float64Array.of(1 - 3e-17, 1e-17, 2e-17, 0);
    const { output } = chain({ inputs: 1 }, dense(4)).graph;
    const found = scope(() => {
      const spread = new OutputSpread("float64", output, 1, 4, true, copyIn("float64", q));
      return copyOut("float64", spread.variances(), 4);
    });
    expect(found).toBeAllClose([3e-17, 1e-17, 2e-17, 0], { relative: 1e-15 });
  });
});

test("a layer that others follow, or whose weights are used twice, has columns", () => {
  const flat = chain({ inputs: [2, 2] }, dense(35), flatten);
  expect(categorical().head?.(flat.graph, flat.outputShape)).toBeUndefined();
  const again = dense(2);
  const twice = chain({ inputs: 2 }, again, again);
  expect(categorical().head?.(twice.graph, twice.outputShape)).toBeUndefined();
  expect(categorical({ classAxis: "first" }).head?.(flat.graph, [35, 2])).toBeUndefined();
});

test("posteriors predict, are tuned and say their evidence", async () => {
  const net = chain({ inputs: 2, dtype: "float64", seed: 1 }, dense(3, tanh), dense(67));
  const data = { x: randomNormal([9, 2], { seed: 2 }), y: Array.from({ length: 9 }, (_, i) => 7 * i) };
  const said = [];
  for (const likelihood of [categorical(), slowly(categorical())]) {
    const fit = await laplace(net, { likelihood, structure: "kronecker", checks: false }).fit(data);
    const tuned = fit.optimizePrior();
    said.push([tuned.evidence().logMarginalLikelihood, ...tuned.predict(data.x).mean.data]);
  }
  expect(said[0]).toBeAllClose(said[1], { relative: 1e-8 });
});
