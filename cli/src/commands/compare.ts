// laplace compare: models on the same rows, with what of their differences is more than chance.

import { Command } from "commander";
import { type TableModel, type TablePrediction, tableScores } from "laplace-ts";
import { TableError, UsageError } from "../errors.ts";
import { meanBy } from "../model/counting.ts";
import { taskOf } from "../model/noise.ts";
import { type PairedDifference, pairedMeans, pairedRoots } from "../model/paired.ts";
import { columnAt } from "../model/rows.ts";
import { line } from "../output/summary.ts";
import { Progress, plain, printJson, printNote, printRepeated, styled } from "../output/terminal.ts";
import { Unreadable } from "../output/unreadable.ts";
import { batchEncoder, named } from "../table/encode.ts";
import { openTable } from "../table/open.ts";
import { asWritten, notesOf, readModel } from "./model.ts";
import { asFitted, weightsOfRows } from "./model-weights.ts";
import { readOptions, type TableOptions, withJson, withTableOptions } from "./options.ts";

interface Options extends TableOptions {
  readonly json?: true;
}

/** What is compared: the metric's name and label, which scores of rows it is of, and whether more is better. */
interface Metric {
  readonly name: string;
  readonly label: string;
  readonly root?: true;
  readonly more?: true;
}

const numbers: readonly Metric[] = [
  { name: "negativeLogLikelihood", label: "NLL" },
  { name: "crps", label: "CRPS" },
  { name: "rootMeanSquaredError", label: "RMSE", root: true },
];
const classes: readonly Metric[] = [
  { name: "negativeLogLikelihood", label: "NLL" },
  { name: "accuracy", label: "accuracy", more: true },
  { name: "brierScore", label: "Brier score" },
];

/** Fewer rows say nothing of chance. */
const FEWEST = 10;

/** The command. */
export function compareCommand(): Command {
  const command = new Command("compare")
    .description(
      "hold models of one target against the same rows: their scores, and which differences are beyond chance",
    )
    .argument("<files...>", "model files that laplace fit wrote, two or more, and last the table with the truth");
  return withJson(withTableOptions(command)).action(run);
}

async function run(files: readonly string[], options: Options): Promise<void> {
  const [paths, data] = [files.slice(0, -1), files[files.length - 1]];
  if (paths.length < 2) {
    throw new UsageError(
      "name two models or more, and last the table: laplace compare a.safetensors b.safetensors data.csv",
    );
  }
  const models: TableModel[] = [];
  for (const path of paths) models.push(asWritten(await readModel(path), options));
  const [first] = models;
  models.forEach((model, k) => {
    requireAlike(first, model, paths[0], paths[k]);
  });
  const task = taskOf(first.encoding);
  const metrics = task === "classification" ? classes : numbers;
  const { reading } = notesOf(first);
  const table = await openTable(data, readOptions(options, reading));
  const { target } = first.encoding;
  const at = columnAt(table.names, target.name);
  if (at < 0) throw new TableError(`the table has no column "${target.name}", the truth to compare with.`);
  const counted = weightsOfRows(first, table);
  const weights: number[] | undefined = counted && [];
  const unreadable = new Unreadable();
  const encoders = models.map((model, k) =>
    batchEncoder(model, table, undefined, k === 0 ? unreadable.add : undefined),
  );
  const progress = new Progress(options.json === true);
  /** [model][metric][row] */
  const scores = models.map(() => metrics.map((): number[] => []));
  let [rows, dropped, none] = [0, 0, 0];
  for await (const batch of table.batches) {
    const kept = batch.rows.flatMap((row, i) => {
      const value = named(batch.lines[i], () => first.encoding.encodeTarget(row[at]));
      const weight = counted?.(row, batch.lines[i]) ?? 1;
      if (value === undefined) dropped++;
      else if (weight === 0) none++;
      if (value === undefined || weight === 0) return [];
      weights?.push(weight);
      return [i];
    });
    if (kept.length === 0) continue;
    const used = { rows: kept.map((i) => batch.rows[i]), lines: kept.map((i) => batch.lines[i]) };
    for (const [k, model] of models.entries()) {
      const { encoding } = model;
      const truth = used.rows.map((row, i) => {
        return encoding.ofTarget(named(used.lines[i], () => encoding.encodeTarget(row[at])) ?? Number.NaN);
      });
      const { x, unusual, gaps } = encoders[k](used);
      const own = scoresOf(task, model.predictEncoded(x, unusual, gaps), truth);
      for (const [m, values] of own.entries()) scores[k][m].push(...values);
    }
    rows += kept.length;
    progress.show(() => `${rows.toLocaleString("en")} rows`);
  }
  progress.done();
  printRepeated(table.repeated);
  if (rows < FEWEST) {
    throw new TableError(
      `${rows} rows have a value of "${target.name}"; at least ${FEWEST} are needed to tell models apart.`,
    );
  }
  unreadable.print();
  const counts = asFitted(first, weights);
  const values = scores.map((own) => own.map((each, m) => metricOf(metrics[m], each, counts)));
  const differences = scores
    .slice(1)
    .map((own) => metrics.map(({ root }, m) => (root ? pairedRoots : pairedMeans)(own[m], scores[0][m], counts)));
  if (options.json) {
    const byName = <T>(list: readonly T[]) => Object.fromEntries(metrics.map(({ name }, m) => [name, list[m]]));
    printJson({
      task,
      target: target.name,
      rows,
      dropped,
      ...(counted !== undefined && { weight: notesOf(first).weight?.column, withoutWeight: none }),
      unreadable: unreadable.counts,
      models: paths.map((path, k) => ({
        path,
        metrics: byName(values[k]),
        ...(k > 0 && { lessFirst: byName(differences[k - 1]) }),
      })),
    });
    return;
  }
  const by = counted === undefined ? "" : `, weighted by "${plain(notesOf(first).weight?.column ?? "")}"`;
  const left = `${dropped > 0 ? `, ${dropped} without a target left out` : ""}${none > 0 ? `, ${none} of weight 0 left out` : ""}${by}`;
  process.stdout.write(
    `${[line("rows", `${rows.toLocaleString("en")}${left}`), ...tableLines(paths, metrics, values), ...differenceLines(paths, metrics, differences)].join("\n")}\n`,
  );
  printNote("Rows that a model was fitted to flatter it: compare on rows that none of them has seen.");
}

