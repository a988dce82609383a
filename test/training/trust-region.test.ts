// A step in a region against dense matrices: what it promises is what the exact Hessian says, it stays in the region, and it is no worse than
// the best along the preconditioned gradient.

import fc from "fast-check";
import { expect, test } from "vitest";
import { expansion } from "../../src/curvature/expansion.ts";
import { readPlan, withOwn } from "../../src/curvature/plan.ts";
import { pointsOf } from "../../src/curvature/point.ts";
import {
  chain,
  cholesky,
  curvatureOf,
  type Dataset,
  dense,
  gaussian,
  type Likelihood,
  poisson,
  randomNormal,
  tanh,
} from "../../src/index.ts";
import { atOnce } from "../../src/kernels/steps.ts";
import { bringAll } from "../../src/structures/all.ts";
import { modelOf } from "../../src/training/damped-steps.ts";
import { byHessian } from "../../src/training/trust-region.ts";

bringAll();

const N = 20;
const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => Array.from(a).reduce((sum, x, i) => sum + x * b[i], 0);

const subjects: [string, Likelihood, (f: number) => number][] = [
  ["numbers", gaussian(), (f) => f],
  ["counts", poisson(), (f) => Math.round(Math.exp(f))],
];

test.each(subjects)("of %s", (_, likelihood, target) => {
  fc.assert(
    fc.property(
      fc.nat(1000),
      fc.double({ min: -3, max: 2, noNaN: true }),
      fc.double({ min: -2, max: 1, noNaN: true }),
      (seed, size, prior) => {
        const net = chain({ inputs: 2, dtype: "float64", seed }, dense(3, tanh), dense(1));
        const x = randomNormal([N, 2], { seed: seed + 1 });
        const noise = randomNormal([N, 1], { seed: seed + 2 });
        for (let i = 0; i < N; i++) noise.data[i] = target(noise.data[i]);
        const data: Dataset = { x, y: noise };
        const batch = { inputs: x, targets: noise };
        const plan = (curvature: "ggn" | "hessian") =>
          withOwn(
            "test",
            readPlan("test", net, () => likelihood, { structure: "full", curvature }),
            {},
          );
        const n = net.parameterCount;
        const penalties = new Float64Array(n).fill(10 ** prior);
        const at = atOnce(expansion("test", plan("ggn"), batch));
        const model = modelOf(at, Float64Array.from(net.parameters.data), 0.7, penalties);
        const point = atOnce(pointsOf("test", plan("ggn"), plan("hessian"), batch)());
        const step = atOnce(byHessian()(model, point, 10 ** size));
        if (step === undefined) throw new Error("There is no step.");
        // In a smaller region the way is the same up to where it ends.
        for (const part of [0.7, 0.1]) {
          const again = atOnce(byHessian()(model, point, part * step.length));
          const { path: _, ...anew } = model;
          const fresh = atOnce(byHessian()(anew, point, part * step.length));
          for (const name of ["step", "predicted", "length", "bounded"] as const)
            expect(again?.[name]).toEqual(fresh?.[name]);
        }

        const matrix = (curvature: "ggn" | "hessian") => {
          const h = curvatureOf(net, likelihood, data, { structure: "full", curvature }).dense().data;
          const some = curvature === "ggn" ? 1e-6 : 0;
          return Array.from({ length: n }, (_, i) =>
            Array.from(
              { length: n },
              (_, j) => 0.7 * h[i * n + j] + (i === j ? penalties[i] + some * model.scale[i] : 0),
            ),
          );
        };
        const [exact, m] = [matrix("hessian"), matrix("ggn")];
        const times = (a: number[][], v: ArrayLike<number>) => a.map((row) => dot(row, v));
        const falls = (v: ArrayLike<number>) => -dot(model.gradient, v) - 0.5 * dot(v, times(exact, v));
        expect([step.predicted]).toBeAllClose([falls(step.step)], { relative: 1e-8, absolute: 1e-10 });
        const length = Math.sqrt(dot(step.step, times(m, step.step)));
        expect([step.length]).toBeAllClose([length], { relative: 1e-6 });
        expect(length).toBeLessThan(10 ** size * (1 + 1e-6));

        // The best of the region along M⁻¹ g, where conjugate gradients begin.
        const down = Array.from(cholesky(m).solve(model.gradient).data, (v) => -v);
        const curve = dot(down, times(exact, down));
        const most = 10 ** size / Math.sqrt(dot(down, times(m, down)));
        const by = curve > 0 ? Math.min(most, -dot(model.gradient, down) / curve) : most;
        expect(step.predicted).toBeGreaterThan(falls(down.map((v) => by * v)) * (1 - 1e-6) - 1e-10);
      },
    ),
    { numRuns: 15 },
  );
});
