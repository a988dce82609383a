// laplace predict: a model's predictions beside the columns of a table, row by row, however long the table is.

import { availableParallelism } from "node:os";
import { Command } from "commander";
import type { TableModel } from "laplace-ts";
import { type TableError, UsageError } from "../errors.ts";
import { type ElsewhereSettings, elsewhere } from "../fitting/elsewhere.ts";
import { checkOutputs, placeOf } from "../output/place.ts";
import type { PredictedLines } from "../output/predictions.ts";
import { openOutput } from "../output/stream.ts";
import { Progress, plain, printJson, printNote, printRepeated } from "../output/terminal.ts";
import { Unreadable } from "../output/unreadable.ts";
import { batchEncoder, type OnSkip } from "../table/encode.ts";
import { openTable } from "../table/open.ts";
import type { Batch } from "../table/records.ts";
import { turn } from "../turn.ts";
import { guaranteeEncoder } from "./guaranteed.ts";
import { asWritten, notesOf, readFitted } from "./model.ts";
import {
  integer,
  levels,
  MOST_CORES,
  readOptions,
  type TableOptions,
  withJson,
  withOnError,
  withTableOptions,
} from "./options.ts";
import { inOrder, predictionLanes } from "./predict-lanes.ts";
import { writerOf } from "./predict-rows.ts";
import { trainedLines } from "./predict-trained.ts";

interface Options extends TableOptions, Omit<ElsewhereSettings, "shard"> {
  readonly output: string;
  readonly interval?: number[];
  readonly cores: number;
  readonly onError: "stop" | "skip";
  readonly json?: true;
}

/** Skipped rows that are named; the others are counted. */
const NAMED = 5;

/** The command. */
export function predictCommand(): Command {
  const command = new Command("predict")
    .description("predict the rows of a table: its columns, and predictions with their uncertainty beside them")
    .argument("<model>", "a model file that laplace fit or laplace posterior wrote")
    .argument(
      "<data...>",
      "CSV or Parquet files, or a folder of them, as one table; - for CSV on standard input; for a posterior also arrays (.npz)",
    )
    .option("-o, --output <file>", "where the predictions go, - for standard output", "-")
    .option(
      "--interval <levels>",
      "levels of the intervals of numbers, and of what a model of fit --guarantee guarantees, between commas (default: 0.9)",
      levels,
    )
    .option(
      "--cores <n>",
      "threads that predict side by side; the predictions are the same (default: all cores, 8 at most)",
      integer(1),
      Math.min(availableParallelism(), MOST_CORES),
    )
    .option("--queue <address>", "have workers predict, by Redis or Valkey: for what laplace posterior wrote")
    .option("--store <place>", "the folder that all machines share, or s3://bucket/prefix")
    .option("--mix-builds", "let machines whose last bits differ predict rows of one file");
  return withJson(withTableOptions(withOnError(command))).action(run);
}

