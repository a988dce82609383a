// Units: targets and inputs times s, with the weights that make the same function of it, give the same posterior times s.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  chain,
  type DType,
  dense,
  evaluate,
  type LaplaceOptions,
  laplace,
  type Posterior,
  Random,
  type Structure,
  tanh,
} from "../../src/index.ts";
import { draw, trained } from "../diagnosis/subjects.ts";

const structures: Structure[] = ["full", "diagonal", "kronecker", "ekfac"];
const [data, held] = [draw("regression", 60, 1), draw("regression", 60, 101)];
const base = await trained("regression", data, { hidden: 4, epochs: 600 });
const theta = [...base.parameters.data];

/** The network and data at scales of inputs and targets. */
function scaled(sx: number, sy: number, dtype: DType) {
  const net = chain({ inputs: 2, dtype }, dense(4, tanh), dense(1));
  net.setParameters(theta.map((w, i) => (i < 8 ? w / sx : i < 12 ? w : w * sy)));
  const at = ({ x, y }: typeof data) => ({
    x: (x.toArray() as number[][]).map((row) => row.map((v) => v * sx)),
    y: (y.toArray() as number[]).map((v) => [v * sy]),
  });
  return { net, data: at(data), held: at(held) };
}

interface Case {
  readonly posterior: Posterior;
  readonly held: ReturnType<typeof scaled>["held"];
}

async function tuned(sx: number, sy: number, dtype: DType, options: Partial<LaplaceOptions>): Promise<Case> {
  const world = scaled(sx, sy, dtype);
  const fitted = await laplace(world.net, { likelihood: "regression", onWarning: () => {}, ...options }).fit(
    world.data,
  );
  const priorStructure = options.weights === "lastLayer" ? "scalar" : "perParameter";
  return { posterior: fitted.optimizePrior({ priorStructure }), held: world.held };
}

const scales = fc.double({ min: -9, max: 9, noNaN: true }).map((e) => 10 ** e);

describe.each(["float64", "float32"] as const)("%s", (dtype) => {
  test.each(structures)("%s: everything is equivariant", async (structure) => {
    const precise = dtype === "float64";
    for (const weights of ["lastLayer", "all"] as const) {
      const options = { structure, weights };
      const one = await tuned(1, 1, dtype, options);
      const { mean, variance, functionVariance } = one.posterior.predict(one.held.x);
      const metrics = evaluate(one.posterior, one.held);
      const codes = ({ posterior, held: given }: Case) =>
        [undefined, given].map((of) => posterior.diagnose(of).findings.map(({ code }) => code));
      const findings = codes(one);
      await fc.assert(
        fc.asyncProperty(scales, scales, async (sx, sy) => {
          const other = await tuned(sx, sy, dtype, options);
          const relative = precise ? 1e-5 : 2e-2;
          expect(other.posterior.tuning?.converged).toBe(true);
          expect(other.posterior.noise?.data).toBeAllClose([(one.posterior.noise?.at(0) ?? 0) * sy], { relative });
          const prediction = other.posterior.predict(other.held.x);
          const close = (ours: ArrayLike<number>, theirs: ArrayLike<number>, s: number) =>
            expect(Array.from(ours, (v) => v / s)).toBeAllClose(theirs, { relative, absolute: precise ? 1e-9 : 1e-4 });
          close(prediction.mean.data, mean.data, sy);
          close(prediction.variance.data, variance.data, sy * sy);
          close(prediction.functionVariance.data, functionVariance.data, sy * sy);
          const theirs = evaluate(other.posterior, other.held);
          const nats = (theirs.negativeLogLikelihood ?? 0) - Math.log(sy);
          expect(nats).toBeCloseTo(metrics.negativeLogLikelihood ?? 0, precise ? 4 : 1);
          for (const name of ["rootMeanSquaredError", "meanAbsoluteError", "crps", "intervalWidth"] as const) {
            close([theirs[name] ?? 0], [metrics[name] ?? 0], sy);
          }
          if (precise) expect(theirs.intervalCoverage).toBe(metrics.intervalCoverage);
          expect(codes(other)).toEqual(findings);
        }),
        {
          numRuns: 4,
          examples: [
            [1e9, 1e-9],
            [1e-9, 1e9],
          ],
        },
      );
    }
  });
});

test("where tuning begins does not matter", async () => {
  const { net, data: given } = scaled(1, 1, "float64");
  const fitted = await laplace(net, { likelihood: "regression" }).fit(given);
  const due = fitted.optimizePrior();
  for (const [priorPrecision, noise] of [
    [1e-12, 1e6],
    [1e12, 1e-6],
    [1e30, 1e10],
  ]) {
    const found = fitted.with({ priorPrecision, noise }).optimizePrior();
    expect(found.priorPrecision).toEqual(due.priorPrecision);
    expect(found.noise).toEqual(due.noise);
  }
});

test("a network that is at no minimum is said not to be, in any unit", async () => {
  const random = new Random(5);
  const far = theta.map((w) => w + 0.5 * random.normal());
  for (const s of [1e-9, 1, 1e9]) {
    const { net, data: given } = scaled(1, s, "float64");
    net.setParameters(far.map((w, i) => (i < 12 ? w : w * s)));
    const warnings: string[] = [];
    const onWarning = (message: string) => warnings.push(message);
    await laplace(net, { likelihood: "regression", weights: "lastLayer", onWarning }).fit(given);
    expect(warnings.length).toBe(1);
  }
});
