// Files of networks that were trained elsewhere, read by laplace-ts-models, which is loaded when there is one.

import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";
import { FileError, type Network } from "laplace-ts";
import type { TrainedTask } from "../fitting/trained.ts";

/** A network, and what is known of its file. */
export interface TrainedModel {
  readonly network: Network;
  /** In words: "ONNX of pytorch, opset 17". */
  readonly format: string;
  /** What was taken off its end, such as Softmax. */
  readonly removed: readonly string[];
  /** The task, as the end says it; undefined where it ends in plain outputs. */
  readonly task: TrainedTask | undefined;
  readonly operators: Readonly<Record<string, number>>;
  readonly constants: readonly string[];
}

/** Whether a path names such a file: ONNX, or the JSON of a layers model of TensorFlow.js. */
export const isTrained = (path: string): boolean => /\.(onnx|json)$/i.test(path);

/** Reads a network. @throws FileError listing all that cannot be read; errors of the operating system */
export async function readTrained(path: string): Promise<TrainedModel> {
  const bytes = await readFile(path);
  const models = await import("laplace-ts-models");
  try {
    if (/\.json$/i.test(path)) {
      const model = JSON.parse(bytes.toString("utf8")) as object;
      const { network, report } = models.fromTensorFlowJs(model, weightsOf(model, path));
      return { ...shared(report), network, format: "a layers model of TensorFlow.js" };
    }
    const { network, report } = models.fromOnnx(bytes, { externalData: (location) => beside(path, location) });
    const maker = report.producer === "" ? "" : ` of ${report.producer}`;
    return { ...shared(report), network, format: `ONNX${maker}, opset ${report.opset}` };
  } catch (cause) {
    if (cause instanceof models.ModelError) throw new FileError("unsupported", `${path}: ${cause.message}`, { cause });
    if (cause instanceof SyntaxError)
      throw new FileError("malformed", `${path} is not JSON: ${cause.message}.`, { cause });
    throw cause;
  }
}

interface Report {
  readonly removed: readonly { readonly operator: string }[];
  readonly task: TrainedTask;
  readonly operators: Readonly<Record<string, number>>;
  readonly constants: readonly string[];
}

function shared({ removed, task, operators, constants }: Report) {
  const names = removed.map(({ operator }) => operator);
  return { removed: names, task: names.length > 0 ? task : undefined, operators, constants };
}

/** A file beside the model; a model names none elsewhere. */
function beside(path: string, location: string): Uint8Array {
  const inside = normalize(location);
  if (/^(\.\.|[/\\]|\w:)/.test(inside)) {
    throw new FileError("malformed", `${path} names a file outside of its folder: ${location}.`);
  }
  return readFileSync(join(dirname(path), inside));
}

/** The weights of a layers model, the files of its manifest joined. */
function weightsOf(model: { weightsManifest?: unknown }, path: string): Uint8Array {
  const groups = Array.isArray(model.weightsManifest) ? model.weightsManifest : [];
  const paths = groups.flatMap((group: { paths?: unknown }) => (Array.isArray(group?.paths) ? group.paths : []));
  return Buffer.concat(paths.map((one) => beside(path, String(one))));
}
