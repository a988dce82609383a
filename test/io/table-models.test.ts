import {
  adam,
  binaryCrossEntropy,
  chain,
  crossEntropy,
  dense,
  FileError,
  laplace,
  loadTableModel,
  mixture,
  mse,
  NDArray,
  type PosteriorMixture,
  readSafetensors,
  saveMixture,
  savePosterior,
  saveTableModel,
  type TableModel,
  tableEncoding,
  tableModel,
  tanh,
  train,
  uncertainty,
  ValueError,
  writeSafetensors,
} from "laplace-ts";
import { describe, expect, test } from "vitest";

const names = ["a", "c", "y"];
const rows = Array.from({ length: 60 }, (_, i) => [String((i * 37) % 23), "uvw"[i % 3]]);
const targets = {
  regression: rows.map(([a], i) => String(100 + 10 * Number(a) + (i % 5))),
  binary: rows.map(([a], i) => (Number(a) + (i % 7) > 14 ? "high" : "low")),
  classes: rows.map(([a, c]) => (Number(a) > 15 ? "far" : c)),
};

async function modelOf(task: keyof typeof targets, epochs = 300): Promise<TableModel> {
  const table = { names, rows: rows.map((row, i) => [...row, targets[task][i]]) };
  const encoding = tableEncoding(table, { target: "y" });
  const { x: inputs } = encoding.encode(rows.map(([a, c]) => ({ a, c })));
  const x = new NDArray(inputs, [rows.length, encoding.inputs.length]);
  const y = Float64Array.from(targets[task], (cell) => encoding.encodeTarget(cell) ?? 0);
  const [loss, likelihood, outputs] = (
    {
      regression: [mse, "regression", 1],
      binary: [binaryCrossEntropy, "binary", 1],
      classes: [crossEntropy, "classification", 4],
    } as const
  )[task];
  const net = chain({ inputs: encoding.inputs.length, seed: 1, dtype: "float64" }, dense(5, tanh), dense(outputs));
  const data = { x, y: new NDArray(y, outputs === 1 ? [rows.length, 1] : [rows.length]) };
  await train(net, data, {
    loss,
    optimizer: adam({ learningRate: 0.02 }),
    epochs,
    batchSize: 60,
    weightDecay: 0.01,
  });
  const posterior = (await laplace(net, { likelihood, checks: false }).fit(data)).optimizePrior();
  return tableModel({ posterior, encoding, farVariance: 1.5, notes: { about: [1, "two", null] } });
}

const fresh = [
  { a: "3", c: "u" },
  { a: "22", c: "v" },
  { a: "1000", c: "w" },
  { a: "", c: "z" },
];

describe.each(["regression", "binary", "classes"] as const)("a model of %s", (task) => {
  test("predicts in the target's terms, and comes back from its file the same", async () => {
    const model = await modelOf(task);
    const predicted = model.predict(fresh);
    const again = loadTableModel(saveTableModel(model));
    expect(again.predict(fresh)).toEqual(predicted);
    expect(again.notes).toEqual({ about: [1, "two", null] });
    expect(again.encoding.toJSON()).toEqual(model.encoding.toJSON());
    expect(predicted.far.slice(2)).toEqual([true, true]);
    expect(predicted.unusual).toEqual([[], [], ["a"], ["a", "c"]]);
    expect(predicted.epistemic.every((share) => share >= 0 && share <= 1)).toBe(true);
    // Rows do not depend on their company.
    const alone = fresh.map((row) => model.predict([row]));
    fresh.forEach((_, i) => {
      expect(alone[i].epistemic[0]).toBeCloseTo(predicted.epistemic[i], 10);
    });
  });
});

test.each(["binary", "classes"] as const)(
  "what the weights leave open of %s is as uncertainty says it",
  async (task) => {
    const model = await modelOf(task);
    const { x, unusual, gaps } = model.encoding.encode(fresh.slice(0, 3));
    const whole = model.predictEncoded(x, unusual, gaps);
    const { share } = uncertainty(model.posterior, new NDArray(x, [3, model.encoding.inputs.length]), { samples: 64 });
    expect(Array.from(whole.epistemic)).toEqual(Array.from(share.data));
    const { epistemic, ...rest } = model.predictEncoded(x, unusual, gaps, false);
    expect(epistemic).toEqual(new Float64Array(3).fill(Number.NaN));
    expect({ ...rest, epistemic: whole.epistemic }).toEqual(whole);
  },
);

