import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NotPositiveDefiniteError, Random, ValueError } from "../../src/index.ts";
import { atOnce, oneStep } from "../../src/kernels/steps.ts";
import {
  type AdamAscentOptions,
  adamAscent as adamInSteps,
  type MaximiseOptions,
  type Maximum,
  maximise as maximiseInSteps,
} from "../../src/posterior/maximise.ts";

type Objective = (u: Float64Array) => { value: number; gradient: Float64Array; magnitude?: number };

const inSteps = (f: Objective) => (u: Float64Array) => oneStep(() => f(u));
const maximise = (f: Objective, start: Float64Array, options?: MaximiseOptions) =>
  atOnce(maximiseInSteps(inSteps(f), start, options));
const adamAscent = (f: Objective, start: Float64Array, options?: AdamAscentOptions) =>
  atOnce(adamInSteps(inSteps(f), start, options));

import { adamRule } from "../reference/optimisers.ts";

const vector = (n: number, f: (i: number) => number) => Float64Array.from({ length: n }, (_, i) => f(i));

/** −½ Σ h_i (u_i − c_i)² + level. */
function quadratic(h: ArrayLike<number>, c: ArrayLike<number>, level = 0): Objective {
  return (u) => ({
    value: level + u.reduce((sum, x, i) => sum - 0.5 * h[i] * (x - c[i]) ** 2, 0),
    gradient: u.map((x, i) => -h[i] * (x - c[i])),
  });
}

/** The objective in coordinates turned by a reflection, so that its axes are no longer the coordinates'. */
function reflected(f: Objective, w: Float64Array): Objective {
  const norm = w.reduce((sum, x) => sum + x * x, 0);
  const reflect = (u: Float64Array) => {
    const along = (2 * u.reduce((sum, x, i) => sum + x * w[i], 0)) / norm;
    return u.map((x, i) => x - along * w[i]);
  };
  return (u) => {
    const { value, gradient } = f(reflect(u));
    return { value, gradient: reflect(gradient) };
  };
}

/** ½ Σ (log δ_i − log(δ_i + h_i) + q_i² / (δ_i + h_i)), δ = e^u: what a log evidence is to one precision (Tipping & Faul, 2003). */
function evidence(h: readonly number[], q: readonly number[], level = 0): Objective {
  return (u) => {
    let value = level;
    const gradient = u.map((x, i) => {
      const sum = Math.exp(x) + h[i];
      value += 0.5 * (x - Math.log(sum) + q[i] ** 2 / sum);
      return 0.5 * (h[i] / sum - (Math.exp(x) * q[i] ** 2) / sum ** 2);
    });
    return { value, gradient };
  };
}

/** Calls f and keeps what it was asked. */
function recorded(f: Objective): { f: Objective; points: Float64Array[]; values: number[] } {
  const points: Float64Array[] = [];
  const values: number[] = [];
  return {
    points,
    values,
    f: (u) => {
      points.push(u.slice());
      const result = f(u);
      values.push(result.value);
      return result;
    },
  };
}

function expectConverged(result: Maximum, tolerance = 1e-6): void {
  expect(result.gradientNorm).toBeLessThanOrEqual(tolerance);
  expect(result.converged).toBe(true);
}

