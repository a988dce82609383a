// Networks of PyTorch cut in two: what is before the cut runs in onnxruntime-web or -node, and posteriors behind it are those of the
// whole network.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { array, chain, dense, laplace, type NDArray, Random } from "laplace-ts";
import { fromOnnx, type OnnxRuntime, withFeatures } from "laplace-ts-models";
import { describe, expect, test } from "vitest";
import { installed } from "./registry.ts";

const NAME = "onnxruntime-web";
const web = (await import(NAME)) as OnnxRuntime & { env: { wasm: { numThreads: number }; logLevel: string } };
web.env.wasm.numThreads = 1;
web.env.logLevel = "error";
const native = installed({ name: "onnxruntime-node", version: "1.30.0" });
const runtimes: [string, OnnxRuntime][] = [[NAME, web]];
if (native !== undefined) runtimes.push(["onnxruntime-node", createRequire(import.meta.url)(native)]);
/** Of the repository's tools, which are plain JavaScript. */
const tools = "../../../tools/chromium.mjs";

const folder = "build/features";
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
execFileSync("/usr/bin/python3", ["-W", "ignore", "models/test/pytorch/checkpoints.py", folder], {
  stdio: ["ignore", "ignore", "inherit"],
});

function close(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-5): void {
  expect(actual.length).toBe(expected.length);
  const scale = Math.max(...Array.from(expected, Math.abs));
  const worst = Math.max(...Array.from(expected, (value, i) => Math.abs(actual[i] - value)));
  expect(worst).toBeLessThanOrEqual(tolerance * scale);
}

/** 40 inputs like those of the file. */
function inputsOf({ x }: { x: { shape: number[]; data: number[] } }, tokens: boolean): NDArray {
  const random = new Random(3);
  const size = (40 * x.data.length) / x.shape[0];
  const data = Float32Array.from({ length: size }, () => (tokens ? random.integer(11) : random.normal()));
  return array(data, { shape: [40, ...x.shape.slice(1)] });
}

/** A runtime that writes down how many examples each run has. */
function counting({ Tensor, InferenceSession }: OnnxRuntime): { runtime: OnnxRuntime; runs: number[] } {
  const runs: number[] = [];
  const create: OnnxRuntime["InferenceSession"]["create"] = async (file, options) => {
    const session = await InferenceSession.create(file, options);
    return {
      inputNames: session.inputNames,
      outputNames: session.outputNames,
      run: (feeds, fetches) => {
        runs.push((Object.values(feeds)[0] as { dims: number[] }).dims[0]);
        return session.run(feeds, fetches);
      },
      release: async () => session.release?.(),
    };
  };
  return { runtime: { Tensor, InferenceSession: { create } }, runs };
}

const y = Array.from({ length: 40 }, (_, i) => i % 3);
const task = { likelihood: "classification", structure: "full", priorPrecision: 0.3, checks: false } as const;

const models = [
  // By a node's name and by a value's.
  ["resnet18", "/Flatten", "Flatten"],
  ["bert", "/Tanh_output_0", "Tanh"],
  ["vit", "/Gather_1", "Gather"],
] as const;

describe.each(models)("%s", (name, at, operator) => {
  const bytes = readFileSync(`${folder}/${name}.onnx`);
  const x = inputsOf(JSON.parse(readFileSync(`${folder}/${name}.json`, "utf8")), name === "bert");
  const whole = fromOnnx(bytes).network;

  test.each(runtimes)("by %s a posterior of the last layer is that of the whole network", async (_, runtime) => {
    const counted = counting(runtime);
    const frozen = await withFeatures(bytes, at, { runtime: counted.runtime });
    counted.runs.length = 0;
    expect(frozen.report.at.operator).toBe(operator);
    expect(frozen.network.parameterCount).toBe(frozen.report.shape[0] * 3 + 3);
    const expected = await laplace(whole, { ...task, weights: "lastLayer" }).fit({ x, y });
    const found = await frozen.fit(laplace(frozen.network, task), { x, y });
    close([found.logMarginalLikelihood()], [expected.logMarginalLikelihood()]);
    close(found.optimizePrior().priorPrecision.data, expected.optimizePrior().priorPrecision.data, 1e-3);
    // Each example went through once, by batches of 32: the evidence and tuning need none.
    expect(counted.runs).toEqual([32, 8]);
    const [theirs, ours] = [expected.predict(x), await frozen.predict(found, x)];
    expect(counted.runs).toEqual([32, 8, 32, 8]);
    close(ours.functionMean.data, theirs.functionMean.data);
    close(ours.functionVariance.data, theirs.functionVariance.data);
    close(ours.mean.data, theirs.mean.data);
    await frozen.release();
  });

  test("cut anywhere it is the whole network", { timeout: 300_000 }, async () => {
    const expected = whole.forward(x);
    const first = await withFeatures(bytes, at, { runtime: web });
    // The last value is what is asked for, behind which there is nothing.
    const cuts = first.report.cuts.slice(0, -1);
    expect(cuts.length).toBeGreaterThan(12);
    for (const cut of cuts) {
      const { network, features, release } = await withFeatures(bytes, cut, { runtime: web }).then((one) => ({
        network: one.network,
        features: () => one.features(x),
        release: () => one.release(),
      }));
      close(network.forward(await features()).data, expected.data);
      await release();
    }
  });

  test("layers of one's own take the place of the rest", async () => {
    const frozen = await withFeatures(bytes, at, {
      runtime: web,
      network: (inputs) => chain({ inputs, seed: 1 }, dense(2)),
    });
    const kept = await frozen.data({ x, y: y.map((label) => [label, -label]) });
    const posterior = await laplace(frozen.network, { likelihood: "regression", checks: false }).fit(kept);
    expect(posterior.predict(kept.x).mean.shape).toEqual([40, 2]);
  });
});

