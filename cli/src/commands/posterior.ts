// laplace posterior: error bars for a network that was trained elsewhere.

import { Command, Option } from "commander";
import { type Executor, type Network, savePosterior } from "laplace-ts";
import type { FarData } from "laplace-ts/executor";
import { type TableError, UsageError } from "../errors.ts";
import { type ElsewhereSettings, elsewhere, inBucket, nameOfData, shardOf } from "../fitting/elsewhere.ts";
import { MOST_HELD_OUT } from "../fitting/many-rows.ts";
import { fitTrained, type Reading, readingOf, type TrainedSettings, type TrainedTask } from "../fitting/trained.ts";
import { trainedFindings, trainedReport } from "../fitting/trained-report.ts";
import { type Examples, examplesAt } from "../model/examples.ts";
import { threeDigits } from "../model/noise.ts";
import { columnAt, divide } from "../model/rows.ts";
import { checkOutputs } from "../output/place.ts";
import { writeOutputs } from "../output/stream.ts";
import { judgementLines, line } from "../output/summary.ts";
import { Progress, plain, printJson, printNote } from "../output/terminal.ts";
import { arrayExamples, tableExamples } from "../table/examples.ts";
import { isNpz, readNpz } from "../table/npz.ts";
import { openTable } from "../table/open.ts";
import { readTable } from "../table/read.ts";
import { inTurns, turn } from "../turn.ts";
import {
  bytes,
  columnList,
  columnsIn,
  formatOptions,
  fraction,
  integer,
  listed,
  readOptions,
  type TableOptions,
  texts,
  withJson,
  withOnError,
  withTableOptions,
} from "./options.ts";
import { finishShard } from "./shard-part.ts";
import { readTrained, type TrainedModel } from "./trained-model.ts";
import { checkWidth, metadataOf } from "./trained-posterior.ts";

interface Options extends TableOptions, Omit<TrainedSettings, "on" | "far">, ElsewhereSettings {
  readonly inPlace?: true;
  readonly target: string;
  readonly output: string;
  readonly onnx?: string;
  readonly report: string | false;
  readonly task?: TrainedTask;
  readonly inputs: string[];
  readonly ignore: string[];
  readonly classes: string[];
  readonly test?: string;
  readonly testFraction?: number;
  readonly seed: number;
  readonly maxRows?: number;
  readonly onError: "stop" | "skip";
  readonly json?: true;
}

/** The share of rows that is held out, where it is not said, of few rows. */
const TEST_FRACTION = 0.2;

/** The command. */
export function posteriorCommand(): Command {
  const command = new Command("posterior")
    .description("fit, tune and judge a posterior around a network that was trained elsewhere")
    .option("--queue <address>", "have workers do the sums, by Redis or Valkey: redis://host:6379")
    .option("--shard <i/n>", "do part i of n of the sums, and no more: laplace merge adds them", shardOf);
  return withPosteriorOptions(command).action((path: string, data: string, options: Options) =>
    run(path, data, options, false),
  );
}

/** The command that adds what others did. */
export function mergePosteriorCommand(): Command {
  const command = new Command("posterior").description(
    "add what laplace posterior --shard did, with the same options, and go on as that",
  );
  return withPosteriorOptions(command).action((path: string, data: string, options: Options) =>
    run(path, data, options, true),
  );
}

