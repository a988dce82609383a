// laplace predict of what laplace posterior wrote: rows are read as it read them, as they are.

import { array } from "laplace-ts";
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

/** Arrays are predicted so many examples at a time. */
const ROWS = 1024;

/** The lines for a table or a file of arrays. @throws UsageError, TableError */
export async function trainedLines(
  model: TrainedPosterior,
  data: readonly string[],
  options: TableOptions & { readonly interval?: number[] },
  onSkip: Parameters<typeof tableExamples>[1]["onSkip"],
): Promise<PredictedLines> {
  const target = {
    kind: model.task === "regression" ? ("number" as const) : ("classes" as const),
    classes: model.classes,
  };
  const advice = "Give rows as laplace posterior had them.";
  const predict = async (examples: Pick<Examples, "x" | "width">): Promise<Written> => {
    const found = await predictTrained(model.posterior, examples, model.task);
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
      for (let first = 0; first < lines.length; first += ROWS) {
        const rows = Math.min(ROWS, lines.length - first);
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
  async function* batches() {
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
      const added = writer.added(await predict(examples));
      yield { text: writer.lines(examples.table?.rows ?? [], added), rows: examples.lines.length };
    }
  }
  return { appended: writer.appended, header: writer.header, batches: batches(), repeated: table.repeated };
}
