// Networks that were trained elsewhere: what inspect says of them, and the posterior around them.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { adam, chain, crossEntropy, dense, loadPosterior, mse, Random, savePosterior, tanh, train } from "laplace-ts";
import { fromOnnx, toOnnx } from "laplace-ts-models";
import { beforeAll, describe, expect, test } from "vitest";
import { tableExamples } from "../src/table/examples.ts";
import { readNpz } from "../src/table/npz.ts";
import { inProcess, workFolder } from "./laplace.ts";
import { npy, npz } from "./npz-file.ts";

const folder = workFolder();
const at = (name: string) => join(folder, name);
const random = new Random(3);
const x = Array.from({ length: 80 }, () => [random.normal(), random.normal()]);
const numbers = x.map(([a, b]) => Math.sin(a) + 0.5 * b + 0.2 * random.normal());
const kinds = x.map(([a, b]) => (a + b + 0.7 * random.normal() > 0.5 ? 2 : a - b > 0.3 ? 1 : 0));
const names = ["ash", "elm", "oak"];

const table = (target: readonly unknown[]) =>
  `b,target,a\n${x.map(([a, b], i) => `${b},${target[i]},${a}`).join("\n")}\n`;

beforeAll(async () => {
  const number = chain({ inputs: 2, seed: 1, dtype: "float64" }, dense(6, tanh), dense(1));
  const schedule = { optimizer: adam({ learningRate: 0.02 }), epochs: 300, batchSize: 80 };
  await train(number, { x, y: numbers.map((y) => [y]) }, { loss: mse, ...schedule });
  const classes = chain({ inputs: 2, seed: 2 }, dense(6, tanh), dense(3));
  await train(classes, { x, y: kinds }, { loss: crossEntropy, ...schedule });
  writeFileSync(at("number.onnx"), toOnnx(number));
  writeFileSync(at("classes.onnx"), toOnnx(classes));
  writeFileSync(at("numbers.csv"), table(numbers));
  writeFileSync(at("classes.csv"), table(kinds.map((kind) => names[kind])));
  const flat = new Uint8Array(Float32Array.from(x.flat()).buffer);
  const labels = new Uint8Array(BigInt64Array.from(kinds, BigInt).buffer);
  writeFileSync(at("arrays.npz"), npz({ images: npy([80, 2], "<f4", flat), labels: npy([80], "<i8", labels) }));
});

const posterior = (...args: readonly string[]) => inProcess(["posterior", ...args, "-o", at("p.safetensors")]);

