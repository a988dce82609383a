// A column of weights, relative to each other, or of copies: a row of two copies is as though it were there twice, in fits, scores and choices;
// what cannot be a weight is named.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { loadTableModel, NDArray, Random } from "laplace-ts";
import { describe, expect, test } from "vitest";
import { dispersionOf, marginalDispersion } from "../src/fitting/counts.ts";
import { jobMessage, readJob } from "../src/fitting/job-messages.ts";
import { doJob, type Recipe } from "../src/fitting/jobs.ts";
import { learningOfClasses } from "../src/fitting/network.ts";
import { hopeless, mixOf, mixtureWeights } from "../src/fitting/portfolio.ts";
import { relativeWeights, weightText } from "../src/fitting/row-weights.ts";
import { baselineMetrics, baselineOf, classMetrics, scoredMetrics } from "../src/model/metrics.ts";
import { pairedMeans, pairedRoots } from "../src/model/paired.ts";
import type { Numbers } from "../src/model/rows.ts";
import { weightFormat } from "../src/model/weight-cells.ts";
import { inProcess, workFolder } from "./laplace.ts";

/** Each value as often as its weight says. */
const repeated = <T>(values: readonly T[], weights: readonly number[]): T[] =>
  values.flatMap((value, i) => new Array<T>(weights[i]).fill(value));

/** Numbers that agree to twelve digits or so, in any nesting. */
function expectClose(one: unknown, other: unknown): void {
  if (typeof one === "number" && typeof other === "number") {
    if (one !== other) expect(Math.abs(one - other)).toBeLessThan(1e-9 * (1 + Math.abs(other)));
  } else if (one !== null && typeof one === "object" && other !== null && typeof other === "object") {
    expect(Object.keys(one)).toEqual(Object.keys(other));
    for (const [key, value] of Object.entries(one)) expectClose(value, (other as Record<string, unknown>)[key]);
  } else expect(one).toEqual(other);
}

const real = fc.double({ min: -5, max: 5, noNaN: true });
const counted = (min: number) =>
  fc.array(fc.tuple(real, real, fc.integer({ min: 1, max: 3 }), fc.nat(2)), { minLength: min, maxLength: 25 });

