// laplace fit: a table becomes a model file, a summary and a report.

import { availableParallelism } from "node:os";
import { Command, InvalidArgumentError, Option } from "commander";
import { type Json, saveTableModel, type TableEncodingOptions, type TableModel, tableModel } from "laplace-ts";
import { type TableError, UsageError } from "../errors.ts";
import { relevanceOf } from "../fitting/columns.ts";
import {
  type Elsewhere,
  type ElsewhereSettings,
  elsewhere,
  inBucket,
  nameOfData,
  shardOf,
} from "../fitting/elsewhere.ts";
import { findingsOf } from "../fitting/findings.ts";
import { type FitSettings, fitTable, type TableFit } from "../fitting/fit.ts";
import { formatNotes } from "../fitting/formats.ts";
import { lanesOf } from "../fitting/lanes.ts";
import { activations } from "../fitting/network.ts";
import { writtenCandidates } from "../fitting/said.ts";
import { meanPrecision, reportData } from "../fitting/to-report.ts";
import { dispersionOf, noiseByRow, noiseOf } from "../model/noise.ts";
import { checkOutputs, placeOf } from "../output/place.ts";
import { writeOutputs } from "../output/stream.ts";
import { Progress, plain, printJson, printNote } from "../output/terminal.ts";
import { headerAdvice } from "../table/csv.ts";
import { openTable } from "../table/open.ts";
import { readTable } from "../table/read.ts";
import { inTurns, turn } from "../turn.ts";
import { type Circumstances, summary } from "./fit-summary.ts";
import {
  bytes,
  columnList,
  columnsIn,
  formatOptions,
  fraction,
  integer,
  listed,
  MOST_CORES,
  type Reading,
  readOptions,
  type TableOptions,
  texts,
  widths,
  withJson,
  withOnError,
  withTableOptions,
} from "./options.ts";
import { finishShard } from "./shard-part.ts";
import { weightColumn, weightOption } from "./weight-option.ts";

interface Options extends TableOptions, ElsewhereSettings {
  readonly inPlace?: true;
  readonly target?: string;
  readonly output: string;
  readonly report: string | false;
  readonly task?: FitSettings["task"];
  readonly hidden?: number[];
  readonly activation: FitSettings["activation"];
  readonly epochs?: number;
  readonly rounds: number;
  readonly seed: number;
  readonly testFraction?: number;
  readonly split?: FitSettings["split"];
  readonly folds?: number;
  readonly guarantee?: true;
  readonly missing: FitSettings["missing"];
  readonly na: string[];
  readonly usualNa: boolean;
  readonly weight?: string;
  readonly copies?: string;
  readonly ignore: string[];
  readonly category: string[];
  readonly number: string[];
  readonly onError: "stop" | "skip";
  readonly structure: FitSettings["structure"];
  readonly memoryBudget: number;
  readonly maxRows?: number;
  readonly cores: number;
  readonly json?: true;
}

/** The command. */
export function fitCommand(): Command {
  const command = new Command("fit")
    .description("learn a column of a table from the others: a model file, a summary and a report")
    .option("--queue <address>", "have workers do the fits of candidates, by Redis or Valkey: redis://host:6379")
    .option("--shard <i/n>", "do part i of n of the fits, and no more: laplace merge fit goes on with them", shardOf);
  return withFitOptions(command).action((data: readonly string[], options: Options) => run(data, options, false));
}

/** The command that goes on with what others fitted. */
export function mergeFitCommand(): Command {
  const command = new Command("fit").description(
    "go on with what laplace fit --shard did, with the same options: a model file, a summary and a report",
  );
  return withFitOptions(command).action((data: readonly string[], options: Options) => run(data, options, true));
}