describe("laplace posterior", () => {
  test("of numbers: the posterior, the network with its uncertainty and the report agree", async () => {
    const onnx = at("with-uncertainty.onnx");
    const files = ["--onnx", onnx, "-r", at("report.html"), "--json"];
    const run = await posterior(at("number.onnx"), at("numbers.csv"), "-t", "target", "--inputs", "a,b", ...files);
    expect(run.code, run.stderr).toBe(0);
    const said = JSON.parse(run.stdout);
    expect(said).toMatchObject({
      task: "regression",
      rows: { fitted: 64, heldOut: 16, skipped: 0 },
      structure: "full",
      weights: 7,
    });
    expect(said.metrics.negativeLogLikelihood).toBeLessThan(said.baseline.negativeLogLikelihood);
    expect(said.noise).toBeGreaterThan(0.05);
    expect(said.files.every(existsSync)).toBe(true);
    const read = loadPosterior(readFileSync(at("p.safetensors")));
    const { network: variance } = fromOnnx(readFileSync(onnx), { output: "variance" });
    const rows = x.slice(0, 5);
    expect(variance.forward(rows).data).toBeAllClose(read.predict(rows).variance.data, { relative: 1e-9 });
    const page = readFileSync(at("report.html"), "utf8");
    expect(page).toContain("trained elsewhere");
    expect(page).not.toContain("used neither for training");
  });

  test("of classes with names, in the order of the alphabet; columns in the network's order", async () => {
    const ofClasses = (...more: string[]) =>
      posterior(at("classes.onnx"), at("classes.csv"), "-t", "target", "--no-report", ...more);
    const run = await ofClasses("--inputs", "a,b");
    expect(run.code, run.stderr).toBe(0);
    expect(run.stdout).toContain("ash, elm, oak");
    expect(run.stdout).toMatch(/Better than the baseline/);
    // The other order is other columns to the network.
    const turned = await ofClasses("--json");
    const straight = await ofClasses("--inputs", "a,b", "--json");
    const loss = ({ stdout }: { stdout: string }) => JSON.parse(stdout).metrics.negativeLogLikelihood;
    expect(loss(straight)).toBeLessThan(loss(turned));
  });

  test("in parts, which laplace merge adds, is the same to the bit", async () => {
    const args = [at("number.onnx"), at("numbers.csv"), "-t", "target", "--inputs", "a,b", "--no-report", "--json"];
    expect((await posterior(...args)).code).toBe(0);
    const alone = readFileSync(at("p.safetensors"));
    const store = ["--store", at("parts")];
    const merge = () => inProcess(["merge", ...args, ...store, "-o", at("merged.safetensors")]);
    const early = await merge();
    expect(early.code).toBe(1);
    expect(early.stderr).toMatch(/Of 1 shards of the fit \w+, 1 are not done: 0/);
    const parts = [
      await posterior(...args, ...store, "--shard", "2/2"),
      await posterior(...args, ...store, "--shard", "1/2"),
    ];
    expect(parts.map(({ stdout }) => JSON.parse(stdout))).toEqual([
      { part: 2, parts: 2, missing: 1 },
      { part: 1, parts: 2, missing: 0 },
    ]);
    expect((await merge()).code).toBe(0);
    expect(readFileSync(at("merged.safetensors")).equals(alone)).toBe(true);
    for (const wrong of [
      ["--shard", "3/2", ...store],
      ["--shard", "1/2"],
      store,
      ["--shard", "1/2", "--queue", "redis://a", ...store],
    ]) {
      expect((await posterior(...args, ...wrong)).code).toBe(2);
    }
  });

  test("of arrays, judged by rows of another file", async () => {
    const args = [
      at("classes.onnx"),
      at("arrays.npz"),
      "-t",
      "labels",
      "--test",
      at("arrays.npz"),
      "--json",
      "--no-report",
    ];
    const run = await posterior(...args, "--structure", "kronecker", "--weights", "all");
    expect(run.code, run.stderr).toBe(0);
    const said = JSON.parse(run.stdout);
    expect(said).toMatchObject({
      classes: ["0", "1", "2"],
      rows: { fitted: 80, heldOut: 80 },
      structure: "kronecker",
      weights: 39,
    });
    expect(said.metrics.accuracy).toBeGreaterThan(0.6);
  });

  const refusals: readonly (readonly [string, () => readonly string[], number, RegExp])[] = [
    ["a target that is not there", () => ["number.onnx", "numbers.csv", "-t", "y"], 2, /no column "y".*b, target, a/],
    [
      "too many columns",
      () => ["number.onnx", "wide.csv", "-t", "target"],
      2,
      /takes \[2\], 2 numbers; a row has 3 .*--inputs.*--ignore/,
    ],
    [
      "classes that are too many",
      () => ["classes.onnx", "numbers.csv", "-t", "target"],
      2,
      /has 80 classes.*of 3.*--classes/,
    ],
    [
      "a class that is not there",
      () => ["classes.onnx", "classes.csv", "-t", "target", "--classes", "a,b,c"],
      1,
      /none of the classes a, b, c/,
    ],
    [
      "what is not a number",
      () => ["number.onnx", "texts.csv", "-t", "target"],
      1,
      /line 3: "a" has "x", not a number.*--on-error skip/,
    ],
    [
      "an array that is not there",
      () => ["number.onnx", "arrays.npz", "-t", "y"],
      2,
      /no array "y".*"images" \[80, 2\]/,
    ],
    ["other bytes", () => ["numbers.csv.onnx", "numbers.csv", "-t", "target"], 3, /not an ONNX file/],
    ["a broken zip", () => ["number.onnx", "broken.npz", "-t", "y"], 1, /broken\.npz cannot be read|not a zip/],
  ];
  test.each(refusals)("%s is refused", async (_, args, code, message) => {
    writeFileSync(at("wide.csv"), "a,b,c,target\n1,2,3,4\n");
    writeFileSync(at("texts.csv"), "a,b,target\n1,2,3\nx,2,3\n");
    writeFileSync(at("numbers.csv.onnx"), "a,b\n1,2\n");
    writeFileSync(at("broken.npz"), readFileSync(at("arrays.npz")).subarray(0, 300));
    const [model, data, ...rest] = args();
    const run = await posterior(at(model), at(data), ...rest, "--no-report");
    expect(run.stderr).toMatch(message);
    expect(run.code).toBe(code);
  });
});