describe("maximise", () => {
  test.each([1, 2, 10, 50])("a quadratic of %s coordinates", (n) => {
    const random = new Random(n);
    const centre = vector(n, () => 3 * random.normal());
    const f = reflected(
      quadratic(
        vector(n, () => 0.5 + 4 * random.uniform()),
        centre,
      ),
      vector(n, () => random.normal()),
    );
    const result = maximise(f, new Float64Array(n));
    expectConverged(result);
    expect(result.value).toBeGreaterThan(-1e-11);
    expect(result.evaluations).toBeLessThan(70);
  });

  test.each([2, 10, 50])("a quadratic of %s coordinates whose curvatures differ by a million", (n) => {
    const random = new Random(n);
    const h = vector(n, (i) => 10 ** ((6 * i) / (n - 1)));
    const centre = vector(n, () => random.normal());
    const w = vector(n, () => random.normal());
    const result = maximise(reflected(quadratic(h, centre), w), new Float64Array(n));
    expectConverged(result);
  });

  test("100,000 coordinates", () => {
    const n = 100_000;
    const f = quadratic(
      vector(n, (i) => 1 + (i % 7)),
      vector(n, (i) => Math.sin(i)),
    );
    const result = maximise(f, new Float64Array(n));
    expectConverged(result);
    expect(result.steps).toBeLessThan(40);
  });

  test("Rosenbrock's valley", () => {
    const f: Objective = ([x, y]) => ({
      value: -((1 - x) ** 2) - 100 * (y - x * x) ** 2,
      gradient: Float64Array.of(2 * (1 - x) + 400 * x * (y - x * x), -200 * (y - x * x)),
    });
    const result = maximise(f, Float64Array.of(-1.2, 1));
    expectConverged(result);
    expect(result.u).toBeAllClose([1, 1], { relative: 1e-5 });
    expect(result.evaluations).toBeLessThan(80);
  });

  test("log evidences, their optimum where its formula says, or at infinity", () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 12 }), fc.constantFrom(0, -1000, 1e5), (seed, n, level) => {
        const random = new Random(seed);
        const h = Array.from({ length: n }, () => 10 ** (-2 + 5 * random.uniform()));
        // q²/h: an optimum exists above 1; close to 1 the function is all but flat.
        const ratio = h.map(() => (random.uniform() < 0.5 ? 0.7 * random.uniform() : 1.5 + 98 * random.uniform()));
        const q = h.map((x, i) => Math.sqrt(ratio[i] * x));
        const result = maximise(
          evidence(h, q, level),
          vector(n, () => -5 + 10 * random.uniform()),
        );
        expectConverged(result);
        for (let i = 0; i < n; i++) {
          // δ = 1 / (θ² − 1/h) with θ = q/h, where that is positive
          const optimum = 1 / ((q[i] / h[i]) ** 2 - 1 / h[i]);
          if (ratio[i] > 1) expect(Math.abs(result.u[i] - Math.log(optimum))).toBeLessThan(1e-3);
          else expect(result.u[i]).toBeGreaterThan(Math.log(h[i]) + 5);
        }
      }),
      // One that long steps carried over its optimum, onto the plateau beyond.
      { examples: [[35241515, 5, 0]] },
    );
  });

  test("a log evidence whose optimum lies at infinity ends in the box", () => {
    const { f, points } = recorded(evidence([3], [0]));
    const result = maximise(f, Float64Array.of(0), { upper: 4 });
    expectConverged(result);
    expect(result.u).toEqual(Float64Array.of(4));
    expect(result.gradient[0]).toBeGreaterThan(1e-3);
    expect(result.gradientNorm).toBe(0);
    for (const [u] of points) expect(u).toBeLessThanOrEqual(4);
  });

  test("bounds hold some coordinates, and the others find their best beside them", () => {
    // −½ (u − c)ᵀ A (u − c) with A = I + 1 1ᵀ / 2; u_0 is held at its bound.
    const c = [5, -1, 0.5];
    const f: Objective = (u) => {
      const d = c.map((x, i) => x - u[i]);
      const half = d.reduce((a, b) => a + b, 0) / 2;
      const gradient = Float64Array.from(d, (x) => x + half);
      return { value: -0.5 * d.reduce((sum, x, i) => sum + x * gradient[i], 0), gradient };
    };
    const result = maximise(f, Float64Array.of(0, 0, 0), { lower: -2, upper: 2 });
    expectConverged(result);
    // With d_0 = 3 the others have d_i + (3 + d_1 + d_2) / 2 = 0, so d_i = −3/4.
    expect(result.u).toBeAllClose([2, -0.25, 1.25], { relative: 1e-5 });
    expect(result.gradient[0]).toBeGreaterThan(1);
  });

  test("a coordinate leaves its bound where the gradient calls it back, and a start outside is moved in", () => {
    const f = quadratic([1, 10], [1, -1]);
    const result = maximise(f, Float64Array.of(-50, 99), { lower: -3, upper: 3 });
    expectConverged(result);
    expect(result.u).toBeAllClose([1, -1], { relative: 1e-5 });
  });

  test("random boxes and quadratics: the gradient presses against the bounds and vanishes elsewhere", () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 8 }), (seed, n) => {
        const random = new Random(seed);
        const f = reflected(
          quadratic(
            vector(n, () => 0.1 + 10 * random.uniform()),
            vector(n, () => 2 * random.normal()),
          ),
          vector(n, () => random.normal()),
        );
        const result = maximise(
          f,
          vector(n, () => random.normal()),
          { lower: -1, upper: 1 },
        );
        expectConverged(result);
        result.u.forEach((x, i) => {
          expect(Math.abs(x)).toBeLessThanOrEqual(1);
          const way = result.gradient[i];
          if (Math.abs(way) > 1e-6) expect(x).toBe(Math.sign(way));
        });
      }),
    );
  });

  test.each([
    ["throws", () => new NotPositiveDefiniteError(0, -1)],
    ["is NaN", () => Number.NaN],
    ["is infinite", () => Number.POSITIVE_INFINITY],
    ["has a gradient that is not finite", () => undefined],
  ])("where the function %s, steps are shortened", (_, trouble) => {
    // log(3 − u) + 2 u has its optimum at 2.5, next to where it ends.
    let met = 0;
    const f: Objective = ([u]) => {
      if (u < 3) return { value: Math.log(3 - u) + 2 * u, gradient: Float64Array.of(2 - 1 / (3 - u)) };
      met++;
      const what = trouble();
      if (what instanceof Error) throw what;
      return { value: what ?? 1e9, gradient: Float64Array.of(what === undefined ? Number.NaN : 1) };
    };
    const result = maximise(f, Float64Array.of(-20));
    expect(met).toBeGreaterThan(0);
    expectConverged(result);
    expect(result.u[0]).toBeCloseTo(2.5, 6);
  });

  test("trouble at the start is the caller's", () => {
    const nan: Objective = () => ({ value: Number.NaN, gradient: Float64Array.of(0) });
    expect(() => maximise(nan, Float64Array.of(0))).toThrow(ValueError);
    const failing: Objective = () => {
      throw new NotPositiveDefiniteError(0, -1);
    };
    expect(() => maximise(failing, Float64Array.of(0))).toThrow(NotPositiveDefiniteError);
  });

  test("a start at the optimum takes no step, and neither does a function of nothing", () => {
    const result = maximise(quadratic([2, 3], [1, -1]), Float64Array.of(1, -1));
    expect(result).toMatchObject({ steps: 0, evaluations: 1, converged: true, gradientNorm: 0 });
    expect(result.value).toBeCloseTo(0, 15);
    expect(result.u).toEqual(Float64Array.of(1, -1));
    expect(maximise(quadratic([], []), new Float64Array(0))).toMatchObject({ steps: 0, converged: true });
  });

  test("no step is taken beyond the last, and every step is up", () => {
    const f = evidence([1, 5, 40, 300], [4, 9, 30, 100]);
    const values = Array.from({ length: 5 }, (_, steps) => {
      const result = maximise(f, new Float64Array(4), { steps });
      expect(result.steps).toBe(steps);
      expect(result.converged).toBe(false);
      return result.value;
    });
    for (let i = 1; i < values.length; i++) expect(values[i]).toBeGreaterThan(values[i - 1]);
  });

  test("the values' rounding does not hinder the gradient from vanishing", () => {
    const random = new Random(8);
    for (let run = 0; run < 20; run++) {
      const n = 1 + random.integer(20);
      // Values near a million, exact to about 1e-10; gradients of 1e-6 differ in values by 1e-12.
      const level = 1e6 * random.normal();
      const f = reflected(
        quadratic(
          vector(n, () => 0.2 + 5 * random.uniform()),
          vector(n, () => random.normal()),
          level,
        ),
        vector(n, () => random.normal()),
      );
      for (const distance of [1, 1e-4]) {
        const start = vector(n, () => distance * random.normal());
        const result = maximise(f, start);
        expectConverged(result);
        expect(result.value).toBeGreaterThanOrEqual(f(start).value - 1e-12 * Math.max(1, Math.abs(level)));
      }
    }
  });

  test("noise in the values, up to the rounding allowed for, does no harm", () => {
    const random = new Random(2);
    const exact = evidence([1, 5, 40, 300], [4, 9, 30, 100], 2000);
    const f: Objective = (u) => {
      const { value, gradient } = exact(u);
      return { value: value + 5e-10 * (random.uniform() - 0.5), gradient };
    };
    for (let run = 0; run < 20; run++)
      expectConverged(
        maximise(
          f,
          vector(4, () => 3 * random.normal()),
        ),
      );
  });

  test("a function that is not concave, and has a flat start", () => {
    // cos u_0 + cos u_1 from near its minimum, e^(−u²) from far out on its flank
    const cosines: Objective = (u) => ({
      value: u.reduce((sum, x) => sum + Math.cos(x), 0),
      gradient: u.map((x) => -Math.sin(x)),
    });
    const result = maximise(cosines, Float64Array.of(3.1, -3));
    expectConverged(result);
    expect(result.value).toBeCloseTo(2, 10);
    const bell: Objective = ([x]) => ({
      value: Math.exp(-x * x),
      gradient: Float64Array.of(-2 * x * Math.exp(-x * x)),
    });
    expect(maximise(bell, Float64Array.of(3)).value).toBeCloseTo(1, 10);
  });

  test("a coordinate is not thrown over its optimum onto the plateau beyond", () => {
    // Optima between −8 and 7 beside optima at infinity, from far starts: long steps would lose some at the bound.
    for (let seed = 0; seed < 60; seed++) {
      const random = new Random(seed);
      const n = 12;
      const h = Array.from({ length: n }, () => 10 ** (-2 + 5 * random.uniform()));
      const q = h.map((x, i) => Math.sqrt((i % 2 === 0 ? 2 + 98 * random.uniform() : 0.3) * x));
      const result = maximise(
        evidence(h, q, -1000),
        vector(n, () => -5 + 10 * random.uniform()),
      );
      expectConverged(result);
      for (let i = 0; i < n; i += 2) expect(result.u[i]).toBeLessThan(Math.log(h[i]) + 1);
    }
  });

  test("a thousand precisions, some with hardly an optimum, given steps enough", () => {
    const random = new Random(1000);
    const h = Array.from({ length: 1000 }, () => 1 + 9 * random.uniform());
    const q = h.map((x) => Math.sqrt(3 * x) * random.normal());
    const result = maximise(evidence(h, q), new Float64Array(1000), { steps: 1000 });
    expectConverged(result);
  });

  test("a gradient that contradicts the values ends the climb where it began", () => {
    const liar: Objective = (u) => ({ value: -u[0], gradient: Float64Array.of(1) });
    const result = maximise(liar, Float64Array.of(0.5));
    expect(result).toMatchObject({ value: -0.5, steps: 0, converged: false });
  });

  test("f may use one array for all its gradients", () => {
    const shared = new Float64Array(3);
    const f = reflected(quadratic([1, 20, 3], [1, 2, 3]), Float64Array.of(1, 1, 0));
    const sharing: Objective = (u) => {
      const { value, gradient } = f(u);
      shared.set(gradient);
      return { value, gradient: shared };
    };
    expect(maximise(sharing, new Float64Array(3))).toEqual(maximise(f, new Float64Array(3)));
  });
});