describe("weights are rows that are there as often", () => {
  test("in the metrics of numbers, and in those of the baseline", () => {
    fc.assert(
      fc.property(counted(3), (rows) => {
        const weights = rows.map(([, , weight]) => weight);
        const truth = rows.map(([y]) => y);
        const scored = (own: <T>(values: readonly T[]) => T[]) => ({
          mean: own(rows.map(([, mean]) => mean)),
          lower: own(rows.map(([, mean]) => mean - 1)),
          upper: own(rows.map(([, mean]) => mean + 2)),
          negativeLogDensity: own(rows.map(([y, mean]) => (y - mean) ** 2)),
          crps: own(rows.map(([y, mean]) => Math.abs(y - mean))),
          below: own(rows.map(([y, mean]) => 1 / (1 + Math.exp(mean - y)))),
        });
        const often = <T>(values: readonly T[]) => repeated(values, weights);
        expectClose(
          scoredMetrics(
            scored((values) => [...values]),
            truth,
            weights,
          ),
          scoredMetrics(scored(often), often(truth)),
        );
        const baseline = baselineOf(truth, 0, weights);
        expectClose(baseline, baselineOf(often(truth), 0));
        if (!("sd" in baseline) || baseline.sd < 1e-6) return;
        const all = often(truth);
        expectClose(
          baselineMetrics(
            truth.map(() => baseline),
            truth,
            weights,
          ),
          baselineMetrics(
            all.map(() => baseline),
            all,
          ),
        );
      }),
    );
  });

  test("in the metrics of classes and of counts", () => {
    fc.assert(
      fc.property(counted(3), (rows) => {
        const weights = rows.map(([, , weight]) => weight);
        const often = <T>(values: readonly T[]) => repeated(values, weights);
        const p = rows.map(([a, b]) => {
          const own = [Math.exp(a), Math.exp(b), 1];
          const sum = own.reduce((all, one) => all + one);
          return own.map((one) => one / sum);
        });
        const truth = rows.map(([, , , label]) => label);
        const logs = p.map((row) => row.map(Math.log));
        expectClose(classMetrics(p, logs, truth, weights), classMetrics(often(p), often(logs), often(truth)));
        expectClose(baselineOf(truth, 3, weights), baselineOf(often(truth), 3));
        expectClose(baselineOf(truth, "counts", weights), baselineOf(often(truth), "counts"));
        expectClose(marginalDispersion(truth, weights), marginalDispersion(often(truth)));
        const rates = rows.map(([a]) => Math.exp(a / 5));
        expectClose(dispersionOf(truth, rates, 2, weights), dispersionOf(often(truth), often(rates), 2));
      }),
    );
  });

  test("in what the mixture is chosen by", () => {
    fc.assert(
      fc.property(counted(4), fc.boolean(), (rows, together) => {
        const weights = rows.map(([, , weight]) => weight);
        const often = (values: readonly number[]) => Float64Array.from(repeated(values, weights));
        const columns = [rows.map(([a]) => a), rows.map(([, b]) => b), rows.map(([a, b]) => (a + b) / 2)];
        const scales = [1, 2];
        const plain = columns.map((own) => [scales.map((scale) => Float64Array.from(own, (loss) => loss * scale))]);
        const many = columns.map((own) => [scales.map((scale) => often(own).map((loss) => loss * scale))]);
        const options = { together, weights: [weights] };
        expectClose(mixOf(plain, scales, options), mixOf(many, scales, { together }));
        expectClose(mixtureWeights(columns, weights), mixtureWeights(columns.map((own) => Array.from(often(own)))));
        for (const c of columns.keys()) expect(hopeless(plain, c, weights)).toBe(hopeless(many, c));
      }),
    );
  });

  test("in differences of models, whose errors are those of rows that differ", () => {
    fc.assert(
      fc.property(counted(4), (rows) => {
        const [a, b] = [rows.map(([one]) => one ** 2 + 0.1), rows.map(([, one]) => one ** 2 + 0.1)];
        const weights = rows.map(([, , weight]) => weight);
        for (const of of [pairedMeans, pairedRoots]) {
          const often = of(repeated(a, weights), repeated(b, weights));
          const own = of(a, b, weights);
          expectClose(own.difference, often.difference);
          // As many rows again say no more than once: weights of one size change nothing.
          const ones = of(
            a,
            b,
            weights.map(() => 7),
          );
          const none = of(a, b);
          expectClose(ones.standardError, none.standardError);
        }
      }),
    );
  });
});