describe("laplace predict by what laplace posterior wrote", () => {
  const predict = async (data: string, ...more: string[]) => {
    const out = at("predicted.csv");
    const run = await inProcess(["predict", at("p.safetensors"), data, "-o", out, ...more]);
    const lines = run.code === 0 ? readFileSync(out, "utf8").trim().split("\n") : [];
    return { run, header: lines[0], rows: lines.slice(1).map((one) => one.split(/[;,]/)) };
  };

  test("numbers: rows are read by the names of their columns, and predicted as in the library", async () => {
    const made = await posterior(
      at("number.onnx"),
      at("numbers.csv"),
      "-t",
      "target",
      "--inputs",
      "a,b",
      "--no-report",
    );
    expect(made.code, made.stderr).toBe(0);
    writeFileSync(
      at("new.csv"),
      `b,id,a\n${x
        .slice(0, 3)
        .map(([a, b], i) => `${b},r${i},${a}`)
        .join("\n")}\n`,
    );
    const { run, header, rows } = await predict(at("new.csv"), "--interval", "0.5,0.9");
    expect(run.code, run.stderr).toBe(0);
    expect(run.stderr).toMatch(/^3 rows predicted: .*predicted\.csv/m);
    expect(header).toBe("b,id,a,mean,sd,lower50,upper50,lower90,upper90,epistemic_share");
    const read = loadPosterior(readFileSync(at("p.safetensors")));
    const { mean, variance, functionVariance } = read.predict(x.slice(0, 3));
    const column = (j: number) => rows.map((row) => Number(row[j]));
    const sd = Array.from(variance.data, Math.sqrt);
    const bounds = [-0.6744897501960817, 0.6744897501960817, -1.6448536269514722, 1.6448536269514722];
    const expected = [
      Array.from(mean.data),
      sd,
      ...bounds.map((z) => sd.map((s, i) => mean.data[i] + z * s)),
      sd.map((s, i) => functionVariance.data[i] / s ** 2),
    ];
    for (const [j, values] of expected.entries()) expect(column(3 + j)).toBeAllClose(values, { relative: 1e-5 });

    const without = await predict(at("classes.csv"), "--json");
    expect(JSON.parse(without.run.stdout)).toMatchObject({ rows: 80, skipped: 0, files: [at("predicted.csv")] });
    writeFileSync(at("other.csv"), "a,c\n1,2\n");
    expect((await predict(at("other.csv"))).run).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/no column "b"/),
    });
    writeFileSync(at("hole.csv"), "a,b\n1,2\n?,2\n");
    expect((await predict(at("hole.csv"))).run).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/line 3: "a" has/),
    });
    expect((await predict(at("hole.csv"), "--on-error", "skip")).rows.length).toBe(1);
  });

  test("classes, of a table whose numbers have a decimal comma and of arrays", async () => {
    const comma = (all: readonly unknown[][]) =>
      all.map((row) => row.map((one) => String(one).replace(".", ",")).join(";")).join("\n");
    const file = at("comma.csv");
    writeFileSync(file, `a;b;kind\n${comma(x.map((row, i) => [...row, names[kinds[i]]]))}\n`);
    const made = await posterior(at("classes.onnx"), file, "-t", "kind", "--no-report");
    expect(made.code, made.stderr).toBe(0);
    const read = loadPosterior(readFileSync(at("p.safetensors")));
    // Of the last row alone nobody could say what a comma is.
    writeFileSync(at("last.csv"), "a;b\n1,234;0,5\n");
    const { header, rows, run } = await predict(at("last.csv"));
    expect(run.code, run.stderr).toBe(0);
    expect(header).toBe("a;b;predicted;p(ash);p(elm);p(oak);epistemic_share");
    const { mean } = read.predict([[1.234, 0.5]], { approximation: "probit" });
    const line = readFileSync(at("predicted.csv"), "utf8").split("\n")[1].split(";");
    expect(line.slice(3, 6).map(Number)).toBeAllClose(mean.data, { absolute: 1e-5 });
    expect(rows[0]).toContain(names[mean.data.indexOf(Math.max(...mean.data))]);

    await posterior(at("classes.onnx"), at("arrays.npz"), "-t", "labels", "--inputs", "images", "--no-report");
    const ofArrays = await predict(at("arrays.npz"));
    expect(ofArrays.run.code, ofArrays.run.stderr).toBe(0);
    expect(ofArrays.header).toBe("predicted,p(0),p(1),p(2),epistemic_share");
    expect(ofArrays.rows.length).toBe(80);
    expect((await predict(at("arrays.npz"), "--interval", "0.9")).run).toMatchObject({ code: 2 });
  });

  test("other commands say what the file is, and a posterior without notes what is missing", async () => {
    const inspected = await inProcess(["inspect", at("p.safetensors")]);
    expect(inspected).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/laplace posterior wrote.*laplace predict/),
    });
    const bare = at("bare.safetensors");
    writeFileSync(bare, savePosterior(loadPosterior(readFileSync(at("p.safetensors")))));
    const refused = await inProcess(["predict", bare, at("classes.csv")]);
    expect(refused).toMatchObject({ code: 3, stderr: expect.stringMatching(/laplace posterior write.*loadPosterior/) });
  });
});

