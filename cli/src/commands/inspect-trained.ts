// laplace inspect of a network that was trained elsewhere: what it is, and what each posterior around it would need.

import { estimateMemory, LaplaceError, type LaplaceOptions } from "laplace-ts";
import { type TrainedSettings, type TrainedTask, weightsIn } from "../fitting/trained.ts";
import { line } from "../output/summary.ts";
import { plain, printJson } from "../output/terminal.ts";
import { readTrained, type TrainedModel } from "./trained-model.ts";

const structures = ["full", "kronecker", "ekfac", "diagonal"] as const;

/** Bytes of a fit and its first use by structure; undefined where there is no such posterior. */
function needs({ network }: TrainedModel, task: TrainedTask, weights: TrainedSettings["weights"]) {
  const bytes = Object.fromEntries(
    structures.map((structure) => {
      try {
        return [structure, estimateMemory(network, { likelihood: task, weights, structure } as LaplaceOptions).bytes];
      } catch (error) {
        if (!(error instanceof LaplaceError)) throw error;
        return [structure, undefined];
      }
    }),
  );
  try {
    return { weights: weightsIn(network, task, weights), bytes };
  } catch (error) {
    if (!(error instanceof LaplaceError)) throw error;
    return { weights: undefined, bytes, why: error.message };
  }
}

/** Bytes in words: 1.5 kB, 3.2 GB. */
function bytesText(bytes: number): string {
  const power = Math.min(4, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  return `${(bytes / 1000 ** power).toPrecision(power === 0 ? 3 : 2).replace(/\.0$/, "")} ${["B", "kB", "MB", "GB", "TB"][power]}`.replace(
    /e\+2 /,
    "00 ",
  );
}

/** Reads and prints. @throws FileError listing all that cannot be read */
export async function inspectTrained(path: string, json: boolean): Promise<void> {
  const model = await readTrained(path);
  const { network, format, removed, operators, constants } = model;
  const task = model.task ?? (network.graph.output.size > 1 ? "classification" : "regression");
  const posteriors = { lastLayer: needs(model, task, "lastLayer"), all: needs(model, task, "all") };
  const parameters = network.parameterTable.map(({ name, shape }) => ({ name, shape }));
  if (json) {
    const { inputShape: input, outputShape: output, dtype, parameterCount } = network;
    printJson({
      format,
      supported: true,
      input,
      output,
      dtype,
      removed,
      task: model.task,
      operators,
      parameterCount,
      parameters,
      constants,
      posteriors,
    });
    return;
  }
  const list = (all: readonly string[], most: number) =>
    all.slice(0, most).map(plain).join(", ") + (all.length > most ? `, … (${all.length} in all)` : "");
  const counted = Object.entries(operators).sort((a, b) => b[1] - a[1]);
  const words = { lastLayer: "the last layer", all: "all weights" };
  const lines = [
    line("format", `${plain(format)}; every operator is supported`),
    line("input", `[${network.inputShape.join(", ")}], ${network.dtype}`),
    line(
      "output",
      `[${network.outputShape.join(", ")}]${removed.length > 0 ? `; taken off at the end: ${removed.join(", ")}` : ""}`,
    ),
    line("task", model.task ?? "not said by the model's end: laplace posterior looks at the target, or --task says"),
    line(
      "operators",
      list(
        counted.map(([name, count]) => `${count} ${name}`),
        20,
      ),
    ),
    line(
      "parameters",
      `${network.parameterCount.toLocaleString("en")} in ${parameters.length} arrays: ${list(
        parameters.map(({ name, shape }) => `${name} [${shape.join(", ")}]`),
        8,
      )}`,
    ),
    ...(constants.length > 0 ? [line("constants", list(constants, 8))] : []),
    ...(["lastLayer", "all"] as const).map((which) => {
      const { weights, bytes } = posteriors[which];
      const each = structures.map((name) => `${name} ${bytes[name] === undefined ? "—" : bytesText(bytes[name])}`);
      return line(
        "posterior",
        weights === undefined
          ? `over ${words[which]}: none`
          : `over ${words[which]}, ${weights.toLocaleString("en")} weights: ${each.join(", ")}`,
      );
    }),
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
}
