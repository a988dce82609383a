// A posterior as one safetensors file: its arrays, and in the metadata a JSON document of everything else. A file is refused
// unless it says exactly what was saved.

import { NDArray } from "../array/ndarray.ts";
import type { Drawn } from "../curvature/accumulate.ts";
import { checkOptions, LaplaceError, OptionError } from "../errors.ts";
import { Posterior } from "../laplace/posterior.ts";
import { entryNames } from "../likelihood/define-likelihood.ts";
import { readEntry } from "../likelihood/entry.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import { checkIsFit, type Fit } from "../posterior/fit.ts";
import { refuseSandwich } from "../posterior/outer-products.ts";
import { swagParts } from "../posterior/swag.ts";
import { checkIsPosterior } from "../posterior/weight-gaussian.ts";
import { bringAll } from "../structures/all.ts";
import type { Prior } from "../structures/prior.ts";
import type { Selection } from "../structures/selection.ts";
import type { Write } from "../structures/structure.ts";
import { rowOf } from "../structures/table.ts";
import { contentsChecksum } from "./checksum.ts";
import { writeApart, writeCurvature } from "./curvatures.ts";
import { numberJson } from "./fields.ts";
import { quoted } from "./json.ts";
import { networkJson, primitiveOf } from "./networks.ts";
import { priorFields, readMatrix, writeMatrix } from "./prior-matrices.ts";
import {
  FORMAT_OF_BEFORE,
  FORMAT_VERSION,
  type Kind,
  keys,
  type Means,
  PREFIX,
  readFitFile,
  readPosterior,
} from "./read-posteriors.ts";
import { type Bytes, writeSafetensors } from "./safetensors.ts";
import { tuningEntry } from "./tuning.ts";
import { version } from "./version.ts";

/** What files are read by: all that the library has. */
const everything: Means = {
  likelihoodOf: readEntry,
  primitiveOf,
  more(fields, read, parts) {
    const { fit, likelihood, prior } = parts;
    if (fields.has("prior")) return { ...parts, prior: readMatrix(fields.object("prior", priorFields()), read, parts) };
    if (!fields.has("swag")) return undefined;
    return swagParts(fit, likelihood, prior, read("swag.columns", [fields.integer("swag", 0), fit.curvature.size]));
  },
};

/** Options of `savePosterior`, `saveFit` and `saveMixture`. */
export interface SaveOptions {
  /** Texts to keep in the file, by names that do not begin with "laplace-ts."; `readSafetensors` gives them. */
  metadata?: Readonly<Record<string, string>>;
}

/**
 * A posterior as the bytes of one safetensors file, with all that it needs: no data, no code. What `loadPosterior` makes of
 * it predicts, tunes, draws and merges as the posterior itself.
 * @throws LaplaceError for a likelihood that is not the library's own; OptionError, ValueError for bad metadata
 */
export function savePosterior(posterior: Posterior, options: SaveOptions = {}): Bytes {
  const where = "savePosterior";
  checkIsPosterior(where, "the first argument", posterior);
  const document = (write: Write) => writeDocument(where, posterior, write);
  return save(where, "posterior", posterior.fit, options, document, posterior.parts.prior);
}

/**
 * The sums of a fit as the bytes of one safetensors file, with the network they are of: no data, no code. What `loadFit` makes
 * of it merges, and gives posteriors, as the fit itself.
 * @throws LaplaceError for a likelihood that a file cannot name; OptionError, ValueError for bad metadata
 */
export function saveFit(fit: Fit, options: SaveOptions = {}): Bytes {
  const where = "saveFit";
  checkIsFit(where, fit);
  return save(where, "fit", fit, options, (write) => {
    write("theta", fit.of.theta, [fit.of.theta.length]);
    return writeSums(where, fit, fit.of.likelihood, fit.curvature.selection, write);
  });
}

/** The texts to keep. @throws OptionError */
export function readMetadata(where: string, options: SaveOptions): Readonly<Record<string, string>> {
  checkOptions(where, options, ["metadata"]);
  const { metadata = {} } = options;
  const reserved = Object.keys(metadata).find((name) => name.startsWith(PREFIX));
  if (reserved === undefined) return metadata;
  throw new OptionError(
    `${where}: names that begin with "${PREFIX}" are the library's own, as ${quoted(reserved)} does.`,
  );
}

function save(
  where: string,
  kind: Kind,
  fit: Fit,
  options: SaveOptions,
  documentOf: (write: Write) => unknown,
  prior?: Prior,
): Bytes {
  if (rowOf(fit.curvature).attach !== undefined) {
    throw new LaplaceError(
      `${where}: the structure "${fit.curvature.structure}" goes through its data for each product, and files have no data: save the network and what made the fit, or a fit of another structure.`,
    );
  }
  const own = readMetadata(where, options);
  const tensors: Record<string, NDArray> = {};
  const write: Write = (name, values, shape) => {
    tensors[name] = new NDArray(values, shape);
  };
  const document = JSON.stringify(documentOf(write));
  const metadata: Record<string, string> = {
    ...own,
    [keys.kind]: kind,
    [keys.format]: String(isNew(fit, prior) ? FORMAT_VERSION : FORMAT_OF_BEFORE),
    [keys.library]: version,
    [keys.document]: document,
  };
  return writeSafetensors(tensors, { ...metadata, [keys.checksum]: contentsChecksum(tensors, metadata) });
}

