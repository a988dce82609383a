import { afterEach, expect, test, vi } from "vitest";
import {
  array,
  categorical,
  chain,
  curvatureOf,
  dense,
  laplace,
  layerNorm,
  randomNormal,
  type Structure,
} from "../../src/index.ts";
import { kernelsFor } from "../../src/kernels/kernels.ts";

afterEach(() => vi.restoreAllMocks());

// Scales, shifts and biases, each with one position for each row.
const layers = [dense(5), layerNorm(), dense(4)];
const positions = 6;
const net = chain({ inputs: [positions, 3], dtype: "float64", seed: 3 }, ...layers);
const x = randomNormal([7, positions, 3], { seed: 1 });
const labels = array(
  Array.from({ length: 7 * positions }, (_, i) => (i * 5) % 4),
  { shape: [7, positions] },
);

test.each(["full", "diagonal", "kronecker", "ekfac"] satisfies Structure[])(
  "%s: columns of vectors at one position are not summed over positions",
  (structure) => {
    const sums = vi.spyOn(kernelsFor("float64"), "sumAxis");
    const likelihood = categorical({ classAxis: "last" });
    curvatureOf(net, likelihood, { x, y: labels }, { structure });
    // The loss's own column is not cut into positions; those of the curvature are several, for each of 42 positions.
    expect(sums).toHaveBeenCalled();
    const each = sums.mock.calls.filter(([outer, n]) => outer > 1 && n === 1);
    expect(each).toEqual([]);
  },
);

test("what arrives at a bias stays as it is for the layers below", async () => {
  const small = chain({ inputs: 3, dtype: "float64", seed: 5 }, dense(4), dense(2));
  const data = { x: randomNormal([8, 3], { seed: 2 }), y: randomNormal([8, 2], { seed: 3 }) };
  const at = randomNormal([3, 3], { seed: 4 });
  const options = { likelihood: "regression", structure: "diagonal", checks: false } as const;
  // The bias is asked before the weights of the layer below: without it their part is the same.
  const all = await laplace(small, options).fit(data);
  const weights = await laplace(small, {
    ...options,
    weights: { parameters: ["0.weight", "1.weight", "0.bias"] },
  }).fit(data);
  const bias = await laplace(small, { ...options, weights: { parameters: ["1.bias"] } }).fit(data);
  const [a, b, c] = [all, weights, bias].map((posterior) => posterior.predict(at).functionVariance.data);
  a.forEach((variance: number, i: number) => {
    expect(variance).toBeCloseTo(b[i] + c[i], 12);
  });
});