test("numbers are in the target's units, with an interval of 90 %", async () => {
  const model = await modelOf("regression");
  const { mean, sd, lower, upper, functionSd, epistemic } = model.predict(fresh);
  if (!mean || !sd || !lower || !upper || !functionSd) throw new Error("numbers are expected");
  expect(mean[0]).toBeGreaterThan(120);
  expect(mean[0]).toBeLessThan(140);
  sd.forEach((s, i) => {
    expect((upper[i] - lower[i]) / s).toBeCloseTo(2 * 1.6448536269514722, 10);
    expect(epistemic[i]).toBeCloseTo((functionSd[i] / s) ** 2, 10);
  });
  expect(functionSd[2]).toBeGreaterThan(functionSd[0]);
  expect(() => model.probabilityBands(fresh)).toThrow(ValueError);
});

test("bands of probabilities hold the probabilities, and are wider where less is known", async () => {
  for (const task of ["binary", "classes"] as const) {
    const model = await modelOf(task);
    const { probabilities, predicted } = model.predict(fresh);
    const { lower, upper } = model.probabilityBands(fresh);
    if (!probabilities || !predicted) throw new Error("probabilities are expected");
    const classes = probabilities.shape[1];
    fresh.forEach((_, i) => {
      const row = Array.from(probabilities.sub(i).data);
      expect(row.reduce((sum: number, p: number) => sum + p, 0)).toBeCloseTo(1, 10);
      expect(row[predicted[i]]).toBe(Math.max(...row));
      for (let c = 0; c < classes; c++) expect(lower.at(i, c)).toBeLessThanOrEqual(upper.at(i, c));
    });
  }
});

describe("what softmax ignores, and what probabilities cannot hold", () => {
  const sumOf = ({ data }: NDArray) => Array.from(data as Float64Array).reduce((a, b) => a + b, 0);
  const inputsOf = (model: TableModel) =>
    new NDArray(model.encoding.encode(fresh).x, [fresh.length, model.encoding.inputs.length]);

  test("the function's variance is that of the logits' differences to their mean", async () => {
    const model = await modelOf("classes");
    const { x, unusual } = model.encoding.encode(fresh);
    const covariance = model.posterior.functionCovariance(inputsOf(model));
    const { functionVariance, far } = model.predictEncoded(x, unusual);
    const C = 4;
    fresh.forEach((_, i) => {
      // Each difference as a row of weights, a = e_c − 1/C: aᵀΣa.
      let due = 0;
      for (let c = 0; c < C; c++) {
        for (let j = 0; j < C; j++) {
          for (let k = 0; k < C; k++) {
            due += ((j === c ? 1 : 0) - 1 / C) * ((k === c ? 1 : 0) - 1 / C) * covariance.at(i, j, k);
          }
        }
      }
      expect(functionVariance[i]).toBeCloseTo(due, 10);
      expect(far[i]).toBe(unusual[i].length > 0 || due > model.farVariance);
    });
    // Files of before compare the logits' own variances.
    const before = tableModel({ ...model, farLevel: true }).predictEncoded(x, unusual).functionVariance;
    const own = model.posterior.predict(inputsOf(model)).functionVariance;
    fresh.forEach((_, i) => {
      expect(before[i]).toBeCloseTo(sumOf(own.sub(i)), 10);
      expect(before[i]).toBeGreaterThan(functionVariance[i]);
    });
  });

  test.each(["binary", "classes"] as const)("logarithms of probabilities that round to 0: %s", async (task) => {
    const { posterior, encoding } = await modelOf(task);
    // Logits so large that one probability is 1.
    const net = posterior.net.clone(Float64Array.from(posterior.net.parameters.data, (weight: number) => 300 * weight));
    const sure = await laplace(net, { likelihood: posterior.likelihood, priorPrecision: 1e12, checks: false }).fit({
      x: new NDArray(encoding.encode(fresh).x, [fresh.length, encoding.inputs.length]),
      y: new NDArray(new Float64Array(fresh.length), task === "binary" ? [fresh.length, 1] : [fresh.length]),
    });
    const model = tableModel({ posterior: sure, encoding });
    const { x, unusual } = encoding.encode(fresh);
    const { probabilities, logProbabilities } = model.predictEncoded(x, unusual);
    if (!probabilities || !logProbabilities) throw new Error("probabilities are expected");
    expect(Math.min(...probabilities.data)).toBeLessThan(1e-17);
    const f = net.forward(inputsOf(model));
    fresh.forEach((_, i) => {
      const logits = task === "binary" ? [0, f.at(i, 0)] : Array.from(f.sub(i).data as Float64Array);
      const largest = Math.max(...logits);
      const total = largest + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0));
      logits.forEach((logit, c) => {
        const log = logProbabilities.at(i, c);
        expect(Math.abs(log - (logit - total))).toBeLessThan(1e-3 * Math.max(1, Math.abs(logit - total)));
        // Of the rarer class of two it is not a difference to 1.
        if (log > -700) expect(probabilities.at(i, c) / Math.exp(log)).toBeCloseTo(1, 10);
      });
    });
  });

  test("a row with gaps has the logarithms of its mixture", async () => {
    const model = await modelOf("classes");
    const { probabilities, logProbabilities } = model.predict([{ a: "", c: "u" }]);
    probabilities?.data.forEach((p, c) => {
      expect(logProbabilities?.data[c]).toBeCloseTo(Math.log(p), 12);
    });
  });
});

