// Some 60 networks that Debian's PyTorch exports (export.py): outputs against PyTorch in float64 and against onnxruntime-web in
// float32, gradients of every sample against PyTorch's autograd.

import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { array, einsum, jacobian, type NDArray, vjp } from "laplace-ts";
import { fromOnnx, toOnnx } from "laplace-ts-models";
import { describe, expect, test } from "vitest";
import { drafts } from "../drafts.ts";
import { logistic } from "../drafts-of-columns.ts";
import { written } from "../written.ts";
import { runOnnx } from "./onnx-runtime.ts";

interface Plain {
  readonly shape: number[];
  readonly data: number[];
}

interface Expected {
  readonly x: Plain;
  readonly y: Plain;
  readonly tokens: boolean;
  readonly weight: Plain;
  /** By parameter, and as "input" in the input where that is not tokens. */
  readonly gradients: Record<string, Plain>[];
  readonly parameters: Record<string, Plain>;
  /** A record for each output of the first sample; empty where there are many. */
  readonly jacobian: Record<string, Plain>[];
}

const folder = "build/models";
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
execFileSync("/usr/bin/python3", ["-W", "ignore", "models/test/pytorch/export.py", folder], {
  stdio: ["ignore", "ignore", "inherit"],
});
const names = readdirSync(folder)
  .filter((name) => name.endsWith(".json"))
  .map((name) => name.slice(0, -5));

// Their constants, 1/6 and those of Selu, are float32 in the file.
const rounded = new Set(["hardsigmoid", "selu"]);

const float64 = ({ data, shape }: Plain) => array(data, { shape, dtype: "float64" });
const largest = (data: ArrayLike<number>) => Math.max(...Array.from(data, Math.abs));

/** The largest difference, relative to the largest number. */
function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  scale = largest(expected),
) {
  expect(actual.length).toBe(expected.length);
  const worst = largest(Array.from(expected, (value, i) => actual[i] - value));
  expect(worst).toBeLessThanOrEqual(tolerance * (scale || 1));
}

/** What was taken off, put on again. */
function withEnd(y: NDArray, end: string | undefined, axis: number): number[] {
  const data = Array.from(y.data);
  if (end === "Sigmoid") return data.map((value) => 1 / (1 + Math.exp(-value)));
  if (end === undefined) return data;
  const [n, inner] = [y.shape[axis], y.shape.slice(axis + 1).reduce((product, length) => product * length, 1)];
  return data.map((value, i) => {
    const first = i - (Math.floor(i / inner) % n) * inner;
    const sum = Array.from({ length: n }, (_, k) => Math.exp(data[first + k * inner])).reduce((a, b) => a + b, 0);
    return end === "Softmax" ? Math.exp(value) / sum : value - Math.log(sum);
  });
}

test("enough networks were exported", () => expect(names.length).toBeGreaterThan(50));