describe("a fit of weighted rows is that of repeated ones", () => {
  const random = new Random(3);
  const rows = 60;
  const weights = Array.from({ length: rows }, (_, i) => 1 + (i % 3));
  const x = Array.from({ length: rows }, () => [random.normal(), random.normal()]);
  const number = x.map(([a, b]) => Math.sin(2 * a) + b / 2 + 0.2 * random.normal());
  const targets = {
    0: number,
    2: number.map((y) => Number(y > 0)),
    4: number.map((y) => Math.max(0, Math.min(3, Math.round(y + 1.5)))),
    counts: number.map((y) => Math.floor(3 * Math.exp(y))),
  };
  const numbersOf = (own: readonly number[][], y: readonly number[], given?: readonly number[]): Numbers => ({
    rows: y.length,
    x: new NDArray(Float64Array.from(own.flat()), [y.length, 2]),
    y: new NDArray(Float64Array.from(y), [y.length, 1]),
    unusual: y.map(() => []),
    gaps: y.map(() => []),
    ...(given && { weights: new NDArray(Float64Array.from(given), [y.length]) }),
  });
  const shared = { memoryBudget: 2 ** 28, seed: 1 } as const;
  const cases: [
    string,
    (learning: ReturnType<typeof learningOfClasses>) => Recipe,
    readonly (0 | 2 | 4 | "counts")[],
  ][] = [
    [
      "a linear model",
      (learning) => ({ ...shared, by: "evidence", learning, width: 0, groups: "layers" }),
      [0, 2, "counts"],
    ],
    [
      "with noise by row",
      (learning) => ({ ...shared, by: "evidence", learning, width: 0, groups: "layers", varying: true }),
      [0],
    ],
    [
      "random features",
      (learning) => ({ ...shared, by: "features", learning, features: 20, length: 1, precision: undefined }),
      [0],
    ],
    [
      "random features, a given prior",
      (learning) => ({ ...shared, by: "features", learning, features: 20, length: 0.5, precision: 0.3 }),
      [2, 4],
    ],
    [
      "dispersed counts",
      (learning) => ({ ...shared, by: "evidence", learning, width: 0, groups: "layers", dispersed: true }),
      ["counts"],
    ],
  ];

  for (const [name, recipeOf, kinds] of cases) {
    for (const kind of kinds) {
      test(`${name}, of ${kind === 0 ? "numbers" : kind === "counts" ? kind : `${kind} classes`}`, async () => {
        const recipe = recipeOf(learningOfClasses(kind));
        const y = targets[kind];
        const fit = async (numbers: Numbers) => {
          const job = readJob(structuredClone(jobMessage({ recipe, numbers, division: { part: [], rest: [] } })));
          const { posterior } = await doJob(job, () => {});
          const { functionMean, functionVariance } = posterior.predict([
            [0.3, -1],
            [2, 1],
          ]);
          return [functionMean, functionVariance].map(({ data }) => Array.from(data));
        };
        // The search for prior and noise stops where an evidence is better by less than 0.05 nats.
        const weighted = await fit(numbersOf(x, y, weights));
        const often = await fit(numbersOf(repeated(x, weights), repeated(y, weights)));
        const once = await fit(numbersOf(x, y));
        for (const [k, values] of weighted.entries()) {
          for (const [i, value] of values.entries()) {
            expect(Math.abs(value - often[k][i])).toBeLessThan(1e-2 * (1e-6 + Math.abs(often[k][i])));
          }
        }
        // Of several classes the variance is the prior's where all logits move together.
        const k = kind === 4 ? 0 : 1;
        expect(Math.abs(weighted[k][0] - once[k][0])).toBeGreaterThan(0.1 * Math.abs(once[k][0]));
      });
    }
  }
});

describe("weights that count relative to each other", () => {
  const weight = fc.double({ min: 1e-3, max: 1e3, noNaN: true });

  test("are what they are times any constant, and together as many rows as they are worth", () => {
    fc.assert(
      fc.property(
        fc.array(weight, { minLength: 1, maxLength: 30 }),
        fc.constantFrom(1e-200, 0.1, 7, 1e200),
        (own, factor) => {
          const found = relativeWeights(Float64Array.from(own));
          const times = relativeWeights(Float64Array.from(own, (w) => w * factor));
          const sum = own.reduce((all, w) => all + w, 0);
          const worth = sum ** 2 / own.reduce((all, w) => all + w * w, 0);
          let total = 0;
          for (const [i, w] of own.entries()) {
            expect(found[i] / ((worth * w) / sum)).toBeCloseTo(1, 10);
            expect(times[i] / found[i]).toBeCloseTo(1, 10);
            total += found[i];
          }
          expect(total).toBeLessThan(own.length * (1 + 1e-12));
        },
      ),
    );
  });

  test("are ones where they are equal, and the summary says which was taken", () => {
    expect(Array.from(relativeWeights(Float64Array.of(3, 3, 3)))).toEqual([1, 1, 1]);
    const format = weightFormat(["2", "4"]);
    const own = [2, 2, 4];
    expect(weightText({ column: "w", format }, relativeWeights(Float64Array.from(own)), 0)).toBe(
      'by "w", relative to each other: together worth 3 rows of one weight; scores of held-out rows are weighted',
    );
    expect(weightText({ column: "w", format, copies: true }, own, 2)).toBe(
      'as often as "w" says, 8 in all; scores of held-out rows are weighted; 2 of weight 0 have no part',
    );
  });
});