describe("files", () => {
  test("a posterior without an encoding is foreign", async () => {
    const { posterior } = await modelOf("regression");
    expect(() => loadTableModel(savePosterior(posterior))).toThrow(expect.objectContaining({ reason: "foreign" }));
  });

  test.each([
    ["a later format", (document: Record<string, unknown>) => ({ ...document, format: 7 }), "newer"],
    ["a field too many", (document: Record<string, unknown>) => ({ ...document, extra: 1 }), "malformed"],
    [
      "an approximation that its likelihood lacks",
      (d: Record<string, unknown>) => ({ ...d, approximation: "probit" }),
      "malformed",
    ],
    ["a variance below 0", (d: Record<string, unknown>) => ({ ...d, farVariance: -1 }), "malformed"],
    ["no encoding", (d: Record<string, unknown>) => ({ ...d, encoding: null }), "malformed"],
  ])("%s is refused", async (_, change, reason) => {
    const model = await modelOf("regression");
    const { metadata } = readSafetensors(saveTableModel(model));
    const document = JSON.stringify(change(JSON.parse(metadata["table-model"])));
    const bytes = savePosterior(model.posterior, { metadata: { "table-model": document } });
    expect(() => loadTableModel(bytes)).toThrow(expect.objectContaining({ reason }));
  });

  test("another encoding than the network's is refused", async () => {
    const model = await modelOf("regression");
    const other = tableEncoding({ names, rows: rows.map(([a], i) => [a, "", `${i}.5`]) }, { target: "y" });
    expect(() => tableModel({ posterior: model.posterior, encoding: other })).toThrow("1 inputs, the network");
    const document = { ...JSON.parse(readSafetensors(saveTableModel(model)).metadata["table-model"]), encoding: other };
    const bytes = savePosterior(model.posterior, { metadata: { "table-model": JSON.stringify(document) } });
    expect(() => loadTableModel(bytes)).toThrow(FileError);
  });

  test("other tensors are not ours", () => {
    expect(() => loadTableModel(writeSafetensors({ a: new NDArray(new Float64Array(2), [2]) }))).toThrow(FileError);
  });
});

describe.each(["binary", "classes"] as const)("a power of the probabilities of %s", (task) => {
  test("raises them, divided by their sum, and is in the file", async () => {
    const plain = await modelOf(task);
    const model = tableModel({ ...plain, probabilityPower: 2.5 });
    const [before, after] = [plain.predict(fresh), model.predict(fresh)];
    const p = before.probabilities?.toArray() as number[][];
    const raised = p
      .map((row) => row.map((own) => own ** 2.5))
      .map((row) => {
        const sum = row.reduce((total, own) => total + own, 0);
        return row.map((own) => own / sum);
      });
    raised.flat().forEach((own, i) => {
      expect(after.probabilities?.data[i]).toBeCloseTo(own, 12);
      expect(after.logProbabilities?.data[i]).toBeCloseTo(Math.log(own), 10);
    });
    expect(after.predicted).toEqual(before.predicted);
    expect(after.epistemic).toEqual(before.epistemic);
    const again = loadTableModel(saveTableModel(model));
    expect(again.predict(fresh)).toEqual(after);
    expect(again.probabilityPower).toBe(2.5);
    // The bounds of draws go with them.
    const [low, high] = [plain.probabilityBands(fresh), model.probabilityBands(fresh)];
    if (task === "binary") {
      low.lower.data.forEach((own, i) => {
        expect(high.lower.data[i]).toBeCloseTo(own ** 2.5 / (own ** 2.5 + (1 - own) ** 2.5), 10);
      });
    }
  });

  test("of 1 is not in the file, so that readers of before read it", async () => {
    const plain = await modelOf(task);
    const formatOf = (model: TableModel) =>
      JSON.parse(readSafetensors(saveTableModel(model)).metadata["table-model"] ?? "{}");
    expect(formatOf(tableModel({ ...plain, probabilityPower: 1 }))).toEqual(formatOf(plain));
    expect(formatOf(plain)).toMatchObject({ format: 2 });
    expect(formatOf(tableModel({ ...plain, probabilityPower: 1.5 }))).toMatchObject({
      format: 5,
      probabilityPower: 1.5,
    });
  });
});

