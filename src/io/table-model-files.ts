// A model of a table in one file: the encoding of its rows beside the posterior, or the posteriors, over the network behind it.

import { FileError, ValueError } from "../errors.ts";
import type { Posterior } from "../laplace/posterior.ts";
import type { Approximation } from "../prediction/prediction.ts";
import { Fields } from "./fields.ts";
import { parseJson } from "./json.ts";
import { isMixture, loadMixture, loadPosteriors, mixtureBytes } from "./mixtures.ts";
import { loadPosterior, savePosterior } from "./posteriors.ts";
import { type Bytes, readFile } from "./safetensors.ts";
import { encodingFields, encodingOf } from "./table-encodings.ts";
import { guaranteeOf, withGuarantee } from "./table-guarantee-files.ts";
import { TableModel, tableModel } from "./table-models.ts";
import { alike, type TableMixture } from "./table-posteriors.ts";

const KEY = "table-model";
/** Raised with every change that a reader of before would not understand. */
const FORMAT_VERSION = 6;
/** That of classes with a power. */
const FORMAT_OF_POWERS = 5;
/** That of a mixture of several likelihoods. */
const FORMAT_OF_SEVERAL = 4;
/** That of a mixture of one likelihood. */
const FORMAT_OF_ALIKE = 3;
/** That of a single posterior. */
const FORMAT_OF_ONE = 2;
const approximations: readonly Approximation[] = [
  ...(["exact", "probit", "plugin", "bridge", "normalizedBridge", "meanField1", "meanField2", "monteCarlo"] as const),
  ...(["quadrature", "network"] as const),
];

/**
 * A model of a table as the bytes of one safetensors file: that of its posterior, or of its mixture, with the encoding beside it. No
 * rows, no code.
 */
export function saveTableModel(model: TableModel): Bytes {
  const { posterior, mixture, encoding, approximation, farVariance, farLevel, guarantee, notes } = model;
  const { probabilityPower: power, meanWeights } = model;
  if (guarantee !== undefined) {
    const alone = saveTableModel(tableModel({ ...model, guarantee: undefined }));
    return withGuarantee(alone, guarantee, guarantee.models.map(saveTableModel));
  }
  const far = { ...(Number.isFinite(farVariance) && { farVariance }), ...(farLevel && { farLevel }) };
  const plain = mixture === undefined ? FORMAT_OF_ONE : alike(mixture.posteriors) ? FORMAT_OF_ALIKE : FORMAT_OF_SEVERAL;
  const [format, own] =
    meanWeights !== undefined
      ? [FORMAT_VERSION, { meanWeights: Array.from(meanWeights) }]
      : power === 1
        ? [plain, {}]
        : [FORMAT_OF_POWERS, { probabilityPower: power }];
  const metadata = { [KEY]: JSON.stringify({ format, encoding, approximation, ...far, ...own, notes }) };
  if (mixture === undefined) return savePosterior(posterior, { metadata });
  return mixtureBytes(mixture.posteriors as readonly Posterior[], mixture.weights, metadata);
}

/** A mixture of a file; of several likelihoods, its posteriors and weights. @throws FileError */
function readMixture(bytes: Uint8Array | ArrayBuffer): TableMixture {
  const { posteriors, weights } = loadPosteriors(bytes);
  return alike(posteriors) ? loadMixture(bytes) : { posteriors, weights };
}

/**
 * The model that `saveTableModel` made a file of: it predicts the same, in Node and in a page.
 * @throws FileError for a file that is truncated, altered, of a later version, or something else
 */
export function loadTableModel(bytes: Uint8Array | ArrayBuffer): TableModel {
  const where = "loadTableModel";
  const { own, scores, files } = guaranteeOf(where, bytes);
  const { metadata } = readFile(where, own);
  const mixed = isMixture(metadata) ? readMixture(own) : undefined;
  const posterior = mixed === undefined ? loadPosterior(own) : undefined;
  const text = metadata[KEY];
  if (text === undefined) {
    throw new FileError("foreign", `${where}: the file holds a posterior, but no table's encoding with it.`);
  }
  const json = parseJson(`${where}: the model`, text, { depth: 12, integers: false });
  const known = [
    "format",
    "encoding",
    "approximation",
    "farVariance",
    "farLevel",
    "probabilityPower",
    "meanWeights",
    "notes",
  ];
  const { format } = json !== null && typeof json === "object" && "format" in json ? json : { format: undefined };
  if (typeof format === "number" && format > FORMAT_VERSION) {
    throw new FileError(
      "newer",
      `${where}: the model has the format version ${format}; this library reads versions up to ${FORMAT_VERSION}. Update it.`,
    );
  }
  const fields = new Fields(`${where}: model`, json, known);
  const version = fields.integer("format", 1);
  const parts = {
    posterior,
    mixture: mixed,
    encoding: encodingOf(fields.object("encoding", encodingFields)),
    approximation: fields.choice("approximation", approximations),
    ...(fields.has("farVariance") && { farVariance: fields.finite("farVariance") }),
    farLevel: fields.has("farLevel") ? fields.boolean("farLevel") : version < 2,
    ...(fields.has("probabilityPower") && { probabilityPower: fields.positive("probabilityPower") }),
    ...(fields.has("meanWeights") && {
      meanWeights: Float64Array.from(fields.finites("meanWeights", mixed?.weights.length ?? 1)),
    }),
    ...(files.length > 0 && { guarantee: { scores, models: files.map(loadTableModel) } }),
    notes: fields.json("notes"),
  };
  try {
    return new TableModel(parts);
  } catch (cause) {
    if (!(cause instanceof ValueError)) throw cause;
    throw new FileError("malformed", `${where}: ${cause.message}`, { cause });
  }
}
