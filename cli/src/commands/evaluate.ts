// laplace evaluate: a model's predictions against the truth of a table, beside the baseline.

import { Command } from "commander";
import { coverageByGroup, type TableRegions, tableScores } from "laplace-ts";
import { TableError } from "../errors.ts";
import { shareText } from "../model/guarantee-text.ts";
import { baselineMetrics, classMetrics, type Metrics, type ScoredNumbers, scoredMetrics } from "../model/metrics.ts";
import { taskOf } from "../model/noise.ts";
import { columnAt } from "../model/rows.ts";
import { line, metricLines } from "../output/summary.ts";
import { Progress, plain, printJson, printNote, printRepeated } from "../output/terminal.ts";
import { Unreadable } from "../output/unreadable.ts";
import { batchEncoder, isRowError, named } from "../table/encode.ts";
import { openTable } from "../table/open.ts";
import { guaranteedRegions, guaranteeEncoder } from "./guaranteed.ts";
import { asWritten, notesOf, readModel } from "./model.ts";
import { asFitted, weightsOfRows } from "./model-weights.ts";
import { readOptions, type TableOptions, withJson, withOnError, withTableOptions } from "./options.ts";

interface Options extends TableOptions {
  readonly onError: "stop" | "skip";
  readonly json?: true;
}

/** That of the guaranteed intervals or sets whose coverage is counted. */
const LEVEL = 0.9;

/** The command. */
export function evaluateCommand(): Command {
  const command = new Command("evaluate")
    .description("hold a model's predictions against the truth of a table, beside the baseline")
    .argument("<model>", "a model file that laplace fit wrote")
    .argument(
      "<data...>",
      "CSV or Parquet files with the target's column, or a folder of them, as one table; - for CSV on standard input",
    );
  return withJson(withTableOptions(withOnError(command))).action(run);
}