describe("on the command line", () => {
  const folder = workFolder();
  const at = (name: string) => join(folder, name);
  const random = new Random(5);
  const rows = Array.from({ length: 80 }, (_, i) => {
    const x = random.normal();
    const w = [0, 1, 2, 3.5][i % 4];
    // Rows of great weight follow another line than the others.
    return [x.toFixed(4), w === 3.5 ? (2 * x + 3).toFixed(4) : (-2 * x).toFixed(4), String(w)];
  });
  const write = (name: string, own = rows) => {
    writeFileSync(at(name), `x,y,w\n${own.map((row) => row.join(",")).join("\n")}\n`);
    return at(name);
  };
  const fit = (...more: string[]) =>
    inProcess(["fit", write("w.csv"), "-t", "y", "-o", at("w.st"), "-r", at("w.html"), ...more]);

  test("the fit says it, evaluate and compare take it, and predict does not need it", async () => {
    const run = await fit("--weight", "w");
    expect(run.stderr.replace(/.*\r/g, "")).not.toContain("Error");
    expect(run.code).toBe(0);
    expect(run.stdout).toMatch(
      /weights +by "w", relative to each other: together worth 49 rows of one weight; scores of held-out rows are weighted; 20 of weight 0 have no part/,
    );
    expect(run.stdout).toContain("ignored w:");
    expect(readFileSync(at("w.html"), "utf8")).toContain("worth 49 rows of one weight");
    const model = loadTableModel(readFileSync(at("w.st")));
    expect(model.notes).toMatchObject({ weight: { column: "w", format: { decimal: "." } } });
    const judged = await inProcess(["evaluate", at("w.st"), at("w.csv"), "--json"]);
    const plain = await inProcess([
      "evaluate",
      at("w.st"),
      write(
        "ones.csv",
        rows.map(([x, y]) => [x, y, "1"]),
      ),
      "--json",
    ]);
    expect(JSON.parse(judged.stdout)).toMatchObject({ rows: 60, weight: "w" });
    expect(JSON.parse(plain.stdout)).toMatchObject({ rows: 80 });
    const often = rows.flatMap(([x, y, w]) => new Array(2 * Number(w)).fill([x, y, "1"]));
    const repeatedly = await inProcess(["evaluate", at("w.st"), write("often.csv", often), "--json"]);
    expectClose(JSON.parse(judged.stdout).metrics, JSON.parse(repeatedly.stdout).metrics);
    expect((await inProcess(["compare", at("w.st"), at("w.st"), at("w.csv")])).stdout).toContain(
      '60, 20 of weight 0 left out, weighted by "w"',
    );
    const huge = rows.map(([x, y, w]) => [x, y, String(5e307 * Number(w))]);
    const inHuge = await inProcess(["evaluate", at("w.st"), write("huge.csv", huge), "--json"]);
    expectClose(JSON.parse(inHuge.stdout).metrics, JSON.parse(judged.stdout).metrics);
    writeFileSync(at("x.csv"), "x\n0.5\n");
    expect((await inProcess(["predict", at("w.st"), at("x.csv"), "-o", at("p.csv")])).code).toBe(0);
    writeFileSync(at("xy.csv"), "x,y\n0.5,1\n");
    expect((await inProcess(["evaluate", at("w.st"), at("xy.csv")])).stderr).toContain(
      'the table has no column "w", by which',
    );
  });

  test("a fit by weights is that by their multiple, and copies are whole numbers", async () => {
    const quick = ["--epochs", "4", "--rounds", "1", "--hidden", "4", "--no-report"];
    const predicted = async (factor: number, option: string) => {
      const own = rows.map(([x, y, w]) => [x, y, String(factor * Number(w))]);
      const path = write(`w${factor}.csv`, own);
      const run = await inProcess(["fit", path, "-t", "y", "-o", at("m.st"), option, "w", ...quick]);
      expect(run.stderr.replace(/.*\r/g, "")).not.toContain("Error");
      expect(run.code).toBe(0);
      const model = loadTableModel(readFileSync(at("m.st")));
      const { mean = [], sd = [] } = model.predict([{ x: "0.5" }, { x: "-1" }]);
      return { values: [...mean, ...sd], notes: model.notes };
    };
    const [one, eight] = [await predicted(1, "--weight"), await predicted(8, "--weight")];
    expect(eight.values).toEqual(one.values);
    const [copies, more] = [await predicted(2, "--copies"), await predicted(8, "--copies")];
    expect(copies.notes).toMatchObject({ weight: { column: "w", copies: true } });
    expect(more.values).not.toEqual(copies.values);
    const byWeight = await inProcess(["fit", write("w.csv"), "-t", "y", "-o", at("m2.st"), "--weight", "w", ...quick]);
    expect(byWeight.code).toBe(0);
    for (const [one, other] of [
      ["m.st", "m2.st"],
      ["m2.st", "m.st"],
    ]) {
      const run = await inProcess(["compare", at(one), at(other), write("w.csv")]);
      expect(run.stderr).toContain("models that count rows alike can be compared");
      expect(run.stderr).toContain('rows by the copies in "w"');
      expect(run.stderr).toContain('rows by the weights in "w"');
    }
    const run = await inProcess(["fit", write("w.csv"), "-t", "y", "-o", at("m.st"), "--copies", "w", ...quick]);
    expect(run.stderr).toContain('line 5: the weight "w" has "3.5", which is not a whole number of at least 0');
  });

  test("what cannot be a weight is named with its line, or its row left out", async () => {
    for (const [cell, what] of [
      ["-1", '"-1", which is not a finite number of at least 0'],
      ["heavy", '"heavy", which is not a finite number of at least 0'],
      ["inf", '"inf", which is not a finite number of at least 0'],
      ["", "no value"],
    ]) {
      const path = write("bad.csv", [...rows.slice(0, 30), [rows[0][0], rows[0][1], cell], ...rows.slice(30)]);
      const args = ["fit", path, "-t", "y", "-o", at("bad.st"), "--no-report", "--weight", "w"];
      const run = await inProcess(args);
      expect(run.code).toBe(1);
      expect(run.stderr).toContain(`line 32: the weight "w" has ${what}`);
      const skipped = await inProcess([
        ...args,
        "--on-error",
        "skip",
        "--epochs",
        "4",
        "--rounds",
        "1",
        "--hidden",
        "4",
      ]);
      expect(skipped.code).toBe(0);
      expect(skipped.stdout).toContain("1 skipped");
    }
  });

  test("options that contradict it are refused", async () => {
    const refused = async (text: string, ...more: string[]) => {
      const run = await fit(...more);
      expect(run.code).not.toBe(0);
      expect(run.stderr).toContain(text);
    };
    await refused('there is no column "v"', "--weight", "v");
    await refused('"y" is the target: it cannot be the weight too', "--weight", "y");
    await refused("--weight takes one column", "--weight", "w,x");
    await refused('both name the column "w"', "--weight", "w", "--number", "w");
    await refused("give --guarantee or --weight, not both", "--weight", "w", "--guarantee");
    await refused("give --guarantee or --copies, not both", "--copies", "w", "--guarantee");
    await refused("give --weight or --copies, not both", "--copies", "w", "--weight", "w");
    await refused("it cannot be the number of copies too", "--copies", "y");
  });
});