describe("laplace inspect", () => {
  test("says what a network is, and what posteriors around it need", async () => {
    const run = await inProcess(["inspect", at("classes.onnx")]);
    expect(run).toMatchObject({ code: 0, stderr: "" });
    expect(run.stdout).toMatch(/ONNX of laplace-ts.*every operator is supported/);
    expect(run.stdout).toMatch(/over the last layer, 21 weights: full \d.* [kM]?B, kronecker/);
    const { parameterCount, posteriors } = JSON.parse(
      (await inProcess(["inspect", at("classes.onnx"), "--json"])).stdout,
    );
    expect([parameterCount, posteriors.all.weights]).toEqual([39, 39]);
    expect(posteriors.all.bytes.full).toBeGreaterThan(posteriors.lastLayer.bytes.diagonal);
  });

  test("a layers model of TensorFlow.js, its weights beside it", async () => {
    const layer = {
      class_name: "Dense",
      config: { name: "d", units: 1, activation: "sigmoid", batch_input_shape: [null, 2] },
    };
    const weights = [{ name: "d/kernel", shape: [2, 1], dtype: "float32" }];
    const model = {
      modelTopology: { class_name: "Sequential", config: { layers: [layer] } },
      weightsManifest: [{ paths: ["w.bin"], weights }],
    };
    writeFileSync(at("w.bin"), new Uint8Array(new Float32Array([1, -2]).buffer));
    writeFileSync(at("model.json"), JSON.stringify(model));
    const run = await inProcess(["inspect", at("model.json")]);
    expect(run.stdout).toMatch(/TensorFlow\.js[\s\S]*sigmoid[\s\S]*binary/);
    writeFileSync(at("model.json"), JSON.stringify({ ...model, weightsManifest: [{ paths: ["../w.bin"], weights }] }));
    expect(await inProcess(["inspect", at("model.json")])).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/outside of its folder/),
    });
  });
});

test("a cell may have a list of numbers, as columns of lists in Parquet do", () => {
  const rows = {
    names: ["image", "y"],
    rows: [
      ["[[1, 2], [3, 4]]", "a"],
      ["[5,6,7,8]", "b"],
    ],
    lines: [2, 3],
  };
  const { width, x, targets } = tableExamples(rows, { target: "y" });
  expect([width, [...x], targets]).toEqual([4, [1, 2, 3, 4, 5, 6, 7, 8], ["a", "b"]]);
  const broken = { ...rows, rows: [rows.rows[0], ["[5, 6]", "b"]] };
  expect(() => tableExamples(broken, { target: "y" })).toThrow(/line 3: the row has 2 numbers, others 4/);
});

test("arrays are those of NumPy: numbers, labels in words, what is not packed", async () => {
  const words = Buffer.alloc(24);
  for (const [i, character] of [..."elmö"].entries()) words.writeUInt32LE(character.codePointAt(0) ?? 0, 4 * i);
  writeFileSync(at("words.npz"), npz({ y: npy([2], "<U3", words), z: npy([3], "|u1", Uint8Array.of(1, 2, 255)) }));
  const arrays = await readNpz(at("words.npz"));
  expect(arrays.get("y")).toEqual({ shape: [2], values: ["elm", "ö"] });
  expect([...(arrays.get("z")?.values ?? [])]).toEqual([1, 2, 255]);
});