function withFitOptions(command: Command): Command {
  command
    .argument("<data...>", "CSV or Parquet files, or a folder of them, as one table; - for CSV on standard input")
    .option("-t, --target <column>", "the column to predict; without it, the columns are listed")
    .option("-o, --output <file>", "the model file", "model.safetensors")
    .option("-r, --report <file>", "the report", "report.html")
    .option("--no-report", "write no report")
    .addOption(
      new Option("--task <task>", "what the target is (default: guessed from its values, and why is said)").choices([
        "regression",
        "classification",
        "count",
      ]),
    )
    .option("--weight <column>", "how much each row counts, relative to the others (default: all alike)")
    .option("--copies <column>", "how often each row is there, a whole number (default: each once)")
    .option("--ignore <columns>", "columns to leave out, by name, between commas; may be given again", listed, [])
    .option("--category <columns>", "columns of numbers that are names of categories; may be given again", listed, [])
    .option("--number <columns>", "columns of texts and numbers that are numbers; may be given again", listed, [])
    .addOption(
      new Option("--missing <rule>", "missing values become the median or the most frequent text, or an error")
        .choices(["impute", "refuse"])
        .default("impute"),
    )
    .option("--na <texts>", "texts that count as missing in every column, between commas, besides the usual", texts, [])
    .option("--no-usual-na", "only empty cells, and the texts of --na, count as missing")
    .option("--hidden <widths>", "widths of the hidden layers (default: by the number of rows)", widths)
    .addOption(
      new Option("--activation <name>", "function of the hidden layers")
        .choices(Object.keys(activations))
        .default("tanh"),
    )
    .option("--epochs <n>", "epochs of a round (default: by the number of rows)", integer(4))
    .option("--rounds <n>", "most rounds of training and choosing the prior, before one on all rows", integer(1), 5)
    .option("--seed <n>", "seed of all that is random", integer(0), 0)
    .option(
      "--folds <n>",
      "folds of the cross-validation (default: 5 below 1000 rows, of which 2 are judged where all would take long)",
      integer(2),
    )
    .option(
      "--test-fraction <share>",
      "hold out a share of the rows instead (default: 0.2 from 1000 rows on, up to 50,000 rows)",
      fraction,
    )
    .option(
      "--split <rule>",
      "how rows are held out: random, time:COLUMN (the last ones), or group:COLUMN (groups as a whole)",
      splitRule,
    )
    .option(
      "--guarantee",
      "keep what intervals and sets need that hold their level whatever the model: predict writes them",
    )
    .addOption(
      new Option("--structure <name>", "structure of the posterior")
        .choices(["auto", "full", "kronecker", "ekfac", "diagonal"])
        .default("auto"),
    )
    .option("--memory-budget <bytes>", "what the posterior may need, such as 512MiB", bytes, 2 ** 30)
    .option("--max-rows <n>", "most rows to learn from; of more, a random sample (default: all rows)", integer(10))
    .option(
      "--cores <n>",
      "fits that run side by side; the model is the same (default: all cores, 8 at most)",
      integer(1),
      Math.min(availableParallelism(), MOST_CORES),
    )
    .option("--store <place>", "the folder that all machines share, or s3://bucket/prefix")
    .option(
      "--in-place",
      "workers see the data by the same path, and count their cells there: else those of s3:// and of the store",
    )
    .option("--mix-builds", "let machines whose last bits differ do the fits of one table");
  return withJson(withTableOptions(withOnError(command)));
}