describe.each(names)("%s", (name) => {
  const expected: Expected = JSON.parse(readFileSync(`${folder}/${name}.json`, "utf8"));
  const bytes = (kind: string) => readFileSync(`${folder}/${name}${kind}.onnx`);
  const { network, report } = fromOnnx(bytes(".f64"), { dtype: "float64" });
  const end = report.removed.at(-1)?.operator;
  const axis = name === "segmentation" ? 1 : expected.y.shape.length - 1;
  const tolerance = rounded.has(name) ? 1e-7 : 1e-12;

  test("outputs are PyTorch's", () => {
    expectClose(withEnd(network.forward(float64(expected.x)), end, axis), expected.y.data, tolerance);
  });

  test("outputs in float32 are those of onnxruntime-web", async () => {
    const { data, shape } = expected.x;
    const { y } = await runOnnx(bytes(""), { data, shape }, { tokens: expected.tokens });
    const own = fromOnnx(bytes("")).network.forward(array(data, { shape }));
    expectClose(withEnd(own, end, axis), y.data, 1e-5);
  });

  test("outputs in float64 are those of onnxruntime-web", async ({ skip }) => {
    const { x, tokens } = expected;
    const found = await runOnnx(bytes(".f64"), x, { tokens, double: true }).catch((error) => String(error));
    if (typeof found === "string") {
      // It has no convolutions, recurrence, Erf, Elu, Softplus and the like of doubles.
      expect(found).toMatch(/ERROR_CODE: 9/);
      return skip();
    }
    // PyTorch writes a Celu of doubles between casts to float32 and back, which a network of float64 does without.
    expectClose(withEnd(network.forward(float64(x)), end, axis), found.y.data, name === "celu" ? 1e-6 : tolerance);
  });

  test("goes back out, and onnxruntime-web computes the same", async () => {
    const { data, shape } = expected.x;
    const own = fromOnnx(bytes("")).network;
    const { y } = await runOnnx(toOnnx(own), { data, shape });
    expectClose(y.data, own.forward(array(data, { shape })).data, 1e-5);
  });

  /** A cotangent of our parameters beside PyTorch's gradients: how many of these were compared. */
  const compare = (flat: NDArray, theirs: Record<string, Plain>, atInput: ArrayLike<number>): number => {
    const named = network.named(flat);
    const scale = Math.max(...Object.values(theirs).map(({ data }) => largest(data)));
    const within = rounded.has(name) ? 1e-7 : 1e-10;
    if (theirs.input !== undefined) expectClose(atInput, theirs.input.data, within, scale);
    const sums = new Map<string, number[]>();
    for (const { parameter, array: from, moved } of report.parameters) {
      // PyTorch's exporter gives names of its own to weights that it turns; the layer keeps the bias's.
      const known = [parameter, from].find((one) => theirs[one] !== undefined);
      if (known === undefined) continue;
      // A weight that is [inputs, outputs] in PyTorch too.
      const own = moved && known === from ? einsum("oi->io", named[parameter]) : named[parameter];
      const before = sums.get(known);
      sums.set(
        known,
        Array.from(own.data, (value, k) => value + (before?.[k] ?? 0)),
      );
    }
    for (const [known, sum] of sums) expectClose(sum, theirs[known].data, within, scale);
    return sums.size + compareRows(named, theirs, within * scale);
  };

  /** Rows of arrays that the file has under other names and in another order, as those of gates, found by their numbers. */
  const compareRows = (named: Record<string, NDArray>, theirs: Record<string, Plain>, absolute: number): number => {
    const rowsOf = ({ shape, data }: { shape: readonly number[]; data: ArrayLike<number> }) => {
      const width = data.length / shape[0];
      return Array.from({ length: shape[0] }, (_, i) => Array.from(data).slice(i * width, (i + 1) * width));
    };
    const places = new Map<string, number[]>();
    for (const [one, value] of Object.entries(expected.parameters)) {
      const known = report.parameters.some(({ parameter, array: from }) => parameter === one || from === one);
      if (known || theirs[one] === undefined) continue;
      const rows = rowsOf(theirs[one]);
      rowsOf(value).forEach((row, i) => {
        places.set(String(row), rows[i]);
      });
    }
    let found = 0;
    for (const [parameter, values] of Object.entries(network.named(network.parameters))) {
      const own = rowsOf(named[parameter]);
      rowsOf(values).forEach((row, i) => {
        const place = places.get(String(row));
        if (place === undefined) return;
        found++;
        expect(largest(place.map((value, k) => value - own[i][k]))).toBeLessThanOrEqual(absolute);
      });
    }
    // Those of gates are all there; the rest was folded by the exporter, and is covered by gradients in the input.
    if (/lstm|gru|rnn|group_norm/.test(name)) expect(found).toBe(places.size);
    return found;
  };

  const short = end === undefined && expected.jacobian.length > 0;
  test.skipIf(!short)("the Jacobian is PyTorch's, entry by entry", () => {
    const size = expected.x.data.length / expected.x.shape[0];
    const x = float64({ shape: [1, ...expected.x.shape.slice(1)], data: expected.x.data.slice(0, size) });
    const whole = jacobian(network, x).data;
    const atInput = expected.tokens ? [] : jacobian(network, x, { withRespectTo: "inputs" }).data;
    const n = network.parameterCount;
    expected.jacobian.forEach((theirs, row) => {
      const flat = array(whole.slice(row * n, (row + 1) * n), { dtype: "float64" });
      expect(compare(flat, theirs, atInput.slice(row * size, (row + 1) * size))).toBeGreaterThan(0);
    });
  });

  test.skipIf(end !== undefined)("gradients of every sample are PyTorch's", () => {
    const size = expected.x.data.length / expected.x.shape[0];
    expected.gradients.forEach((gradients, i) => {
      const x = float64({
        shape: [1, ...expected.x.shape.slice(1)],
        data: expected.x.data.slice(i * size, (i + 1) * size),
      });
      const weight = { shape: [1, ...network.outputShape], data: expected.weight.data };
      const pulled = vjp(network, x, float64(weight));
      // The same column through the whole Jacobian, [outputs, parameters].
      const whole = jacobian(network, x).data;
      const n = network.parameterCount;
      const column = Float64Array.from({ length: n }, (_, p) =>
        weight.data.reduce((sum, value, row) => sum + value * whole[row * n + p], 0),
      );
      expectClose(column, pulled.data, 1e-12);
      const atInput = expected.tokens ? [] : vjp(network, x, float64(weight), { withRespectTo: "inputs" }).data;
      expect(compare(pulled, gradients, atInput)).toBeGreaterThan(0);
    });
  });
});

test("every operator of the docs' table is in a file that is compared with onnxruntime-web, here or in drafts.test.ts", () => {
  const text = readFileSync("docs/models.md", "utf8");
  const table = text.slice(text.indexOf("| of | operators |"), text.indexOf("| control |"));
  const claimed = new Set([...table.matchAll(/\b(?:[A-Z][a-z]*)+\d?[A-Za-z]*\b/g)].map(([name]) => name));
  expect(claimed.size).toBeGreaterThan(80);
  const files = [
    ...names.map((name) => readFileSync(`${folder}/${name}.onnx`)),
    ...[...Object.values(drafts).map(([graph]) => graph), logistic(3, 3, "SOFTMAX")].map(written),
  ];
  const seen = new Set(
    files.flatMap((file) => {
      const { report } = fromOnnx(file);
      return [...Object.keys(report.operators), ...report.removed.map(({ operator }) => operator)];
    }),
  );
  expect([...claimed].filter((name) => !seen.has(name))).toEqual([]);
});