async function run(modelPath: string, data: readonly string[], options: Options): Promise<void> {
  const fitted = await readModel(modelPath);
  const model = asWritten(fitted, options);
  const { encoding } = model;
  const { target } = encoding;
  let skipped = 0;
  const skip = options.onError === "skip" ? () => skipped++ : undefined;
  const table = await openTable(data, { ...readOptions(options, notesOf(model).reading), onSkip: skip });
  const at = columnAt(table.names, target.name);
  if (at < 0) throw new TableError(`the table has no column "${target.name}", the truth to evaluate against.`);
  const counted = weightsOfRows(model, table);
  const unreadable = new Unreadable();
  const encode = batchEncoder(model, table, skip, unreadable.add);
  const progress = new Progress(options.json === true);
  const truth: number[] = [];
  const weights: number[] | undefined = counted && [];
  const numbers = { mean: [], lower: [], upper: [], negativeLogDensity: [], crps: [], below: [] } as Record<
    keyof ScoredNumbers,
    number[]
  >;
  const [probabilities, logs]: [number[][], number[][]] = [[], []];
  const encodeOthers = guaranteeEncoder(model, table);
  const regions: TableRegions[] = [];
  let [far, dropped] = [0, 0];
  for await (const batch of table.batches) {
    const truths = new Map<readonly string[], number>();
    const own = new Map<readonly string[], number>();
    const usable = batch.rows.flatMap((row, i) => {
      try {
        const value = named(batch.lines[i], () => encoding.encodeTarget(row[at]));
        const weight = counted?.(row, batch.lines[i]) ?? 1;
        if (value === undefined) dropped++;
        else truths.set(row, value);
        own.set(row, weight);
        return value === undefined || weight === 0 ? [] : [i];
      } catch (error) {
        if (skip === undefined || !isRowError(error)) throw error;
        skip();
        return [];
      }
    });
    const encoded = encode({ rows: usable.map((i) => batch.rows[i]), lines: usable.map((i) => batch.lines[i]) });
    if (encoded.rows.length === 0) continue;
    const predicted = model.predictEncoded(encoded.x, encoded.unusual, encoded.gaps);
    const targets = encoded.rows.map((row) => model.encoding.ofTarget(truths.get(row) ?? 0));
    truth.push(...targets);
    weights?.push(...encoded.rows.map((row) => own.get(row) ?? 1));
    regions.push(...guaranteedRegions(model, encodeOthers(encoded), [LEVEL]));
    if (target.kind === "number") {
      const { mean = [], lower = [], upper = [] } = predicted;
      const found = { mean, lower, upper, ...tableScores(predicted, targets) };
      for (const name of Object.keys(numbers) as (keyof ScoredNumbers)[])
        numbers[name].push(...Array.from(found[name]));
    }
    encoded.rows.forEach((_, i) => {
      if (target.kind === "classes") {
        probabilities.push(Array.from(predicted.probabilities?.sub(i).data ?? []));
        logs.push(Array.from(predicted.logProbabilities?.sub(i).data ?? []));
      }
      if (predicted.far[i]) far++;
    });
    progress.show(() => `${truth.length.toLocaleString("en")} rows`);
  }
  progress.done();
  printRepeated(table.repeated);
  if (truth.length === 0) throw new TableError(`no row has a value of "${target.name}".`);
  const task = taskOf(encoding);
  const counts = asFitted(model, weights);
  const metrics =
    task === "classification"
      ? classMetrics(probabilities, logs, truth, counts)
      : scoredMetrics(numbers, truth, counts);
  const { baseline: reference } = notesOf(model);
  const baseline: Metrics =
    reference === undefined ? {} : baselineMetrics(new Array(truth.length).fill(reference), truth, counts);
  const guaranteed = coverageOf(regions, truth);
  unreadable.print();
  if (options.json) {
    printJson({
      unreadable: unreadable.counts,
      task,
      target: target.name,
      rows: truth.length,
      dropped,
      skipped,
      far,
      ...(counted !== undefined && { weight: notesOf(model).weight?.column }),
      metrics,
      baseline,
      candidates: notesOf(model).candidates,
      ...(guaranteed !== undefined && { guarantee: { level: LEVEL, ...guaranteed } }),
    });
    return;
  }
  const left = [
    ...(dropped > 0 ? [`${dropped} without a target left out`] : []),
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
    `${far} far from the training data`,
    ...(counted === undefined ? [] : [`weighted by "${plain(notesOf(model).weight?.column ?? "")}"`]),
  ];
  const lines = [
    line("rows", `${truth.length.toLocaleString("en")}, ${left.join(", ")}`),
    ...metricLines(task, metrics, baseline),
    ...(guaranteed === undefined ? [] : [line("guarantee", guaranteedText(guaranteed, task))]),
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
  printNote(
    `Rows that ${plain(modelPath)} was fitted to flatter it; laplace inspect shows what it did on held-out rows.`,
  );
}

/** How often guaranteed intervals or sets hold the truth; undefined where there are none. */
function coverageOf(regions: readonly TableRegions[], truth: readonly number[]) {
  if (regions.length === 0) return undefined;
  const all = <T>(pick: (one: TableRegions) => ArrayLike<T> | undefined) =>
    regions.flatMap((one) => Array.from(pick(one) ?? []));
  const [lower, upper, sets] = [all((one) => one.lower), all((one) => one.upper), all((one) => one.sets)];
  const classes = sets.length > 0;
  const [{ samples, coverage, range }] = coverageByGroup(
    classes ? { sets } : { lower, upper },
    truth,
    new Float64Array(truth.length),
  );
  const endless = lower.filter((low, i) => !Number.isFinite(low) || !Number.isFinite(upper[i])).length;
  const size = sets.reduce((sum, set) => sum + set.length / sets.length, 0);
  return {
    samples,
    coverage,
    range,
    classesInSet: classes ? size : undefined,
    endless: classes ? undefined : endless,
  };
}

/** That in words. */
function guaranteedText(found: NonNullable<ReturnType<typeof coverageOf>>, task: string): string {
  const { samples, coverage, range, classesInSet, endless = 0 } = found;
  const what = task === "classification" ? "sets" : "intervals";
  const size = classesInSet === undefined ? "" : `, of ${classesInSet.toFixed(2)} classes on average`;
  const open = endless > 0 ? `; ${endless.toLocaleString("en")} of them are endless` : "";
  const between = range.map(shareText).join(" to ");
  return `${shareText(LEVEL)} ${what} held ${shareText(coverage)} of ${samples.toLocaleString("en")} rows (rows like these: ${between})${size}${open}`;
}