/** @param adding whether this process only goes on with what others did */
async function run(data: readonly string[], options: Options, adding: boolean): Promise<void> {
  const { output, report, seed, json } = options;
  if (options.folds !== undefined && options.testFraction !== undefined) {
    throw new UsageError("give --folds or --test-fraction, not both.");
  }
  if (options.folds !== undefined && options.split?.by === "time") {
    throw new UsageError("give --folds or --split time, not both: the last rows are held out once.");
  }
  if (options.guarantee && options.split !== undefined) {
    throw new UsageError(
      `give --guarantee or --split ${options.split.by}, not both: what is guaranteed needs new rows that are like those of the table, chosen at random.`,
    );
  }
  const { option, given } = weightOption(options);
  if (options.guarantee && given !== undefined) {
    throw new UsageError(
      `give --guarantee or ${option}, not both: what is guaranteed is that of rows which all count once.`,
    );
  }
  const outputs = [
    { what: "the model", path: output },
    ...(report === false ? [] : [{ what: "the report", path: report }]),
  ];
  for (const { what, path } of outputs) {
    if (placeOf(path).kind === "stdout")
      throw new UsageError(`${what} needs a file: the summary goes to standard output.`);
  }
  checkOutputs(
    outputs,
    data.map((path) => ({ what: "the data", path })),
  );
  const machines = await elsewhere(options, adding);
  if (machines === undefined && (options.inPlace || data.some(inBucket))) {
    throw new UsageError("--in-place and s3:// are for workers: give --queue or --shard too.");
  }
  const progress = new Progress(json === true);
  const fitting = readAndFit(data, options, machines, progress).finally(machines?.close);
  if (options.shard !== undefined) {
    await finishShard(fitting, options.shard, "laplace merge fit", progress, json);
    return;
  }
  const { fitted, target, reading, table, stream, skipped, drawing } = await fitting;
  progress.done();
  await turn();
  const fit = { ...fitted, model: withReading(fitted.model, reading) };
  const findings = findingsOf(fit);
  const name = nameOf(data);
  const written: { path: string; content: string | Uint8Array }[] = [
    { path: output, content: saveTableModel(fit.model) },
  ];
  if (report !== false && drawing !== undefined) {
    await turn();
    const shown = await reportData(fit, findings, { data: name, seed });
    await turn();
    const { renderReport } = await drawing;
    written.push({ path: report, content: await inTurns(renderReport(shown)) });
  }
  await writeOutputs(written);
  const files = written.map(({ path }) => path);
  const { rows, total } = table;
  const notes = formatNotes(fit);
  const { repeated } = stream;
  const circumstances = { target, files, findings, read: total, used: rows.length, skipped, repeated, notes };
  if (json) {
    printJson(jsonOf(fit, { data: name, seed, ...circumstances }));
    return;
  }
  process.stdout.write(`${summary(fit, circumstances).join("\n")}\n`);
}

/** Reads the table, and fits it. */
async function readAndFit(
  data: readonly string[],
  options: Options,
  machines: Elsewhere | undefined,
  progress: Progress,
) {
  const { seed } = options;
  let skipped = 0;
  const onSkip = (error: TableError) => {
    skipped++;
    if (skipped <= NAMED) printNote(`skipped ${plain(error.message)}`);
  };
  const reading = readOptions(options);
  const skip = options.onError === "skip" ? onSkip : undefined;
  if (machines) progress.show(() => "looking at the table where workers see it");
  const place = { ...options, onHere: (text: string) => progress.note(text) };
  const placed = machines && (await (await import("./fit-in-place.ts")).fitInPlace(data, place, machines.on, reading));
  const stream = placed?.stream ?? (await openTable(data, { ...reading, onSkip: skip }));
  const given = options.target;
  // Accents are one character or two, as the shell and the file have it.
  const target = stream.names.find((name) => name.normalize("NFC") === given?.normalize("NFC"));
  if (target === undefined) {
    const missing =
      given === undefined ? "--target says which column to predict." : `there is no column "${given}" to predict.`;
    const alone = stream.names.length === 1 ? " It is the only one: is the delimiter right (--delimiter)?" : "";
    throw new UsageError(`${missing} ${columnList(stream.names)}${alone}${headerAdvice(stream.names)}`);
  }
  const kinds = columnKinds(stream.names, options);
  const weight = weightColumn(options, stream.names, target, kinds);
  const nested = stream.nested?.find((name) => name === target || kinds[name] !== "ignored");
  if (nested !== undefined) {
    throw new UsageError(
      `the column "${nested}" is nested: a row has a list, a struct or a map in it. Write a column for each of its values${nested === target ? "" : `, or leave it out: --ignore "${nested}"`}.`,
    );
  }
  const formats = { ...formatOptions(options, stream.names), delimiter: stream.delimiter };
  const table = await readTable(stream, options.maxRows, seed, (rows) =>
    progress.show(() => `reading ${rows.toLocaleString("en")} rows`),
  );
  const leftOut = stream.names.filter((name) => name === weight || (name !== target && kinds[name] === "ignored"));
  const settings: FitSettings = {
    ...options,
    target,
    weight,
    kinds,
    formats,
    onUnread: skip,
    missingTexts: options.na,
    usualMissing: options.usualNa,
    total: table.total,
    columnsOf: placed?.columnsOf(table, { seed, most: options.maxRows, leftOut }),
    onEstimate: (text) => progress.note(text),
  };
  // What leaves this process is loaded where an option asks for it.
  const lanes = machines ? (await import("../fitting/over-queue.ts")).lanesOver(machines.on) : lanesOf(options.cores);
  const onProgress = (stage: string, share: number) =>
    progress.show(() => `${bar(share)} ${Math.round(100 * share)} %  ${stage}`);
  const fitting = fitTable(table, settings, onProgress, lanes).finally(() => lanes.close());
  // Drawing takes long to load: on this core, while others fit.
  const drawing = options.report === false || options.shard !== undefined ? undefined : import("../report/render.ts");
  drawing?.catch(() => {});
  return { fitted: await fitting, target, reading, table, stream, skipped, drawing };
}

