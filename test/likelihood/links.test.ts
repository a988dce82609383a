import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Random } from "../../src/index.ts";
import { binaryProbabilities, type ClassLink, classLinks, classProbabilities } from "../../src/likelihood/links.ts";
import { sigmoid, softmax } from "../reference/functions.ts";

interface Values {
  shape: number[];
  data: number[];
}
type Oracle = Record<
  "mean" | "var" | "probit" | "bridge" | "bridgeNorm" | "meanField1" | "meanField2" | "mcMean200k",
  Values
> & { C: number };

const oracles = JSON.parse(readFileSync(new URL("../fixtures/links.json", import.meta.url), "utf8")) as {
  cases: Oracle[];
};

const draw = { samples: 40, seed: 3 };
const deterministic = classLinks.filter((link) => link !== "monteCarlo");

function chunks(values: ArrayLike<number>, size: number): number[][] {
  return Array.from({ length: values.length / size }, (_, i) => Array.from(values).slice(i * size, (i + 1) * size));
}

/** One example's probabilities. */
function probabilities(link: ClassLink, mean: readonly number[], covariance: readonly number[], how = draw): number[] {
  return [...classProbabilities(link, Float64Array.from(mean), Float64Array.from(covariance), 1, mean.length, how)];
}

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

/** A Aᵀ + ridge I for an A [n, rank]. */
function covarianceOf(a: readonly number[], n: number, rank: number, ridge: number): number[] {
  const rows = Array.from({ length: n }, (_, i) => a.slice(i * rank, (i + 1) * rank));
  return rows.flatMap((row, i) => rows.map((other, j) => sum(row.map((x, k) => x * other[k])) + (i === j ? ridge : 0)));
}

const real = (size: number) => fc.double({ min: -size, max: size, noNaN: true });

/** A mean and a positive definite covariance. */
const gaussians = fc.integer({ min: 1, max: 6 }).chain((n) =>
  fc.record({
    mean: fc.array(real(8), { minLength: n, maxLength: n }),
    covariance: fc.array(real(2), { minLength: n * n, maxLength: n * n }).map((a) => covarianceOf(a, n, n, 0.05)),
  }),
);

/** Means of all sizes, and covariances of all sizes and ranks, rounded. */
const extremes = fc.integer({ min: 1, max: 6 }).chain((n) =>
  fc.integer({ min: 0, max: n }).chain((rank) =>
    fc.record({
      mean: fc.array(fc.oneof(real(10), real(1000), fc.constantFrom(-1000, 1000, 0, 1e300, -1e300)), {
        minLength: n,
        maxLength: n,
      }),
      covariance: fc
        .tuple(
          fc.array(fc.oneof(real(1), fc.constant(0)), { minLength: n * rank, maxLength: n * rank }),
          fc.constantFrom(0, 1e-300, 1e-12, 1, 1e4, 1e200),
          fc.array(real(1e-15), { minLength: n * n, maxLength: n * n }),
        )
        .map(([a, size, noise]) => covarianceOf(a, n, rank, 0).map((x, i) => size * (x + noise[i]))),
    }),
  ),
);

describe("the independent reference", () => {
  const keys = { probit: "probit", bridge: "bridge", normalizedBridge: "bridgeNorm" } as const;

  describe.each(oracles.cases)("$C classes", (oracle) => {
    const [batch, classes] = oracle.mean.shape;
    const of = (link: ClassLink, how = draw) =>
      classProbabilities(
        link,
        Float64Array.from(oracle.mean.data),
        Float64Array.from(oracle.var.data),
        batch,
        classes,
        how,
      );

    test.each(["probit", "bridge", "normalizedBridge"] as const)("%s", (link) => {
      expect(of(link)).toBeAllClose(oracle[keys[link]].data, { relative: 1e-9 });
    });

    // The reference keeps the paper's p_k, whose sum is 1 for two classes only: its rows are normalised here.
    test.each(["meanField1", "meanField2"] as const)("%s", (link) => {
      const rows = chunks(oracle[link].data, classes);
      for (const row of rows) expect(Math.abs(sum(row) - 1)).toBeLessThan(classes === 2 ? 1e-12 : 0.01);
      const expected = rows.flatMap((row) => row.map((p) => p / sum(row)));
      expect(of(link)).toBeAllClose(expected, { relative: 1e-9 });
    });

    test("monteCarlo, against 200000 other draws", () => {
      // Five standard errors of the mean of 20000 numbers within [0, 1]
      expect(of("monteCarlo", { samples: 20_000, seed: 1 })).toBeAllClose(oracle.mcMean200k.data, {
        relative: 0,
        absolute: 0.018,
      });
    });
  });
});

