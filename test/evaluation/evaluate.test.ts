import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  array,
  chain,
  DataLoader,
  dense,
  evaluate,
  expectedCalibrationError,
  laplace,
  OptionError,
  Random,
  ShapeError,
  ValueError,
} from "../../src/index.ts";
import { type OracleName, readOracle } from "../laplace/oracles.ts";

async function fitted(name: OracleName, priorPrecision = 1) {
  const { net, task, data, test: x, oracle } = readOracle(name);
  const posterior = await laplace(net, { likelihood: task, structure: "full", priorPrecision, checks: false }).fit(
    data,
  );
  return { posterior, data, x, oracle };
}

describe("evaluate", () => {
  test("classes, against the plain-autograd reference", async () => {
    const { posterior, x } = await fitted("mlp_2_8_8_3_cls", 0.1);
    const oracle = JSON.parse(readFileSync("test/fixtures/mlp_2_8_8_3_cls.json", "utf8"));
    const due = oracle.laplace[0].full.predictive;
    expect(oracle.laplace[0].hyper.priorPrecision).toBe(0.1);
    const y = oracle.Ytest.data as number[];
    // The reference's own link; the library's default does not take the level of the logits for uncertainty.
    const result = evaluate(posterior, { x, y }, { approximation: "probit" });
    expect([
      result.negativeLogLikelihood as number,
      result.expectedCalibrationError as number,
      result.accuracy as number,
    ]).toBeAllClose([due.testNLL_probit, due.testECE15_probit, due.testAccuracy], { relative: 1e-9 });
    expect(Object.keys(result)).toEqual([
      "samples",
      "negativeLogLikelihood",
      "accuracy",
      "brierScore",
      "expectedCalibrationError",
    ]);
    expect(result.samples).toBe(12);
    const rows = y.map((label) => [0, 1, 2].map((c) => (c === label ? 1 : 0)));
    expect(evaluate(posterior, { x, y: rows }, { approximation: "probit" })).toEqual(result);
    const batches = new DataLoader({ x, y }, { batchSize: 5 });
    expect(Object.values(evaluate(posterior, batches, { approximation: "probit" }))).toBeAllClose(
      Object.values(result),
    );
    // Averages over draws exceed 1 by rounding.
    expect(evaluate(posterior, { x, y }, { approximation: "monteCarlo", samples: 100 }).accuracy).toBeGreaterThan(0.8);
    const plugin = evaluate(posterior, { x, y }, { approximation: "plugin" });
    expect(plugin.expectedCalibrationError).toBe(
      expectedCalibrationError(posterior.predict(x, { approximation: "plugin" }).mean, y),
    );
  });

  test("a regression of two outputs", async () => {
    const { posterior, data } = await fitted("reg_3_10_2");
    const { mean, variance } = posterior.predict(data.x);
    const result = evaluate(posterior, data, { level: 0.5 });
    const n = mean.size;
    const z = Array.from(mean.data, (m, i) => (data.y.data[i] - m) / Math.sqrt(variance.data[i]));
    const error = Array.from(mean.data, (m, i) => data.y.data[i] - m);
    const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
    expect(result.samples).toBe(25);
    expect([
      result.negativeLogLikelihood as number,
      result.rootMeanSquaredError as number,
      result.meanAbsoluteError as number,
      result.intervalCoverage as number,
      result.intervalWidth as number,
      result.sigmaScaling as number,
    ]).toBeAllClose([
      sum(z.map((value, i) => 0.5 * (value ** 2 + Math.log(2 * Math.PI * variance.data[i])))) / n,
      Math.sqrt(sum(error.map((e) => e ** 2)) / n),
      sum(error.map(Math.abs)) / n,
      z.filter((value) => Math.abs(value) <= 0.6744897501960817).length / n,
      (2 * 0.6744897501960817 * sum(Array.from(variance.data, Math.sqrt))) / n,
      Math.sqrt(sum(z.map((value) => value ** 2)) / n),
    ]);
    expect(result.crps).toBeGreaterThan(0);
    expect(result.miscalibrationArea).toBeLessThan(0.5);
    expect(result.accuracy).toBeUndefined();
  });

  test("binary labels, of one logit and of several", async () => {
    const { posterior, data } = await fitted("logreg_2_1_bernoulli");
    const result = evaluate(posterior, data);
    expect(Object.keys(result)).toContain("auroc");
    expect(result.auroc).toBeGreaterThan(0.5);
    const ones = { x: data.x, y: Array.from({ length: data.x.shape[0] }, () => 1) };
    expect(evaluate(posterior, ones).auroc).toBeUndefined();

    const random = new Random(1);
    const x = array(Array.from({ length: 30 }, () => [random.normal(), random.normal()]));
    const y = array(Array.from({ length: 30 }, (_, i) => [x.at(i, 0) > 0 ? 1 : 0, x.at(i, 1) > 0 ? 1 : 0]));
    const net = chain({ inputs: 2, seed: 1, dtype: "float64" }, dense(2));
    net.setParameters([3, 0, 0, 3, 0, 0]);
    const several = await laplace(net, { likelihood: "binary", checks: false }).fit({ x, y });
    expect(evaluate(several, { x, y })).toMatchObject({ samples: 30, accuracy: 1, auroc: 1 });
  });

  test("refusals", async () => {
    const { posterior, data } = await fitted("logreg_2_1_bernoulli");
    expect(() => evaluate(posterior, { x: data.x, y: [1] })).toThrow(ShapeError);
    expect(() => evaluate(posterior, { x: [[1, 2]], y: [[1, 0]] })).toThrow(ShapeError);
    expect(() => evaluate(posterior, { x: [[1, 2]], y: [1.5] })).toThrow(ValueError);
    expect(() => evaluate(posterior, [])).toThrow("there are no data");
    expect(() => evaluate(posterior, undefined as never)).toThrow(ValueError);
    expect(() => evaluate(posterior, data, { link: "probit" } as object)).toThrow(OptionError);
    expect(() => evaluate({} as never, data)).toThrow("the first argument must be a posterior");
    const {
      posterior: regression,
      data: { x, y },
    } = await fitted("reg_3_10_2");
    expect(() => evaluate(regression, { x, y }, { level: 2 })).toThrow(OptionError);
    expect(() =>
      evaluate(regression, [
        { x, y },
        { x, y: y.reshape(25, 1, 2) },
      ]),
    ).toThrow("batches differ in shape");
  });
});
