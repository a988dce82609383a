// Files that version 0.1.0 wrote, as it was before: they load, and the posteriors answer what they answered then.

import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Approximation, loadPosterior, type Prediction } from "../../src/index.ts";
import { kernels, useBuild } from "../../src/kernels/kernels.ts";

interface Earlier {
  readonly name: string;
  /** base64 of gzip */
  readonly file: string;
  readonly predictions: Readonly<Record<string, Readonly<Record<keyof Prediction, number[]>>>>;
  readonly variance: number[];
  readonly logMarginalLikelihood: number;
}

const { inputs, files } = JSON.parse(readFileSync("test/fixtures/files-0.1.0.json", "utf8")) as {
  readonly inputs: number[][];
  readonly files: readonly Earlier[];
};
// Images of the one convolutional network among them.
const images = Array.from({ length: inputs.length }, (_, i) => [
  Array.from({ length: 6 }, (_, r) => Array.from({ length: 6 }, (_, c) => Math.sin(i * 36 + r * 6 + c))),
]);
const active = kernels.info().build;
// The bits are those of this build.
beforeAll(() => useBuild("simd"));
afterAll(() => useBuild(active));

test.each(files)("$name", ({ name, file, predictions, variance, logMarginalLikelihood }) => {
  const posterior = loadPosterior(gunzipSync(Buffer.from(file, "base64")));
  expect(posterior.logMarginalLikelihood()).toBeCloseTo(logMarginalLikelihood, 8);
  expect(posterior.variance().data).toBeAllClose(variance, { relative: 1e-11, absolute: 0 });
  // Variances are dot products since, summed in another order than the products they were.
  const relative = posterior.net.dtype === "float32" ? 5e-7 : 1e-12;
  for (const [approximation, earlier] of Object.entries(predictions)) {
    const options = { approximation: approximation as Approximation, samples: 3 };
    const { mean, variance, functionMean, functionVariance } = posterior.predict(
      name === "images" ? images : inputs,
      options,
    );
    // Drawn networks differ in the last bits between runtimes.
    if (approximation === "network") {
      expect(functionMean.data).toBeAllClose(earlier.functionMean, { relative, absolute: 1e-14 });
    } else expect(Array.from(functionMean.data), approximation).toEqual(earlier.functionMean);
    expect(functionVariance.data, approximation).toBeAllClose(earlier.functionVariance, {
      relative,
      absolute: 1e-14,
    });
    // Draws of logits come in pairs of opposite signs since, and those of classes are of their differences.
    if (approximation === "monteCarlo") continue;
    expect(mean.data, approximation).toBeAllClose(earlier.mean, { relative, absolute: 1e-14 });
    expect(variance.data, approximation).toBeAllClose(earlier.variance, { relative, absolute: 1e-16 });
  }
});