describe.each(classLinks)("%s", (link) => {
  test("gives probabilities, whatever the logits", () => {
    fc.assert(
      fc.property(extremes, ({ mean, covariance }) => {
        const p = probabilities(link, mean, covariance);
        for (const value of p) expect(value).toBeGreaterThanOrEqual(0);
        expect(Math.abs(sum(p) - 1)).toBeLessThan(1e-14);
      }),
    );
  });

  test("is the plugin at zero covariance", () => {
    fc.assert(
      fc.property(gaussians, ({ mean, covariance }) => {
        const zero = covariance.map(() => 0);
        expect(probabilities(link, mean, zero)).toBeAllClose(softmax(mean), { relative: 1e-12 });
      }),
    );
  });

  test("treats every example of a batch like one alone", () => {
    const random = new Random(5);
    const means = Array.from({ length: 4 }, () => Array.from({ length: 3 }, () => 3 * random.normal()));
    const covariances = means.map(() =>
      covarianceOf(
        Array.from({ length: 9 }, () => random.normal()),
        3,
        3,
        0,
      ),
    );
    const together = classProbabilities(
      link,
      Float64Array.from(means.flat()),
      Float64Array.from(covariances.flat()),
      4,
      3,
      draw,
    );
    expect([...together]).toEqual(means.flatMap((mean, i) => probabilities(link, mean, covariances[i])));
  });

  test("of no examples is empty, and of one class is 1", () => {
    expect(classProbabilities(link, new Float64Array(0), new Float64Array(0), 0, 3, draw)).toHaveLength(0);
    expect(probabilities(link, [7], [2])).toBeAllClose([1], { relative: 1e-14 });
  });
});

describe.each(deterministic)("%s", (link) => {
  test("does not depend on the order of the classes", () => {
    const shuffled = gaussians.chain((g) => fc.tuple(fc.constant(g), fc.nat(1000)));
    fc.assert(
      fc.property(shuffled, ([{ mean, covariance }, seed]) => {
        const n = mean.length;
        const order = [...new Random(seed).permutation(n)];
        const p = probabilities(
          link,
          order.map((i) => mean[i]),
          order.flatMap((i) => order.map((j) => covariance[i * n + j])),
        );
        const q = probabilities(link, mean, covariance);
        expect(p).toBeAllClose(
          order.map((i) => q[i]),
          { relative: 1e-8, absolute: 1e-12 },
        );
      }),
    );
  });
});

// Not so for probit, which scales every logit by itself, and the bridges, which condition on the logits' sum.
test.each(["plugin", "meanField1", "meanField2", "monteCarlo"] as const)("%s ignores the logits' level", (link) => {
  fc.assert(
    fc.property(gaussians, real(50), ({ mean, covariance }, level) => {
      const raised = mean.map((f) => f + level);
      expect(probabilities(link, raised, covariance)).toBeAllClose(probabilities(link, mean, covariance), {
        relative: 1e-11,
      });
    }),
  );
});

test("probit and the bridges depend on the logits' level", () => {
  const covariance = [1, 0.2, 0, 0.2, 2, 0, 0, 0, 4];
  for (const link of ["probit", "bridge", "normalizedBridge"] as const) {
    const [p, q] = [0, 3].map((level) => probabilities(link, [1 + level, level, -1 + level], covariance));
    expect(Math.abs(p[0] - q[0])).toBeGreaterThan(0.01);
  }
});

test("with equal variances and no covariances, all approximations but the bridges are near the integral", () => {
  const random = new Random(11);
  // The largest error seen for variances up to 1, with independent logits of variance 4 for means
  const allowed = { probit: 0.1, meanField1: 0.06, meanField2: 0.06 };
  for (let i = 0; i < 20; i++) {
    const n = 2 + random.integer(4);
    const mean = Array.from({ length: n }, () => 2 * random.normal());
    const variance = random.uniform();
    const covariance = covarianceOf([], n, 0, variance);
    const exact = probabilities("monteCarlo", mean, covariance, { samples: 20_000, seed: i });
    for (const [link, absolute] of Object.entries(allowed)) {
      expect(probabilities(link as ClassLink, mean, covariance)).toBeAllClose(exact, { relative: 0, absolute });
    }
  }
});

test("meanField2 follows covariances: logits that move together are as good as certain", () => {
  const ones = Array.from({ length: 9 }, () => 25);
  expect(probabilities("meanField2", [1, 0, -2], ones)).not.toEqual(probabilities("meanField1", [1, 0, -2], ones));
  const [two, exact] = (["meanField2", "monteCarlo"] as const).map((link) =>
    probabilities(link, [1, -1], [9, 9, 9, 9]),
  );
  expect(two).toBeAllClose(softmax([1, -1]), { relative: 1e-12 });
  expect(exact).toBeAllClose(softmax([1, -1]), { relative: 1e-12 });
});

