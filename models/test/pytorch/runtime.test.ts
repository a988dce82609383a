// What toOnnx writes, in onnxruntime-web: networks, and posteriors with their means, variances and probabilities.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import {
  array,
  averagePool2d,
  batchNorm,
  chain,
  conv2d,
  dense,
  embedding,
  flatten,
  gelu,
  gru,
  type Layer,
  laplace,
  lastPosition,
  layerNorm,
  lstm,
  maxPool2d,
  multiHeadAttention,
  type Posterior,
  paddingMask,
  Random,
  randomNormal,
  relu,
  residual,
  silu,
  tanh,
} from "laplace-ts";
import { toOnnx } from "laplace-ts-models";
import { expect, test } from "vitest";
import { subjectOf } from "../../../test/reference/subject.ts";
import { supportCases } from "../../../test/support/cases.ts";
import { runOnnx } from "./onnx-runtime.ts";

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  const largest = Math.max(...Array.from(expected, Math.abs));
  for (let i = 0; i < actual.length; i++)
    expect(Math.abs(actual[i] - expected[i])).toBeLessThanOrEqual(tolerance * largest);
}

const networks: [string, number[], Layer[]][] = [
  ["a perceptron", [4], [dense(5, tanh), dense(5, gelu), dense(5, silu), dense(2)]],
  [
    "images",
    [2, 8, 8],
    [conv2d(4, 3, relu, { groups: 2, padding: 1 }), batchNorm(), maxPool2d(2), averagePool2d(2), flatten, dense(3)],
  ],
  ["a transformer", [4, 6], [residual(layerNorm(), multiHeadAttention(2, { causal: true })), dense(2)]],
  ["recurrence", [3, 4], [lstm(3), gru(3), dense(2)]],
];
test.each(networks)("%s computes the same there", async (_, inputs, layers) => {
  const net = chain({ inputs, seed: 1 }, ...layers);
  const x = randomNormal([3, ...inputs], { seed: 2 });
  expectClose((await runOnnx(toOnnx(net), x)).y.data as Float32Array, net.forward(x).data, 1e-5);
});

test("tokens", async () => {
  const net = chain({ inputs: 3, seed: 1 }, embedding(7, 4), flatten, dense(2));
  const x = { shape: [2, 3], data: [0, 3, 6, 1, 1, 2] };
  expectClose(
    (await runOnnx(toOnnx(net), x)).y.data as Float32Array,
    net.forward([
      [0, 3, 6],
      [1, 1, 2],
    ]).data,
    1e-5,
  );
});

test.each(supportCases.map((one) => [`${one.layers[0]} ${one.options}`.trim(), one] as const))(
  "every layer of the table of support: %s",
  async (_, { blocks, inputs, vocabulary }) => {
    const options = { batch: 3, seed: 5, dtype: "float32" } as const;
    const { net, x } = subjectOf(blocks, inputs, { ...options, ...(vocabulary !== undefined && { vocabulary }) });
    expectClose((await runOnnx(toOnnx(net as never), x)).y.data, net.forward(x).data, 1e-5);
  },
);

test("masks of padding", async () => {
  for (const causal of [true, false]) {
    const net = chain(
      { inputs: 3, seed: 1 },
      (tokens) => {
        const mask = paddingMask(tokens);
        return lastPosition(
          multiHeadAttention(2, { causal })(embedding(5, 4, { paddingIndex: 0 })(tokens), mask),
          mask,
        );
      },
      dense(2),
    );
    const x = array([0, 3, 4, 2, 0, 0, 0, 0, 0], { shape: [3, 3] });
    expectClose((await runOnnx(toOnnx(net), x)).y.data, net.forward(x).data, 1e-5);
  }
});

