// The exact Hessian of a convolutional network of 666 weights, and its posterior, against the plain-autograd reference.

import { expect, test } from "vitest";
import { array, eigh, laplace } from "../../src/index.ts";
import { readOracle } from "./oracles.ts";

test("the matrix, the evidence, variances and joint covariances are the reference's", async () => {
  const { net, task, data, oracle, test: x } = readOracle("digits_cnn");
  const { laplaceHessian, hessianDiag, hessianStats } = oracle;
  const { full } = laplaceHessian;
  const posterior = await laplace(net, {
    likelihood: task,
    structure: "full",
    curvature: "hessian",
    priorPrecision: [laplaceHessian.hyper.priorPrecision].flat(),
    checks: false,
  }).fit(data);
  const near = (due: readonly number[]) => {
    const largest = due.reduce((most, one) => Math.max(most, Math.abs(one)), 0);
    return { relative: 1e-9, absolute: 1e-10 * largest };
  };
  const { curvature } = posterior;
  expect(curvature.diagonal().data).toBeAllClose(hessianDiag.data, near(hessianDiag.data));
  const square = [...curvature.dense().data].reduce((sum, one) => sum + one * one, 0);
  expect([Math.sqrt(square)]).toBeAllClose([hessianStats.frobenius], { relative: 1e-9 });
  const [least] = eigh(curvature.dense(), { vectors: false }).values.data;
  expect(least).toBeCloseTo(hessianStats.minEigenvalue, 8);
  if (full === undefined) throw new Error("The fixture has no posterior.");
  const { logDetPosterior, logMarginalLikelihood } = posterior.evidence();
  expect([logDetPosterior, logMarginalLikelihood]).toBeAllClose([full.logDetPosterior, full.logMarglik], {
    relative: 1e-9,
  });
  expect(posterior.variance().data).toBeAllClose(full.variance.data, near(full.variance.data));
  const first = array(x.data.subarray(0, (5 * x.size) / x.shape[0]), { shape: [5, ...x.shape.slice(1)] });
  const joint = posterior.functionCovariance(first, { joint: true });
  expect(joint.data).toBeAllClose(full.jointCov?.data ?? [], near(full.jointCov?.data ?? []));
});