describe("the bridges where a formula ends", () => {
  const [third, one] = [1 / 3, 1];

  test("the mean ignores the covariance's size: the limit at zero is not the plugin", () => {
    const identity = covarianceOf([], 3, 0, 1);
    const p = probabilities("bridge", [2, 0, -2], identity);
    const tiny = identity.map((x) => 1e-200 * x);
    expect(probabilities("bridge", [2, 0, -2], tiny)).toBeAllClose(p, { relative: 1e-12 });
    expect(Math.abs(p[0] - softmax([2, 0, -2])[0])).toBeGreaterThan(0.05);
    expect(probabilities("normalizedBridge", [2, 0, -2], tiny)).toBeAllClose([1, 0, 0], { relative: 0 });
  });

  test("logits whose sum is certain are centred, and nothing else", () => {
    const random = new Random(6);
    for (let run = 0; run < 20; run++) {
      // Rows of A without their columns' means: the rows of A Aᵀ sum to zero within rounding.
      const columns = Array.from({ length: 4 }, () => Array.from({ length: 4 }, () => random.normal()));
      const centred = columns.map((column) => column.map((x) => x - sum(column) / 4));
      const covariance = covarianceOf(
        [0, 1, 2, 3].flatMap((i) => centred.map((column) => column[i])),
        4,
        4,
        0,
      );
      for (const link of ["bridge", "normalizedBridge"] as const) {
        const p = probabilities(link, [2, 0.5, -2.5, 0], covariance);
        expect(probabilities(link, [12, 10.5, 7.5, 10], covariance)).toBeAllClose(p, { relative: 1e-10 });
      }
    }
  });

  test("one uncertain logit is settled by the others", () => {
    expect(probabilities("bridge", [10, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0, 0])).toBeAllClose([third, third, third]);
  });

  test("one certain logit takes everything", () => {
    const p = probabilities("bridge", [-3, 1, 2], [0, 0, 0, 0, one, 0, 0, 0, one]);
    expect(p[0]).toBeGreaterThan(1 - 1e-9);
  });
});

describe("monteCarlo", () => {
  test("averages the softmax of differences from the first logit, drawn once from the seed for all examples", () => {
    const random = new Random(9);
    const half = chunks(
      Array.from({ length: 6 }, () => random.normal()),
      2,
    );
    // Five draws are six: each of three, and its opposite.
    const noise = half.flatMap(([a, b]) => [
      [a, b],
      [-a, -b],
    ]);
    // Of the differences (f1 − f0, f2 − f0): variances 4 and 3, covariance 1.5.
    const covariance = [2, 0, 0.5, 0, 2, 0, 0.5, 0, 2];
    const at = ([a, b]: readonly number[]) => [0, -1.5 + 2 * a, 0.5 + 0.75 * a + Math.sqrt(3 - 0.75 ** 2) * b];
    const expected = [0, 1, 2].map((k) => sum(noise.map((pair) => softmax(at(pair))[k] / 6)));
    const p = classProbabilities(
      "monteCarlo",
      Float64Array.of(0.5, -1, 1, 0.5, -1, 1),
      Float64Array.from([...covariance, ...covariance]),
      2,
      3,
      { samples: 5, seed: 9 },
    );
    expect(p).toBeAllClose([...expected, ...expected], { relative: 1e-13 });
    const [one] = binaryProbabilities("monteCarlo", Float64Array.of(0.5), Float64Array.of(4), { samples: 5, seed: 9 });
    expect(one).toBeCloseTo(
      sum(
        half
          .flat()
          .slice(0, 3)
          .flatMap((z) => [sigmoid(0.5 + 2 * z) / 6, sigmoid(0.5 - 2 * z) / 6]),
      ),
      13,
    );
  });

  test("draws from singular covariances what they are drawn from", () => {
    const random = new Random(7);
    for (let run = 0; run < 20; run++) {
      const a = Array.from({ length: 6 }, () => random.normal());
      const noise = new Random(run);
      const draws = Array.from({ length: 2 }, () => Array.from({ length: 5 }, () => noise.normal())[0]).flatMap((z) => [
        z,
        -z,
      ]);
      const sign = Math.sign(a[1] - a[0]);
      const expected = a.map((_, k) => sum(draws.map((z) => softmax(a.map((x) => x * sign * z))[k] / 4)));
      const mean = a.map(() => 0);
      expect(probabilities("monteCarlo", mean, covarianceOf(a, 6, 1, 0), { samples: 3, seed: run })).toBeAllClose(
        expected,
        { relative: 1e-11 },
      );
    }
  });

  test("depends on the seed and on nothing else", () => {
    const [a, b, c] = [1, 1, 2].map((seed) => probabilities("monteCarlo", [0, 1], [2, 0, 0, 2], { samples: 9, seed }));
    expect(a).toEqual(b);
    expect(a).not.toEqual(c);
  });
});
