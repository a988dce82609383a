// `laplace fit` on tables, beside scikit-learn: fitted to four fifths of the rows, judged by the rest, some splits each.

import { existsSync } from "node:fs";
import { basename } from "node:path";
import { normalCdf, type TableModel, tableEncoding, tableScores } from "laplace-ts";
import { fitTable } from "../cli/src/fitting/fit.ts";
import { classMetrics, type Metrics, regressionMetrics, scoredMetrics } from "../cli/src/model/metrics.ts";
import { columnAt, type Rows, rowsAt, shuffled } from "../cli/src/model/rows.ts";
import { openTable } from "../cli/src/table/open.ts";
import { readTable } from "../cli/src/table/read.ts";
import { Python } from "./peers/python.ts";

/** Tables where none are named: a file, its target (default: the last column), and columns to leave out. */
const tables = [
  "../shared/data/tables/BostonHousing.csv:medv",
  "../shared/data/tables/Friedman1.csv:y",
  "../shared/data/diabetes.csv",
  "../shared/data/airquality.csv:Ozone",
  "../shared/data/tables/Ionosphere.csv:Class",
  "../shared/data/tables/Sonar.csv:Class",
  "../shared/data/tables/PimaIndiansDiabetes.csv:diabetes",
  "../shared/data/tables/BreastCancer.csv:Class:Id",
  "../shared/data/tables/Waveform.csv:class",
  "../shared/data/tables/Vowel.csv:Class",
  "../shared/data/iris.csv",
  "../shared/data/infert.csv",
  "../shared/data/breast_cancer.csv",
  "../shared/data/digits.csv",
] as const;

const MISSING = "scikit-learn is skipped: no Python with it (Debian: apt-get install python3-sklearn).";
const peers = ["linear", "forest", "boosting", "process"] as const;
type Way = "ours" | (typeof peers)[number];
/** A probability of 0 is taken for so much: a forest gives it where none of its trees has seen a class. */
const LEAST = 1e-4;
const TEST_SHARE = 0.2;

interface Score {
  readonly metrics: Metrics;
  readonly seconds: number;
  /** Of the processor, on all cores: what a machine that does other things, too, does not change. */
  readonly processor: number;
}

interface Answer {
  readonly seconds: number;
  readonly processor: number;
  readonly mean?: number[];
  readonly sd?: number[];
  readonly classes?: string[];
  readonly probabilities?: number[][];
}

/** What is measured and how. */
export interface TableSetting {
  readonly named: readonly string[];
  readonly splits: number;
  readonly peers: boolean;
  /** The peer that is left out. */
  readonly without: string;
  readonly filter: string;
  readonly threads: number;
}

/** Measures, prints, and gives what was measured. */
export async function runTables(setting: TableSetting): Promise<object[]> {
  const python = setting.peers ? await Python.start("tables-child.py", setting.threads, MISSING) : undefined;
  const ways: readonly Way[] = [
    "ours",
    ...(python === undefined ? [] : peers.filter((way) => way !== setting.without)),
  ];
  const results: object[] = [];
  const ranks = new Map<Way, number[]>(ways.map((way) => [way, []]));
  for (const named of setting.named.length > 0 ? setting.named : tables) {
    if (!named.includes(setting.filter)) continue;
    const [file, target, ignore] = named.split(":");
    if (!existsSync(file)) {
      console.log(`There is no file ${file}.`);
      continue;
    }
    const table = await readTable(await openTable(file, {}), Number.POSITIVE_INFINITY, 0);
    const found = await onTable(table, target ?? table.names[table.names.length - 1], ignore?.split(","), {
      ...setting,
      python,
      ways,
    });
    console.log(`\n${basename(file, ".csv")}: ${table.rows.length} rows`);
    for (const [way, score] of found.scores) console.log(lineOf(way, score));
    const order = [...found.scores].sort(
      ([, a], [, b]) => a.metrics.negativeLogLikelihood - b.metrics.negativeLogLikelihood,
    );
    for (const [i, [way]] of order.entries()) ranks.get(way)?.push(i + 1);
    results.push({ suite: "tables", name: named, scores: Object.fromEntries(found.scores) });
  }
  python?.stop();
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value / values.length, 0);
  const text = [...ranks].map(([way, own]) => `${way} ${mean(own).toFixed(2)}`).join(", ");
  if (ways.length > 1) console.log(`\nMean rank by log likelihood: ${text}\n`);
  return results;
}

async function onTable(
  given: Rows,
  target: string,
  ignore: readonly string[] = [],
  { splits, python, ways }: TableSetting & { readonly python: Python | undefined; readonly ways: readonly Way[] },
) {
  const at = columnAt(given.names, target);
  const absent = new Set(["", "NA", "?"]);
  const present = given.rows.flatMap((row, i) => (absent.has(row[at]) ? [] : [i]));
  const table = rowsAt(given, present);
  const kinds = Object.fromEntries(ignore.map((name) => [name, "ignored" as const]));
  const encoded = tableEncoding(table, { target, kinds }).target;
  const task = encoded.kind === "classes" ? "classification" : encoded.counts ? "count" : "regression";
  const all = new Map<Way, Score[]>();
  for (let split = 0; split < splits; split++) {
    const order = shuffled(table.rows.length, split);
    const count = Math.round(TEST_SHARE * order.length);
    const [test, train] = [rowsAt(table, order.slice(0, count)), rowsAt(table, order.slice(count))];
    for (const way of ways) {
      const score =
        way === "ours"
          ? await ours(train, test, { target, kinds, task })
          : await theirs(python, way, train, test, { target, ignore, task });
      if (score !== undefined) all.set(way, [...(all.get(way) ?? []), score]);
    }
  }
  return { scores: new Map([...all].map(([way, own]) => [way, meanScore(own)])) };
}