/** The data in a few words. */
function nameOf([first, ...others]: readonly string[]): string {
  const name = first === "-" ? "standard input" : nameOfData(first);
  return others.length === 0 ? name : `${name} and ${others.length} more`;
}

/** How rows are held out; undefined for at random. @throws InvalidArgumentError */
function splitRule(text: string): FitSettings["split"] {
  if (text === "random") return undefined;
  const [, by, column] = /^(time|group):(.+)$/s.exec(text) ?? [];
  if (by !== "time" && by !== "group") {
    throw new InvalidArgumentError("It is random, time:COLUMN or group:COLUMN.");
  }
  return { by, column };
}

/** What the options say of columns. @throws UsageError for a column that is not there, or of which two things are said */
function columnKinds(
  names: readonly string[],
  options: Pick<Options, "ignore" | "category" | "number">,
): NonNullable<TableEncodingOptions["kinds"]> {
  const kinds = { ignore: "ignored", category: "category", number: "number" } as const;
  const said = new Map<string, keyof typeof kinds>();
  for (const option of ["ignore", "category", "number"] as const) {
    for (const name of columnsIn(`--${option}`, options[option], names)) {
      const before = said.get(name);
      if (before !== undefined && before !== option) {
        throw new UsageError(`--${before} and --${option} both name the column "${name}".`);
      }
      said.set(name, option);
    }
  }
  return Object.fromEntries(Array.from(said, ([name, option]) => [name, kinds[option]]));
}

function bar(share: number): string {
  const done = Math.round(20 * share);
  return "█".repeat(done) + "░".repeat(20 - done);
}

/** The model, with a note of how its table was read where that was said. */
function withReading(model: TableModel, reading: Reading): TableModel {
  if (Object.keys(reading).length === 0) return model;
  const notes = { ...(model.notes as Readonly<Record<string, Json>>), reading: reading as Json };
  return tableModel({ ...model, notes });
}

/** Skipped rows that are named; the others are counted. */
const NAMED = 5;
function jsonOf(fit: TableFit, more: Circumstances & { data: string; seed: number }) {
  const { model, heldOut, task, guessed, counts, dropped } = fit;
  const { encoding } = model;
  const relevance = relevanceOf(encoding, fit.relevance);
  return {
    ...more,
    task,
    taskGuessed: guessed !== undefined,
    taskReason: guessed,
    rows: { ...counts, dropped },
    weights: fit.weights,
    copies: fit.copies,
    cells: fit.cells,
    heldOut: fit.scheme,
    columns: encoding.columns,
    inputs: encoding.inputs.length,
    classes: encoding.target.kind === "classes" ? encoding.target.classes : undefined,
    network: fit.network,
    structure: fit.structure,
    structureReason: fit.structureReason,
    priorPrecision: meanPrecision(fit.tuned),
    ...(relevance.size > 0 && { relevance: Object.fromEntries(relevance) }),
    importance: fit.importance,
    noise: noiseOf(model),
    noiseByRow: noiseByRow(model, heldOut),
    ...(encoding.target.kind === "number" && { targetScale: encoding.target.scale }),
    dispersion: dispersionOf(model),
    temperature: fit.temperature,
    ...(encoding.target.kind === "classes" && { probabilityPower: model.probabilityPower }),
    candidates: writtenCandidates(fit.candidates),
    portfolio: fit.portfolio,
    metrics: heldOut.metrics,
    baseline: heldOut.baseline,
    guarantee: fit.guarantee,
  };
}