test("a power that is not above 0 is refused, and one of numbers", async () => {
  const [classes, numbers] = [await modelOf("classes"), await modelOf("regression")];
  for (const probabilityPower of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => tableModel({ ...classes, probabilityPower })).toThrow(/probabilityPower must be a number above 0/);
  }
  expect(() => tableModel({ ...numbers, probabilityPower: 2 })).toThrow(/no probabilityPower/);
});

describe("weights of the mean", () => {
  async function several() {
    const [rough, exact] = [await modelOf("regression", 5), await modelOf("regression")];
    const plain = tableModel({
      mixture: mixture([rough.posterior, exact.posterior], [0.5, 0.5]),
      encoding: exact.encoding,
    });
    return { rough, exact, plain, own: (...weights: number[]) => Float64Array.from(weights) };
  }
  const formatOf = (model: TableModel) =>
    JSON.parse(readSafetensors(saveTableModel(model)).metadata["table-model"] ?? "{}");

  test("make the mean alone, within its interval, and are in the file", async () => {
    const { rough, exact, plain, own } = await several();
    const given = own(0.1, 0.9);
    const model = tableModel({ ...plain, posterior: undefined, meanWeights: given });
    given.fill(5);
    const [before, after] = [plain.predict(fresh), model.predict(fresh)];
    expect({ ...after, mean: before.mean }).toEqual(before);
    const [a, b] = [rough.predict(fresh).mean ?? [], exact.predict(fresh).mean ?? []];
    const mean = Array.from(a, (value, i) => 0.1 * value + 0.9 * b[i]);
    const inside = mean.map((value, i) => Math.min(Math.max(value, before.lower?.[i] ?? 0), before.upper?.[i] ?? 0));
    inside.forEach((value, i) => {
      expect(after.mean?.[i]).toBeCloseTo(value, 9);
    });
    expect(Math.abs((after.mean?.[0] ?? 0) - (before.mean?.[0] ?? 0))).toBeGreaterThan(1);
    const again = loadTableModel(saveTableModel(model));
    expect(again.meanWeights).toEqual(own(0.1, 0.9));
    expect(again.predict(fresh)).toEqual(after);
    expect(formatOf(model)).toMatchObject({ format: 6, meanWeights: [0.1, 0.9] });
    expect(formatOf(plain)).toMatchObject({ format: 3 });
    expect(formatOf(plain)).not.toHaveProperty("meanWeights");
  });

  test("never take the mean out of the interval", async () => {
    const { rough, exact, own } = await several();
    // Nearly all of the interval is that of one, whose noise is small; the mean is to be the other's.
    const small = exact.posterior.with({ noise: 1e-3 });
    const mixed = mixture([rough.posterior, small], [1e-3, 0.999]);
    const { encoding } = exact;
    const model = tableModel({ mixture: mixed, encoding, meanWeights: own(1, 0) });
    const { mean, lower, upper } = model.predict(fresh);
    const free = rough.predict(fresh).mean;
    expect(free?.some((value, i) => value < (lower?.[i] ?? 0) || value > (upper?.[i] ?? 0))).toBe(true);
    mean?.forEach((value, i) => {
      expect(value).toBeGreaterThanOrEqual(lower?.[i] ?? Number.NaN);
      expect(value).toBeLessThanOrEqual(upper?.[i] ?? Number.NaN);
    });
  });

  test("that do not sum to 1 are refused, those of classes, and both in files", async () => {
    const { plain, own } = await several();
    const refused = (meanWeights: Float64Array) => () => tableModel({ ...plain, posterior: undefined, meanWeights });
    expect(refused(own(1))).toThrow("expected a Float64Array of 2 numbers");
    for (const wrong of [own(0.5, 0.6), own(1.5, -0.5), own(Number.NaN, 1)]) expect(refused(wrong)).toThrow(/sum to 1/);
    const classes = await modelOf("classes");
    expect(() => tableModel({ ...classes, meanWeights: own(1) })).toThrow(/for numbers alone, not for classes/);
    const model = tableModel({ ...plain, posterior: undefined, meanWeights: own(0.1, 0.9) });
    const { metadata } = readSafetensors(saveTableModel(model));
    for (const meanWeights of [[1], [0.1, 0.8], [0.1, 0.1, 0.8], ["0.1", "0.9"], null, 1]) {
      const document = JSON.stringify({ ...JSON.parse(metadata["table-model"]), meanWeights });
      const bytes = saveMixture(model.mixture as PosteriorMixture, { metadata: { "table-model": document } });
      expect(() => loadTableModel(bytes)).toThrow(expect.objectContaining({ reason: "malformed" }));
    }
  });
});