describe("adamAscent", () => {
  const f = evidence([2, 50, 0.3], [3, 1, 2]);

  test("is Adam, a coordinate at a time", () => {
    const start = [0, 1, -2];
    const rules = start.map(() => adamRule(0.05));
    let u = start;
    for (let t = 0; t < 30; t++) {
      const { gradient } = f(Float64Array.from(u));
      u = u.map((x, i) => rules[i](-gradient[i], x));
    }
    const result = adamAscent(f, Float64Array.from(start), { steps: 30, learningRate: 0.05 });
    expect(result.u).toBeAllClose(u, { relative: 1e-13 });
    expect(result).toMatchObject({ ...f(result.u), steps: 30, evaluations: 31, converged: false });
    expect(result.gradientNorm).toBe(Math.max(...result.gradient.map(Math.abs)));
  });

  test("takes 100 steps of 0.1 unless told otherwise", () => {
    const start = Float64Array.of(0, 0, 0);
    const result = adamAscent(f, start);
    expect(result).toEqual(adamAscent(f, start, { steps: 100, learningRate: 0.1 }));
    expect(result.value).toBeGreaterThan(f(start).value);
    expect(start).toEqual(Float64Array.of(0, 0, 0));
  });

  test("passes on trouble, and stays at an optimum", () => {
    const nan: Objective = () => ({ value: Number.NaN, gradient: Float64Array.of(0) });
    expect(() => adamAscent(nan, Float64Array.of(0))).toThrow(ValueError);
    expect(adamAscent(quadratic([1], [2]), Float64Array.of(2), { steps: 3 })).toMatchObject({ converged: true });
  });
});
