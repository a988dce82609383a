// `laplace posterior` around a network of PyTorch, by images in Parquet (written by Arrow's Rust implementation), in NumPy's arrays
// and in CSV: the graph with uncertainty that it writes gives in onnxruntime-web what the posterior that it writes predicts.

import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { array, loadPosterior } from "laplace-ts";
import "laplace-ts-models";
import { beforeAll, expect, test } from "vitest";
import { runOnnx } from "./onnx-runtime.ts";

const folder = "build/command-line";
const load = createRequire(import.meta.url);

interface Images {
  readonly images: number[][][][];
  readonly kinds: string[];
}
const images = (): Images => JSON.parse(readFileSync(`${folder}/images.json`, "utf8"));

/** A table whose column of images has lists of lists of lists. */
function parquet({ images: pixels, kinds }: Images): Uint8Array {
  const arrow = load("apache-arrow");
  const { Table, writeParquet } = load("parquet-wasm");
  const list = (of: object) => new arrow.List(new arrow.Field("item", of, true));
  const image = list(list(list(new arrow.Float32())));
  const columns = { kind: arrow.vectorFromArray(kinds, new arrow.Utf8()), image: arrow.vectorFromArray(pixels, image) };
  return writeParquet(Table.fromIPCStream(arrow.tableToIPC(new arrow.Table(columns), "stream")));
}

beforeAll(() => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  execFileSync("/usr/bin/python3", ["-W", "ignore", "models/test/pytorch/images.py", folder], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  writeFileSync(`${folder}/images.parquet`, parquet(images()));
});

const laplace = (...args: readonly string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["cli/laplace.js", ...args], { encoding: "utf8" });
  expect(stderr).not.toMatch(/Error|error/);
  expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
};

function close(found: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(found.length).toBe(expected.length);
  const scale = Math.max(...Array.from(expected, Math.abs));
  const worst = Math.max(...Array.from(expected, (value, i) => Math.abs(found[i] - value)));
  expect(worst).toBeLessThanOrEqual(1e-4 * scale);
}

const files = [
  ["images.parquet", "kind", "cat"],
  ["images.npz", "labels", "0"],
  ["images.csv", "kind", "cat"],
] as const;
const structures = { "images.parquet": "full", "images.npz": "kronecker", "images.csv": "diagonal" };

test.each(files)(
  "%s: the posterior, the report and a graph of the same mean and variance",
  async (file, target, first) => {
    const at = (name: string) => `${folder}/${file}.${name}`;
    const outputs = ["-o", at("safetensors"), "--onnx", at("onnx"), "--report", at("html")];
    const args = [`${folder}/network.onnx`, `${folder}/${file}`, "--target", target, "--structure", structures[file]];
    const said = JSON.parse(laplace("posterior", ...args, ...outputs, "--json"));
    expect(said).toMatchObject({ task: "classification", structure: structures[file], weights: 27 });
    expect(said.taskReason).toContain("Softmax");
    expect(said.classes[0]).toBe(first);
    expect(said.rows).toEqual({ fitted: 192, heldOut: 48, skipped: 0 });
    expect(said.metrics.negativeLogLikelihood).toBeLessThan(said.baseline.negativeLogLikelihood);
    expect(said.metrics.accuracy).toBeGreaterThan(0.9);
    for (const name of ["safetensors", "onnx", "html"]) expect(existsSync(at(name))).toBe(true);
    expect(readFileSync(at("html"), "utf8")).toContain("trained elsewhere");

    const posterior = loadPosterior(readFileSync(at("safetensors")));
    const rows = images().images.slice(0, 40);
    const x = array(rows.flat(3), { shape: [40, 1, 8, 8], dtype: "float32" });
    const expected = posterior.predict(x, { approximation: "probit" });
    const { mean, variance, probabilities } = await runOnnx(readFileSync(at("onnx")), x);
    close(mean.data, expected.functionMean.data);
    close(variance.data, expected.functionVariance.data);
    close(probabilities.data, expected.mean.data);

    // Other rows are predicted by the posterior's file.
    const out = at("predicted.csv");
    laplace("predict", at("safetensors"), `${folder}/${file}`, "-o", out);
    const [header, ...lines] = readFileSync(out, "utf8").trim().split("\n");
    expect(lines.length).toBe(240);
    expect(header.split(",").slice(-4)).toEqual([
      ...said.classes.map((name: string) => `p(${name})`),
      "epistemic_share",
    ]);
    const own = lines.slice(0, 40).flatMap((line) => line.split(",").slice(-4, -1).map(Number));
    close(own, expected.mean.data);
  },
);

test("inspect says what the network is and what posteriors need", () => {
  const said = laplace("inspect", `${folder}/network.onnx`);
  expect(said).toMatch(/ONNX of pytorch[\s\S]*every operator is supported/);
  expect(said).toMatch(/taken off at the end: Softmax[\s\S]*2 Gemm, 1 Conv/);
  expect(said).toMatch(/over the last layer, 27 weights: full/);
});