/** The losses of several outputs one by one; that of one is the loss. */
function severalLosses({ losses }: Fit): Float64Array | undefined {
  return losses !== undefined && losses.length > 1 ? losses : undefined;
}

/** Where the targets of all examples were drawn; undefined where it is as a file without it says: from the first place on. */
function otherPlaces({ drawn, examples, of }: Fit): readonly Drawn[] | undefined {
  const [one] = drawn ?? [];
  const usual = drawn?.length === 1 && one.seed === of.seed && one.first === 0 && one.end === examples;
  return usual ? undefined : drawn;
}

const isNew = (fit: Fit, prior: Prior | undefined): boolean =>
  prior?.matrix !== undefined ||
  severalLosses(fit) !== undefined ||
  otherPlaces(fit) !== undefined ||
  !Number.isInteger(fit.examples) ||
  fit.of.kind === "hessian";

/** Writes the arrays, and gives everything else as JSON. */
function writeDocument(where: string, posterior: Posterior, write: Write) {
  const { fit, likelihood, prior, temperature, damping, clip, swag, tuning } = posterior.parts;
  if (swag === undefined) refuseSandwich(where, posterior.parts);
  else write("swag.columns", swag, [swag.length / fit.curvature.size, fit.curvature.size]);
  write("theta", fit.of.theta, [fit.of.theta.length]);
  // As the option `weights` orders them.
  write("prior.precision", prior.selection.arrange(prior.precision, true), [prior.precision.length]);
  write("prior.mean", prior.selection.arrange(prior.mean, true), [prior.mean.length]);
  return {
    ...writeSums(where, fit, likelihood, prior.selection, write),
    temperature,
    damping,
    ...(clip === true && { clip }),
    ...(swag && { swag: swag.length / fit.curvature.size }),
    ...(prior.matrix && { prior: writeMatrix(prior.matrix, write) }),
    ...(tuning !== undefined && { tuning: tuningEntry(tuning) }),
  };
}

/** Those of a fit, at a likelihood; its weights are in the order of a selection. */
function writeSums(where: string, fitted: Fit, likelihood: Likelihood, { named }: Selection, write: Write) {
  const { of, curvature } = fitted;
  const { selection } = curvature;
  const { net, kind, samples, seed, sharing, basis } = of;
  if (net.buffers.size > 0) write("buffers", Float64Array.from(net.buffers.data), [net.buffers.size]);
  write("fitted.gradient", fitted.gradient, [fitted.gradient.length]);
  const inOrder = <T>(all: ArrayLike<T>, order: Uint32Array | undefined) =>
    order === undefined ? Array.from(all) : Array.from(order, (i) => all[i]);
  const single = named?.single === true || !selection.whole;
  if (single) {
    write("weights", Float64Array.from(inOrder(selection.indices(), named?.weights)), [selection.size]);
  }
  const names = selection.parameters.map(({ parameter }) => parameter.name);
  const weights = single ? {} : { weights: inOrder(names, named?.parameters) };
  const [losses, drawn] = [severalLosses(fitted), otherPlaces(fitted)];
  if (losses !== undefined) write("fitted.losses", losses, [losses.length]);
  if (fitted.apart !== undefined) writeApart(fitted.apart, write);
  return {
    network: networkJson(net),
    likelihood: likelihoodJson(where, likelihood),
    fit: {
      ...weights,
      structure: curvature.structure,
      kind,
      monteCarloSamples: samples,
      seed,
      sharing,
      basis,
    },
    curvature: writeCurvature(curvature, write),
    fitted: {
      examples: fitted.examples,
      loss: numberJson(fitted.loss),
      constant: numberJson(fitted.constant),
      gradientNorms: numberJson(fitted.gradientNorms),
      ...(drawn && { drawn }),
      ...(losses && { losses: true }),
      ...(fitted.apart && { apart: true }),
    },
  };
}

function likelihoodJson(where: string, { name, entry, hyper }: Likelihood) {
  if (!entryNames().includes(name)) {
    throw new LaplaceError(
      `${where}: a file can name the library's own likelihoods and those of defineLikelihood (${entryNames().join(", ")}), not "${name}".`,
    );
  }
  return {
    name,
    ...Object.fromEntries(Object.entries({ ...entry, ...hyper.entry }).filter(([, value]) => value !== undefined)),
  };
}

/**
 * The posterior that `savePosterior` made a file of: the same to the bit on the same build of the kernels, in Node and in a
 * page. Its network has the parameters at the fit. Nothing in the file is ever run.
 * @throws FileError for a file that is truncated, altered, of a later version, or something else
 */
export function loadPosterior(bytes: Uint8Array | ArrayBuffer): Posterior {
  bringAll();
  return new Posterior(readPosterior("loadPosterior", bytes, everything));
}

/**
 * The fit that `saveFit` made a file of. Nothing in the file is ever run.
 * @throws FileError for a file that is truncated, altered, of a later version, or something else
 */
export function loadFit(bytes: Uint8Array | ArrayBuffer): Fit {
  bringAll();
  return readFitFile("loadFit", bytes, everything);
}