function withPosteriorOptions(command: Command): Command {
  command
    .argument("<model>", "an ONNX file, or the model.json of a layers model of TensorFlow.js")
    .argument("<data>", "rows as the network takes them: CSV, Parquet or arrays (.npz)")
    .requiredOption("-t, --target <name>", "the column or array of the targets")
    .option("-o, --output <file>", "the posterior", "posterior.safetensors")
    .option("--onnx <file>", "the network with its uncertainty, for any runtime of ONNX")
    .option("-r, --report <file>", "the report", "report.html")
    .option("--no-report", "write no report")
    .addOption(
      new Option("--task <task>", "what the outputs are (default: by the model's end and the target)").choices([
        "regression",
        "classification",
        "binary",
      ]),
    )
    .option(
      "--inputs <names>",
      "columns of the inputs in the network's order, or their array; may be given again",
      listed,
      [],
    )
    .option("--ignore <columns>", "columns to leave out, by name, between commas; may be given again", listed, [])
    .option("--classes <names>", "all classes in the network's order, between commas", texts, [])
    .option("--test <data>", "rows that the network has not seen, to judge by (default: a share of the data)")
    .option(
      "--test-fraction <share>",
      "the share that is held out where there is no --test (default: 0.2, up to 50,000 rows)",
      fraction,
    )
    .addOption(
      new Option("--weights <which>", "weights that the posterior is over")
        .choices(["lastLayer", "all"])
        .default("lastLayer"),
    )
    .addOption(
      new Option("--structure <name>", "structure of the posterior")
        .choices(["auto", "full", "kronecker", "ekfac", "diagonal"])
        .default("auto"),
    )
    .option("--memory-budget <bytes>", "what the posterior may need, such as 512MiB", bytes, 2 ** 30)
    .option("--max-rows <n>", "most rows to fit to; of more, a random sample (default: all rows)", integer(10))
    .option("--seed <n>", "seed of all that is random", integer(0), 0)
    .option("--store <place>", "the folder that all machines share, or s3://bucket/prefix")
    .option(
      "--in-place",
      "workers see the data by the same path, and read them there: else those of s3:// and of the store",
    )
    .option("--mix-builds", "let machines whose last bits differ do the sums of one fit");
  return withJson(withTableOptions(withOnError(command)));
}