async function run(modelPath: string, data: readonly string[], options: Options): Promise<void> {
  const { output, json } = options;
  const piped = placeOf(output).kind === "stdout";
  if (json && piped) throw new UsageError("--json and the predictions both want standard output: add -o file.");
  checkOutputs(
    [{ what: "the predictions", path: output }],
    [{ what: "the model", path: modelPath }, ...data.map((path) => ({ what: "the data", path }))],
  );
  const fitted = await readFitted(modelPath);
  if ("encoding" in fitted && (options.queue ?? options.store) !== undefined) {
    throw new UsageError(
      "--queue is for what laplace posterior wrote: a model of laplace fit predicts its rows here, which takes less than to send them.",
    );
  }
  const classes = "encoding" in fitted ? fitted.encoding.target.kind === "classes" : fitted.task !== "regression";
  const guaranteed = "encoding" in fitted && fitted.guarantee !== undefined;
  if (options.interval !== undefined && classes && !guaranteed) {
    throw new UsageError(
      "--interval is for numbers: this model predicts classes, with the probability of each. Sets of classes need a model of laplace fit --guarantee.",
    );
  }
  let skipped = 0;
  const onSkip = (error: TableError) => {
    skipped++;
    if (skipped <= NAMED) printNote(`skipped ${plain(error.message)}`);
  };
  const skip = options.onError === "skip" ? onSkip : undefined;
  const unreadable = new Unreadable();
  const machines = await elsewhere(options, false);
  const lines =
    "encoding" in fitted
      ? await tableLines(asWritten(fitted, options), data, options, skip, unreadable)
      : await trainedLines(fitted, data, options, skip, machines?.on);
  const progress = new Progress(json === true || piped);
  const out = await openOutput(output);
  let rows = 0;
  let far = "encoding" in fitted ? 0 : undefined;
  const farColumns = new Map<string, number>();
  try {
    await out.write(lines.header);
    for await (const batch of lines.batches) {
      await out.write(batch.text);
      rows += batch.rows;
      if (batch.far !== undefined) far = (far ?? 0) + batch.far;
      for (const [name, count] of batch.farColumns ?? []) farColumns.set(name, (farColumns.get(name) ?? 0) + count);
      progress.show(() => `${rows.toLocaleString("en")} rows predicted`);
      await turn();
    }
    out.flush();
    await turn();
    out.commit();
  } finally {
    out.abort();
    progress.done();
    await machines?.close();
  }
  printRepeated(lines.repeated);
  if (skipped > NAMED) printNote(`${(skipped - NAMED).toLocaleString("en")} more rows were skipped`);
  unreadable.print();
  const byColumn = [...farColumns].sort((a, b) => b[1] - a[1]);
  if (json) {
    const columns = lines.appended;
    const counts = {
      unreadable: unreadable.counts,
      ...(far !== undefined && { farColumns: Object.fromEntries(byColumn) }),
    };
    printJson({ rows, skipped, far, ...counts, columns, files: [output] });
  } else if (!piped) {
    const skips = skipped > 0 ? `, ${skipped} skipped` : "";
    const farther = far === undefined ? "" : `, ${far} far from the training data${farText(byColumn)}`;
    printNote(`${rows.toLocaleString("en")} rows predicted${skips}${farther}: ${plain(output)}`);
  }
}

/** Columns that are named; the others are counted. */
const COLUMNS = 3;

/** Which columns made rows far. */
function farText(byColumn: readonly (readonly [name: string, rows: number])[]): string {
  if (byColumn.length === 0) return "";
  const named = byColumn.slice(0, COLUMNS).map(([name, rows]) => `"${plain(name)}" ${rows.toLocaleString("en")}`);
  const more = byColumn.length > COLUMNS ? `, ${byColumn.length - COLUMNS} more columns` : "";
  return ` (by unusual values: ${named.join(", ")}${more})`;
}

/** The lines of a table by a model that `laplace fit` wrote. @throws TableError, UsageError */
async function tableLines(
  model: TableModel,
  data: readonly string[],
  options: Options,
  skip: OnSkip | undefined,
  unreadable: Unreadable,
): Promise<PredictedLines> {
  const table = await openTable(data, { ...readOptions(options, notesOf(model).reading), onSkip: skip });
  const { interval = [0.9], cores } = options;
  const { names, delimiter } = table;
  const written = { names, delimiter, levels: interval };
  const encode = batchEncoder(model, table, skip, unreadable.add);
  const encodeOthers = guaranteeEncoder(model, table);
  const writer = writerOf(model, written);
  const lanes = predictionLanes(model, written, cores);
  const start = (batch: Batch) => {
    const { rows, lines, x, unusual, gaps } = encode(batch);
    if (rows.length === 0) return undefined;
    const done = lanes.do({ own: { x, unusual, gaps }, others: encodeOthers({ rows, lines }) });
    return done.then(({ added, ...far }) => ({ text: writer.lines(rows, added), rows: rows.length, ...far }));
  };
  async function* batches() {
    try {
      yield* inOrder(table.batches, start, lanes.most);
    } finally {
      lanes.close();
    }
  }
  return { appended: writer.appended, header: writer.header, batches: batches(), repeated: table.repeated };
}