type Task = "regression" | "classification" | "count";

async function ours(
  train: Rows,
  test: Rows,
  { target, kinds, task }: { target: string; kinds: Record<string, "ignored">; task: Task },
): Promise<Score> {
  const [start, before] = [performance.now(), process.cpuUsage()];
  const settings = {
    activation: "tanh",
    missing: "impute",
    structure: "auto",
    memoryBudget: 2 ** 30,
    rounds: 5,
  } as const;
  const { model } = await fitTable(train, { ...settings, target, task, kinds, seed: 0 }, () => {});
  const predicted = model.predict(
    test.rows.map((row) => Object.fromEntries(test.names.map((name, j) => [name, row[j]]))),
  );
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(before);
  const times = { seconds, processor: (user + system) / 1e6 };
  const truth = truthOf(model, test);
  const { mean, lower, upper } = predicted;
  if (mean !== undefined && lower !== undefined && upper !== undefined) {
    return { metrics: scoredMetrics({ mean, lower, upper, ...tableScores(predicted, truth) }, truth), ...times };
  }
  const rows = Array.from({ length: predicted.rows }, (_, i) => Array.from(predicted.probabilities?.sub(i).data ?? []));
  const logs = Array.from({ length: predicted.rows }, (_, i) =>
    Array.from(predicted.logProbabilities?.sub(i).data ?? []),
  );
  return { metrics: classMetrics(rows, logs, truth), ...times };
}

/** Targets of rows: numbers, or places of classes. */
function truthOf({ encoding }: TableModel, rows: Rows): number[] {
  const at = columnAt(rows.names, encoding.target.name);
  return rows.rows.map((row) => encoding.ofTarget(encoding.encodeTarget(row[at]) ?? Number.NaN));
}

async function theirs(
  python: Python | undefined,
  model: Way,
  train: Rows,
  test: Rows,
  { target, ignore, task }: { target: string; ignore: readonly string[]; task: Task },
): Promise<Score | undefined> {
  const columns = (rows: Rows) => ({
    columns: Object.fromEntries(
      rows.names.flatMap((name, j) => (ignore.includes(name) ? [] : [[name, rows.rows.map((row) => row[j])]])),
    ),
  });
  try {
    const command = {
      model,
      target,
      task: task === "count" ? "regression" : task,
      train: columns(train),
      test: columns(test),
    };
    const answer = await python?.ask<Answer>(command);
    if (answer === undefined) return undefined;
    const { seconds, processor, mean, sd, classes = [], probabilities = [] } = answer;
    const at = columnAt(test.names, target);
    const cells = test.rows.map((row) => row[at]);
    if (mean !== undefined && sd !== undefined) {
      const truth = cells.map(Number);
      const metrics = regressionMetrics(mean, sd, truth);
      return {
        metrics: task === "count" ? { ...metrics, negativeLogLikelihood: countLoss(mean, sd, truth) } : metrics,
        seconds,
        processor,
      };
    }
    const known = (cell: string) =>
      Math.max(
        0,
        classes.findIndex((name) => name === cell || Number(name) === Number(cell)),
      );
    const logs = probabilities.map((row) => row.map((p) => Math.log(Math.max(LEAST, p))));
    return { metrics: classMetrics(probabilities, logs, cells.map(known)), seconds, processor };
  } catch (error) {
    console.log(`– ${model}: ${(error as Error).message}`);
    return undefined;
  }
}

/**
 * The mean −log p of counts by normal numbers that are rounded to counts, what is below 0 to 0, since ours are probabilities too, and
 * no densities.
 */
function countLoss(mean: readonly number[], sd: readonly number[], truth: readonly number[]): number {
  const losses = truth.map((y, i) => {
    // On the side of the mean where a difference of shares keeps its digits.
    const z = (at: number) => (at - mean[i]) / sd[i];
    const [low, high] = [y === 0 ? Number.NEGATIVE_INFINITY : z(y - 0.5), z(y + 0.5)];
    const share = low > 0 ? normalCdf(-low) - normalCdf(-high) : normalCdf(high) - normalCdf(low);
    return -Math.log(Math.max(share, LEAST));
  });
  return losses.reduce((sum, loss) => sum + loss / losses.length, 0);
}

function meanScore(scores: readonly Score[]): Score {
  const mean = (pick: (score: Score) => number) => scores.reduce((sum, score) => sum + pick(score) / scores.length, 0);
  const names = Object.keys(scores[0].metrics);
  return {
    metrics: Object.fromEntries(names.map((name) => [name, mean(({ metrics }) => metrics[name])])),
    seconds: mean(({ seconds }) => seconds),
    processor: mean(({ processor }) => processor),
  };
}

function lineOf(way: Way, { metrics, seconds, processor }: Score): string {
  const shown: readonly (readonly [string, number | undefined])[] = [
    ["NLL", metrics.negativeLogLikelihood],
    ["CRPS", metrics.crps],
    ["RMSE", metrics.rootMeanSquaredError],
    ["accuracy", metrics.accuracy],
    ["ECE", metrics.expectedCalibrationError],
    ["90 % hold", metrics.intervalCoverage ?? metrics.setCoverage],
  ];
  const cells = shown.flatMap(([name, value]) => (value === undefined ? [] : [`${name} ${value.toPrecision(4)}`]));
  return `  ${way.padEnd(9)} ${[...cells, `${seconds.toFixed(1)} s, processor ${processor.toFixed(1)} s`].join("  ")}`;
}