test("a page that cuts a network, fits and predicts with uncertainty", { timeout: 300_000 }, async () => {
  const ort = "/models/test/pytorch/node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";
  const program = `
import * as ort from "${ort}";
import { laplace } from "laplace-ts";
import { withFeatures } from "laplace-ts-models";
ort.env.wasm.numThreads = 1;
const { bytes, x, y, at } = await (await fetch("/${folder}/page.json")).json();
const frozen = await withFeatures(Uint8Array.from(bytes), at, { runtime: ort });
const posterior = await frozen.fit(laplace(frozen.network, ${JSON.stringify(task)}), { x, y });
const { mean, functionVariance } = await frozen.predict(posterior, x);
console.log(JSON.stringify({ mean: [...mean.data], variance: [...functionVariance.data] }));
`;
  const [name, at] = models[0];
  const bytes = readFileSync(`${folder}/${name}.onnx`);
  const x = inputsOf(JSON.parse(readFileSync(`${folder}/${name}.json`, "utf8")), false);
  const nested = Array.from({ length: 40 }, (_, i) =>
    Array.from({ length: 3 }, (_, c) =>
      Array.from({ length: 33 }, (_, r) =>
        Array.from(x.data.slice(((i * 3 + c) * 33 + r) * 33, ((i * 3 + c) * 33 + r + 1) * 33)),
      ),
    ),
  );
  writeFileSync(`${folder}/page.json`, JSON.stringify({ bytes: Array.from(bytes), x: nested, y, at }));
  writeFileSync(`${folder}/page.mjs`, program);
  const { inChromium } = (await import(tools)) as {
    inChromium(folder: string, modules: string[], options: object): Promise<string[]>;
  };
  const imports = {
    "laplace-ts-models": "/node_modules/laplace-ts-models/dist/index.js",
    "@bufbuild/protobuf/wire": "/node_modules/@bufbuild/protobuf/dist/esm/wire/index.js",
  };
  const [line] = await inChromium(process.cwd(), [`/${folder}/page.mjs`], { imports, seconds: 200 });
  const found: { mean: number[]; variance: number[] } = JSON.parse(line);
  const expected = (await laplace(fromOnnx(bytes).network, { ...task, weights: "lastLayer" }).fit({ x, y })).predict(x);
  close(found.mean, expected.mean.data);
  close(found.variance, expected.functionVariance.data);
});

/** The program of docs/models.md that needs a runtime, which the docs' own tests do not have. */
test("the page of the docs runs", async () => {
  const text = readFileSync("docs/models.md", "utf8");
  const section = text.slice(text.indexOf("## Features in onnxruntime"));
  const [, code, due] = /^```js\n([\s\S]*?)^```$\s*^It prints `([^`]*)`/m.exec(section) ?? [];
  const place = pathToFileURL(createRequire(import.meta.url).resolve(NAME)).href;
  const program = `${process.cwd()}/${folder}/docs.mjs`;
  writeFileSync(program, code.replace(`"${NAME}"`, `"${place}"`));
  const printed = execFileSync(process.execPath, [program], { encoding: "utf8" });
  expect(printed.trim()).toBe(due);
});