/** @throws UsageError for models of another target or task */
function requireAlike(one: TableModel, other: TableModel, path: string, otherPath: string): void {
  const [a, b] = [one.encoding.target, other.encoding.target];
  const both = `models of one target can be compared: ${path} predicts`;
  if (a.name.normalize("NFC") !== b.name.normalize("NFC")) {
    throw new UsageError(`${both} "${a.name}", ${otherPath} "${b.name}".`);
  }
  const [weight, otherWeight] = [one, other].map((model) => notesOf(model).weight);
  if (weight?.column !== otherWeight?.column || weight?.copies !== otherWeight?.copies) {
    const text = (own: typeof weight) =>
      own === undefined ? "each row once" : `rows by ${own.copies ? "the copies" : "the weights"} in "${own.column}"`;
    throw new UsageError(
      `models that count rows alike can be compared: ${path} counts ${text(weight)}, ${otherPath} ${text(otherWeight)}.`,
    );
  }
  const [task, otherTask] = [taskOf(one.encoding), taskOf(other.encoding)];
  if (task !== otherTask) {
    throw new UsageError(
      `${both} "${a.name}" as ${task}, ${otherPath} as ${otherTask}. Fit one of them again with --task.`,
    );
  }
  if (a.kind !== "classes" || b.kind !== "classes") return;
  const [mine, others] = [a, b].map(({ classes }) => classes.toSorted());
  if (mine.length !== others.length || mine.some((name, c) => name !== others[c])) {
    const shown = (names: readonly string[]) => names.slice(0, 8).join(", ") + (names.length > 8 ? ", …" : "");
    throw new UsageError(`${both} the classes ${shown(a.classes)}; ${otherPath} ${shown(b.classes)}.`);
  }
}

/** Scores of rows, by the metrics' order. */
function scoresOf(task: string, predicted: TablePrediction, truth: readonly number[]): number[][] {
  if (task !== "classification") {
    const { negativeLogDensity, crps } = tableScores(predicted, truth);
    const { mean = [] } = predicted;
    return [negativeLogDensity, crps, truth.map((y, i) => (mean[i] - y) ** 2)].map((list) => Array.from(list));
  }
  const { predicted: labels = [], probabilities, logProbabilities } = predicted;
  const brier = truth.map((label, i) => {
    const row = probabilities?.sub(i).data ?? [];
    return Array.from(row).reduce((sum: number, p, c) => sum + (p - Number(c === label)) ** 2, 0);
  });
  return [
    truth.map((label, i) => -(logProbabilities?.at(i, label) ?? Number.NaN)),
    truth.map((label, i) => Number(labels[i] === label)),
    brier,
  ];
}

function metricOf({ root }: Metric, scores: readonly number[], weights?: readonly number[]): number {
  const mean = meanBy(scores, weights);
  return root ? Math.sqrt(mean) : mean;
}

const digits = (value: number) => String(Number(value.toPrecision(4)));

function tableLines(
  paths: readonly string[],
  metrics: readonly Metric[],
  values: readonly (readonly number[])[],
): string[] {
  const width = Math.max(...paths.map((path) => plain(path).length));
  const head = metrics.map(({ label }) => label.padStart(12)).join("");
  return [
    styled("dim", `  ${"".padEnd(width)}${head}`),
    ...paths.map(
      (path, k) => `  ${plain(path).padEnd(width)}${values[k].map((own) => digits(own).padStart(12)).join("")}`,
    ),
  ];
}

function differenceLines(
  paths: readonly string[],
  metrics: readonly Metric[],
  differences: readonly (readonly PairedDifference[])[],
): string[] {
  return differences.flatMap((own, k) => [
    `${plain(paths[k + 1])} less ${plain(paths[0])}, row by row:`,
    ...own.map(({ difference, standardError, pValue, beyondChance }, m) => {
      const { label, more } = metrics[m];
      const sign = difference > 0 ? "+" : "";
      const better = difference > 0 === (more === true) ? paths[k + 1] : paths[0];
      const verdict = beyondChance
        ? styled("green", `${plain(better)} is better, beyond chance (p ${pText(pValue)})`)
        : `no more than chance may make (p ${pText(pValue)})`;
      return `  ${label.padEnd(12)} ${(sign + digits(difference)).padStart(10)} ± ${standardError.toPrecision(2).padEnd(8)}  ${verdict}`;
    }),
  ]);
}

const pText = (p: number) => (p < 0.001 ? "< 0.001" : p.toPrecision(2));
