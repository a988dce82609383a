// A network of MobileNetV2's size: its file opens quickly, its last layer has a posterior in little memory, and a page predicts with it.

import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";

const folder = "build/mobilenet";
const page = "build/mobilenet/page.mjs";
/** Of the repository's tools, which are plain JavaScript. */
const tools = "../../../tools/chromium.mjs";

const program = `
import "laplace-ts-models";
import { loadPosterior, zeros } from "laplace-ts";
const bytes = new Uint8Array(await (await fetch("/${folder}/posterior.safetensors")).arrayBuffer());
const posterior = loadPosterior(bytes);
const x = zeros([1, ...posterior.net.inputShape], { dtype: "float32" });
for (let i = 0; i < x.size; i++) x.data[i] = Math.sin(i);
const { mean, functionVariance } = posterior.predict(x, { approximation: "probit" });
console.log(JSON.stringify({ mean: [...mean.data], variance: [...functionVariance.data] }));
`;

interface Said {
  readonly parameters: number;
  readonly opened: number;
  readonly memory: number;
  readonly mean: number[];
  readonly variance: number[];
}

test("1,000 images, and a page that predicts with uncertainty", { timeout: 1_200_000 }, async () => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  execFileSync("/usr/bin/python3", ["models/test/pytorch/mobilenet.py", `${folder}/mobilenet.onnx`], {
    stdio: "ignore",
  });
  const files = [`${folder}/mobilenet.onnx`, `${folder}/posterior.safetensors`];
  const job = ["models/test/pytorch/mobilenet-job.mjs", ...files];
  const said: Said = JSON.parse(execFileSync(process.execPath, job, { encoding: "utf8", maxBuffer: 2 ** 26 }));
  expect(said.parameters).toBeGreaterThan(3e6);
  // Seconds of the processor, whatever else it does; bytes of the whole process at its peak.
  expect(said.opened).toBeLessThan(3);
  expect(said.memory).toBeLessThan(2 ** 30);
  writeFileSync(page, program);
  const { inChromium } = (await import(tools)) as {
    inChromium(folder: string, modules: string[], options: object): Promise<string[]>;
  };
  const imports = {
    "laplace-ts-models": "/node_modules/laplace-ts-models/dist/index.js",
    "@bufbuild/protobuf/wire": "/node_modules/@bufbuild/protobuf/dist/esm/wire/index.js",
  };
  const [line] = await inChromium(process.cwd(), [`/${page}`], { imports, seconds: 300 });
  const found: Pick<Said, "mean" | "variance"> = JSON.parse(line);
  // The kernels of a page may round otherwise.
  const close = (a: readonly number[], b: readonly number[]) => {
    expect(a.length).toBe(1000);
    const scale = Math.max(...b.map(Math.abs));
    expect(scale).toBeGreaterThan(0);
    a.forEach((value, i) => {
      expect(Math.abs(value - b[i])).toBeLessThanOrEqual(1e-3 * scale);
    });
  };
  close(found.mean, said.mean);
  close(found.variance, said.variance);
});
