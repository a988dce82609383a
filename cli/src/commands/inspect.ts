// laplace inspect: what a model file holds, or a network that was trained elsewhere.

import { Command } from "commander";
import {
  dispersionOf,
  familyText,
  noiseOf,
  noiseText,
  powerText,
  scaleText,
  taskOf,
  temperatureText,
  threeDigits,
} from "../model/noise.ts";
import { columnLines, line, metricLines } from "../output/summary.ts";
import { plain, printJson } from "../output/terminal.ts";
import { inspectTrained } from "./inspect-trained.ts";
import { notesOf, readModel } from "./model.ts";
import { withJson } from "./options.ts";
import { isTrained } from "./trained-model.ts";

/** The command. */
export function inspectCommand(): Command {
  const command = new Command("inspect")
    .description("say what a model file holds")
    .argument("<model>", "a model file that laplace fit wrote, an ONNX file, or the model.json of TensorFlow.js");
  return withJson(command).action(run);
}

async function run(path: string, { json }: { json?: true }): Promise<void> {
  if (isTrained(path)) return inspectTrained(path, json === true);
  const model = await readModel(path);
  const { posterior, mixture, weights, encoding, approximation } = model;
  const { target } = encoding;
  const notes = notesOf(model);
  const task = taskOf(encoding);
  if (json) {
    printJson({
      task,
      target,
      columns: encoding.columns,
      inputs: encoding.inputs,
      missing: encoding.missing,
      likelihood: posterior.likelihood.name,
      approximation,
      ...(mixture !== undefined && { members: weights.length, memberWeights: Array.from(weights) }),
      ...(model.meanWeights && { meanWeights: Array.from(model.meanWeights) }),
      structure: posterior.structure,
      weights: posterior.size,
      examples: posterior.examples,
      priorPrecision: Array.from(posterior.priorPrecision.data),
      noise: noiseOf(model),
      dispersion: dispersionOf(model),
      temperature: posterior.temperature,
      ...(task === "classification" && { probabilityPower: model.probabilityPower }),
      ...notes,
    });
    return;
  }
  const classes = target.kind === "classes" ? `: ${target.classes.slice(0, 10).map(plain).join(", ")}` : "";
  const [noise, scale] = [noiseText(model), scaleText(model) ?? familyText(model)];
  const temperature = task === "classification" ? temperatureText(posterior.temperature) : undefined;
  const power = powerText(model);
  const written = noise === undefined ? "" : `, noise ${noise}`;
  const inputs = encoding.inputs.slice(0, 12).map(plain).join(", ") + (encoding.inputs.length > 12 ? ", …" : "");
  const { heldOut } = notes;
  const weightsText = `${posterior.net.parameterCount} parameters`;
  const lines = [
    line("task", `${task} of "${plain(target.name)}"${classes}`),
    ...(scale === undefined ? [] : [line("target", scale)]),
    ...columnLines(model),
    line("inputs", inputs),
    mixture === undefined
      ? line("network", plain(notes.network ?? weightsText))
      : line(
          "mixture",
          `${plain(notes.mixture ?? `${weights.length} posteriors`)}; the heaviest posterior has ${weightsText}`,
        ),
    line("posterior", `${posterior.structure} over ${posterior.size} weights, from ${posterior.examples} rows`),
    line("tuned", `prior precision ${threeDigits(posterior.priorPrecision.data[0])}${written}`),
    ...(temperature === undefined ? [] : [line("temperature", temperature)]),
    ...(power === undefined ? [] : [line("power", power)]),
    ...(model.meanWeights === undefined ? [] : [line("mean", "by weights of its own (--json)")]),
    ...(notes.program === undefined ? [] : [line("written by", plain(notes.program))]),
    ...(heldOut === undefined
      ? []
      : [line("held out", `${heldOut.rows} rows`), ...metricLines(task, heldOut.metrics, heldOut.baseline)]),
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
}