async function run(path: string, data: string, options: Options, adding: boolean): Promise<void> {
  const { output, onnx, report, seed, json, test } = options;
  const outputs = [
    { what: "the posterior", path: output },
    ...(onnx === undefined ? [] : [{ what: "the network with its uncertainty", path: onnx }]),
    ...(report === false ? [] : [{ what: "the report", path: report }]),
  ];
  const given = [
    { what: "the model", path },
    { what: "the data", path: data },
  ];
  checkOutputs(outputs, test === undefined ? given : [...given, { what: "the rows of --test", path: test }]);
  const model = await readTrained(path);
  const { network } = model;
  let skipped = 0;
  const onSkip = options.onError === "skip" ? () => skipped++ : undefined;
  const progress = new Progress(json === true);
  const said = {
    task: options.task ?? model.task,
    ...(options.task !== undefined && { because: "--task says so" }),
    ...(options.task === undefined && model.task && { because: `the model ends in ${model.removed.join(", ")}` }),
    ...(options.classes.length > 0 && { classes: options.classes }),
  };
  const machines = await elsewhere(options, adding);
  if (machines === undefined && (options.inPlace || inBucket(data))) {
    throw new UsageError("--in-place and s3:// are for workers: give --queue or --shard too.");
  }
  if (inBucket(test ?? "")) {
    await machines?.close();
    throw new UsageError("the rows of --test are read by this process: give a file, not an address of a bucket.");
  }
  const prepare = async () => {
    const tests = test === undefined ? undefined : await readExamples(test, options, onSkip);
    const far = machines && (await inPlace(data, options, network, said, machines.on));
    const examples = far?.fitted ?? (await readExamples(data, options, onSkip));
    for (const one of [far?.held ?? examples, ...(tests ? [tests] : [])])
      checkWidth(one, network, "Name the inputs by --inputs, or leave columns out by --ignore.");
    const reading = far?.reading ?? readingOf(examples.targets, network.graph.output.size, said);
    const { fitted, held } =
      far ?? (tests ? { fitted: examples, held: tests } : split(examples, options, reading.classes !== undefined));
    progress.show(() => `fitting to ${fitted.lines.length.toLocaleString("en")} rows`);
    const settings = { ...options, on: machines?.on, far: far?.rows };
    const fit = await fitTrained(network, fitted, tests ?? held, reading, settings);
    return { examples, tests, reading, fitted, held: tests ?? held, fit };
  };
  const preparing = prepare().finally(machines?.close);
  if (options.shard !== undefined) {
    await finishShard(preparing, options.shard, "laplace merge", progress, json);
    return;
  }
  const { examples, tests, reading, fitted, held, fit } = await preparing;
  const findings = trainedFindings(fit);
  await turn();
  const { posterior } = fit;
  const written: { path: string; content: string | Uint8Array }[] = [
    {
      path: output,
      content: savePosterior(posterior, { metadata: metadataOf(examples, reading, readOptions(options)) }),
    },
  ];
  if (onnx !== undefined) {
    const { ModelError, toOnnx } = await import("laplace-ts-models");
    try {
      written.push({ path: onnx, content: toOnnx(posterior) });
    } catch (cause) {
      throw cause instanceof ModelError ? new UsageError(`--onnx: ${cause.message}`) : cause;
    }
  }
  const described = describe(model);
  if (report !== false) {
    const about = {
      data: nameOfData(data),
      network: described,
      held,
      rows: fitted.lines.length,
      seed,
      classes: reading.classes,
    };
    const { renderReport } = await import("../report/render.ts");
    written.push({ path: report, content: await inTurns(renderReport(trainedReport(fit, findings, about))) });
  }
  progress.done();
  await writeOutputs(written);
  const { metrics, baseline } = fit.heldOut;
  const files = written.map((one) => one.path);
  const tuned = {
    priorPrecision: Array.from(posterior.priorPrecision.data as Float64Array),
    noise: noiseText(fit.task, posterior),
  };
  if (json) {
    const { structure, size } = posterior;
    const rows = { fitted: fitted.lines.length, heldOut: held.lines.length, skipped };
    const { task, because, classes } = reading;
    printJson({
      task,
      taskReason: because,
      classes,
      network: described,
      rows,
      structure,
      structureReason: fit.structureReason,
      weights: size,
      ...tuned,
      metrics,
      baseline,
      findings,
      files,
    });
    return;
  }
  const lines = [
    line("network", plain(described)),
    line("task", `${reading.task} of "${plain(examples.target)}" (${reading.because})`),
    ...(reading.classes ? [line("classes", reading.classes.slice(0, 10).map(plain).join(", "))] : []),
    line(
      "rows",
      `${fitted.lines.length.toLocaleString("en")}${skipped > 0 ? `, ${skipped} skipped because they cannot be read` : ""}`,
    ),
    line("posterior", `${posterior.structure} over ${posterior.size} weights: ${fit.structureReason}`),
    line(
      "tuned",
      `prior precision ${threeDigits(tuned.priorPrecision[0])}${tuned.noise === undefined ? "" : `, noise ${threeDigits(tuned.noise)}`}`,
    ),
    line(
      "held out",
      `${held.lines.length.toLocaleString("en")} rows${tests ? ` of ${plain(nameOfData(test ?? ""))}` : ""}`,
    ),
    ...judgementLines(fit.task, fit.heldOut, findings, "these predictions"),
    line("written", files.map(plain).join(", ")),
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
  if (!tests)
    printNote(
      "If the network was trained on the held-out rows, they flatter it: --test takes rows that it has not seen.",
    );
}

const noiseText = (
  task: string,
  { likelihood: { hyper } }: { likelihood: { hyper: { any: boolean; value: number } } },
) => (task === "regression" && hyper.any ? hyper.value : undefined);

/** The network in a line. */
function describe({ network, format }: TrainedModel): string {
  const shape = (dims: readonly number[]) => dims.join(" × ");
  return `${format}: ${shape(network.inputShape)} → ${shape(network.outputShape)}, ${network.parameterCount.toLocaleString("en")} parameters`;
}

/**
 * The rows where workers see them: what is fitted to, without its inputs, what judges, and how to read the others; undefined where
 * workers do not see them, or cannot read them so.
 * @throws UsageError where --in-place asks for what cannot be
 */
async function inPlace(
  path: string,
  options: Options,
  network: Network,
  said: Parameters<typeof readingOf>[2],
  on: Executor,
): Promise<{ fitted: Examples; held: Examples; reading: Reading; rows: FarData } | undefined> {
  const { target, store = "", inPlace: asked, testFraction, seed } = options;
  const [{ lookInPlace }, { addressInPlace }] = await Promise.all([
    import("./posterior-in-place.ts"),
    import("./placed-table.ts"),
  ]);
  const address = addressInPlace(path, options);
  if (address === undefined) return undefined;
  const why =
    path === "-" || isNpz(path)
      ? "only tables of CSV and Parquet are"
      : options.onError === "skip"
        ? "--on-error skip leaves rows out of it"
        : undefined;
  const look = async () =>
    lookInPlace(address, {
      store,
      on,
      target,
      reading: readOptions(options),
      most: options.maxRows,
      seed,
      choose: (names) => chosenColumns(names, options),
      formats: (names, delimiter) => ({ ...formatOptions(options, names), delimiter }),
    });
  const found = why ?? (await look());
  if (typeof found === "string") {
    if (asked || inBucket(path)) throw new UsageError(`the data are not read in place by workers: ${found}.`);
    return undefined;
  }
  const { targets, lines, written } = found;
  const reading = readingOf(targets, network.graph.output.size, said);
  const all = { width: 0, x: new Float64Array(0), targets, lines, inputs: found.inputs, written, target };
  const { part, rest } = options.test
    ? { part: [], rest: targets.map((_, i) => i) }
    : dividedBy(targets, testFraction, seed, reading.classes !== undefined);
  const fitted = examplesAt(all, rest);
  const held = await found.examplesAt(options.test ? [0] : part);
  return { fitted, held, reading, rows: await found.farAt(rest, reading, network) };
}

async function readExamples(
  path: string,
  options: Options,
  onSkip: ((error: TableError) => void) | undefined,
): Promise<Examples> {
  const { target, inputs } = options;
  if (isNpz(path))
    return arrayExamples(await readNpz(path), { target, inputs: inputs.length > 0 ? inputs : undefined });
  const stream = await openTable(path, { ...readOptions(options), onSkip });
  const { names } = stream;
  const chosen = chosenColumns(names, options);
  const formats = { ...formatOptions(options, names), delimiter: stream.delimiter };
  const table = await readTable(stream, options.maxRows, options.seed);
  return tableExamples(table, { target, inputs: chosen, formats, onSkip });
}

/** The columns of the inputs. @throws UsageError for columns that are not there */
function chosenColumns(names: readonly string[], { target, inputs, ignore }: Options): string[] {
  if (columnAt(names, target) < 0) throw new UsageError(`there is no column "${target}". ${columnList(names)}`);
  const left = columnsIn("--ignore", ignore, names);
  if (inputs.length > 0) return columnsIn("--inputs", inputs, names);
  return names.filter((name) => name !== names[columnAt(names, target)] && !left.includes(name));
}

/** The rows that the posterior is fitted to, and those that judge it. @throws UsageError for too few */
function split(
  all: Examples,
  { testFraction, seed }: Pick<Options, "testFraction" | "seed">,
  labelled: boolean,
): { fitted: Examples; held: Examples } {
  const { part, rest } = dividedBy(all.targets, testFraction, seed, labelled);
  return { fitted: examplesAt(all, rest), held: examplesAt(all, part) };
}

/** Places of the rows that judge, and of the others. @throws UsageError for too few */
function dividedBy(targets: readonly string[], testFraction: number | undefined, seed: number, labelled: boolean) {
  const n = targets.length;
  if (n < 10) throw new UsageError(`the data have ${n} rows; at least 10 are needed to fit and to judge a posterior.`);
  const places = new Map([...new Set(targets)].map((text, i) => [text, i]));
  const labels = labelled ? targets.map((text) => places.get(text) ?? 0) : undefined;
  return divide(labels, n, testFraction ?? Math.min(TEST_FRACTION, MOST_HELD_OUT / n), seed);
}
