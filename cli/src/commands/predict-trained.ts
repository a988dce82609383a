// laplace predict of what laplace posterior wrote: rows are read as it read them, as they are.

import { array, type Executor } from "laplace-ts";
import { UsageError } from "../errors.ts";
import { predictTrained } from "../fitting/trained.ts";
import type { Examples } from "../model/examples.ts";
import { columnAt } from "../model/rows.ts";
import { type PredictedLines, predictionWriter, type Written } from "../output/predictions.ts";
import { arrayExamples, tableExamples } from "../table/examples.ts";
import { isNpz, readNpz } from "../table/npz.ts";
import { openTable } from "../table/open.ts";
import { columnList, formatOptions, readOptions, type TableOptions } from "./options.ts";
import { checkWidth, type TrainedPosterior } from "./trained-posterior.ts";

/** Arrays are predicted so many examples at a time; what workers on other machines predict, so many. */
const [ROWS, ROWS_ELSEWHERE] = [1024, 2 ** 16];

/** Examples as blocks of at least so many, if there are as many: their numbers, and the cells of their rows. */
async function* blocksOf(
  batches: AsyncIterable<Pick<Examples, "x" | "width" | "table" | "lines">>,
  least: number,
): AsyncGenerator<{ readonly x: Float64Array; readonly width: number; readonly rows: string[][] }> {
  let own: Float64Array[] = [];
  let rows: string[][] = [];
  let width = 0;
  const block = () => {
    const x = new Float64Array(own.reduce((sum, one) => sum + one.length, 0));
    let at = 0;
    for (const one of own) {
      x.set(one, at);
      at += one.length;
    }
    const made = { x, width, rows };
    [own, rows] = [[], []];
    return made;
  };
  for await (const batch of batches) {
    own.push(Float64Array.from(batch.x));
    for (const row of batch.table?.rows ?? new Array(batch.lines.length).fill([])) rows.push(row);
    width = batch.width;
    if (rows.length >= least) yield block();
  }
  if (rows.length > 0) yield block();
}

/**
 * The lines for a table or a file of arrays.
 * @param on who predicts, in blocks of rows; this process if undefined
 * @throws UsageError, TableError
 */
export async function trainedLines(
  model: TrainedPosterior,
  data: readonly string[],
  options: TableOptions & { readonly interval?: number[] },
  onSkip: Parameters<typeof tableExamples>[1]["onSkip"],
  on?: Executor,
): Promise<PredictedLines> {
  const target = {
    kind: model.task === "regression" ? ("number" as const) : ("classes" as const),
    classes: model.classes,
  };
  const advice = "Give rows as laplace posterior had them.";
  const predict = async (examples: Pick<Examples, "x" | "width">): Promise<Written> => {
    const found = await predictTrained(model.posterior, examples, model.task, on);
    const [mean, sd] = [Float64Array.from(found.mean), Float64Array.from(found.sd)];
    return {
      rows: examples.x.length / examples.width,
      mean,
      sd,
      lower: Float64Array.from(found.lower),
      upper: Float64Array.from(found.upper),
      parts: [{ weight: 1, mean, sd }],
      ...(found.probabilities.length > 0 && {
        probabilities: array(found.probabilities),
        predicted: Int32Array.from(found.probabilities, (row) => row.indexOf(Math.max(...row))),
      }),
      epistemic: Float64Array.from(found.epistemic),
    };
  };
  if (data.length === 1 && isNpz(data[0])) {
    const examples = arrayExamples(await readNpz(data[0]), {
      inputs: model.array === undefined ? undefined : [model.array],
    });
    checkWidth(examples, model.posterior.net, advice);
    const writer = predictionWriter(target, [], ",", {
      levels: options.interval,
      far: false,
    });
    async function* batches() {
      const { width, lines } = examples;
      const atOnce = on === undefined ? ROWS : ROWS_ELSEWHERE;
      for (let first = 0; first < lines.length; first += atOnce) {
        const rows = Math.min(atOnce, lines.length - first);
        const x = examples.x.subarray(first * width, (first + rows) * width);
        yield { text: writer.lines(new Array(rows).fill([]), writer.added(await predict({ x, width }))), rows };
      }
    }
    return { appended: writer.appended, header: writer.header, batches: batches(), repeated: [] };
  }
  const table = await openTable(data, { ...readOptions(options, model.reading), onSkip });
  const { names, delimiter } = table;
  const isTarget = (name: string) => name.normalize("NFC") === model.target.normalize("NFC");
  const inputs = model.inputs.length > 0 ? model.inputs : names.filter((name) => !isTarget(name));
  const missing = inputs.find((name) => columnAt(names, name) < 0);
  if (missing !== undefined)
    throw new UsageError(`there is no column "${missing}", an input of the network. ${columnList(names)}`);
  const said = formatOptions(options, names);
  const written = said.decimal === undefined && said.thousands === undefined ? model.written : undefined;
  const writer = predictionWriter(target, names, delimiter, {
    levels: options.interval,
    far: false,
  });
  async function* read() {
    for await (const { rows, lines } of table.batches) {
      const examples = tableExamples(
        { names, rows, lines },
        {
          inputs,
          formats: { ...said, delimiter },
          ...(written && { written }),
          onSkip,
        },
      );
      if (examples.lines.length === 0) continue;
      checkWidth(examples, model.posterior.net, advice);
      yield examples;
    }
  }
  async function* batches() {
    for await (const { rows, ...block } of blocksOf(read(), on === undefined ? 1 : ROWS_ELSEWHERE)) {
      yield { text: writer.lines(rows, writer.added(await predict(block))), rows: rows.length };
    }
  }
  return { appended: writer.appended, header: writer.header, batches: batches(), repeated: table.repeated };
}