const structures = ["full", "kronecker", "diagonal"];
const tasks: [string, number][] = [
  ["regression", 2],
  ["classification", 3],
  ["binary", 1],
];
const kinds = ["lastLayer", "all"].flatMap((weights) =>
  structures.flatMap((structure) => tasks.map(([task, outputs]) => [weights, structure, task, outputs] as const)),
);
/** A Python that has onnxruntime, if there is one: that of the system, or the one in LAPLACE_PYTHON. */
const python = [process.env.LAPLACE_PYTHON, "/usr/bin/python3"].find((path) => {
  return path && spawnSync(path, ["-c", "import onnxruntime"]).status === 0;
});
const program = `
import json, sys, numpy, onnxruntime
x = numpy.array(json.load(sys.stdin), dtype=numpy.float32)
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
names = [output.name for output in session.get_outputs()]
print(json.dumps({name: value.ravel().tolist() for name, value in zip(names, session.run(names, {"x": x}))}))
`;

/** The docs' two lines of Python, which a machine without onnxruntime cannot run. */
test("Python's side of the docs", ({ skip }) => {
  const lines =
    /^```python\n(import onnxruntime\n[\s\S]*?)^```$/m.exec(readFileSync("docs/models.md", "utf8"))?.[1] ?? "";
  expect(lines.trim().split("\n").length).toBe(2);
  if (python === undefined) return skip("no Python with onnxruntime: neither Debian nor the npm registry has one");
  const net = chain({ inputs: 2, seed: 1 }, dense(3, tanh), dense(1));
  const folder = mkdtempSync(join(tmpdir(), "laplace-"));
  const x = [[1, 2]];
  const fit = laplace(net, { likelihood: "regression", weights: "lastLayer", checks: false }).fit({ x, y: [[1]] });
  return fit.then((posterior) => {
    writeFileSync(join(folder, "with-uncertainty.onnx"), toOnnx(posterior));
    const code = `import numpy\nx = numpy.array([[1, 2]], numpy.float32)\n${lines}\nprint(mean[0, 0], variance[0, 0])`;
    const printed = execFileSync(python, ["-c", code], { cwd: folder, encoding: "utf8" }).trim().split(" ").map(Number);
    rmSync(folder, { recursive: true });
    const { mean, variance } = posterior.predict(x);
    expectClose(printed, [mean.data[0], variance.data[0]], 1e-4);
  });
});

/** The outputs in Python's runtime. */
function runInPython(path: string, bytes: Uint8Array, rows: unknown): Readonly<Record<string, number[]>> {
  const file = join(mkdtempSync(join(tmpdir(), "laplace-")), "posterior.onnx");
  writeFileSync(file, bytes);
  try {
    const input = JSON.stringify(rows);
    return JSON.parse(execFileSync(path, ["-c", program, file], { input, encoding: "utf8" }));
  } finally {
    rmSync(dirname(file), { recursive: true });
  }
}

test.each(kinds.filter(([weights, structure]) => weights === "lastLayer" || structure !== "full"))(
  "a posterior over %s, %s, for %s",
  async (weights, structure, task, outputs) => {
    const random = new Random(4);
    const net = chain({ inputs: 3, seed: 5 }, dense(6, tanh), dense(outputs));
    const x = randomNormal([30, 3], { seed: 1 });
    const y = Array.from({ length: 30 }, () =>
      task === "classification"
        ? random.integer(3)
        : Array.from({ length: outputs }, () => (task === "binary" ? random.integer(2) : random.normal())),
    );
    const options = { likelihood: task, structure, weights };
    const posterior = (await laplace(net, options as never).fit({ x, y } as never)) as Posterior;
    const approximation = task === "regression" ? {} : { approximation: "probit" };
    const expected = posterior.predict(x, approximation as never);
    const found = await runOnnx(toOnnx(posterior), x);
    expectClose(found.mean.data as Float32Array, expected.functionMean.data, 1e-4);
    const variance = task === "regression" ? expected.variance : expected.functionVariance;
    expectClose(found.variance.data as Float32Array, variance.data, 1e-4);
    if (task !== "regression") expectClose(found.probabilities.data as Float32Array, expected.mean.data, 1e-4);
    if (python === undefined) return;
    const there = runInPython(python, toOnnx(posterior), x.toArray());
    expectClose(there.mean, expected.functionMean.data, 1e-4);
    expectClose(there.variance, variance.data, 1e-4);
    if (task !== "regression") expectClose(there.probabilities, expected.mean.data, 1e-4);
  },
);
