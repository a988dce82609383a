// A posterior as one safetensors file: its arrays, and in the metadata a JSON document of everything else. A file is refused
// unless it says exactly what was saved.

import { inType } from "../array/arguments.ts";
import { NDArray } from "../array/ndarray.ts";
import type { Drawn } from "../curvature/accumulate.ts";
import { type Plan, readPlan } from "../curvature/plan.ts";
import { checkNumber, checkOptions, FileError, LaplaceError, OptionError } from "../errors.ts";
import { Posterior } from "../laplace/posterior.ts";
import { checkLikelihood } from "../likelihood/check.ts";
import { entryNames } from "../likelihood/define-likelihood.ts";
import { entryFields, readEntry } from "../likelihood/entry.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import { Network } from "../network/network.ts";
import { checkIsFit, Fit } from "../posterior/fit.ts";
import { refuseSandwich } from "../posterior/outer-products.ts";
import { checkIsPosterior } from "../posterior/weight-gaussian.ts";
import { bringAll } from "../structures/all.ts";
import { structures } from "../structures/curvature.ts";
import { readPrior } from "../structures/prior.ts";
import type { Selection, Weights } from "../structures/selection.ts";
import type { Read, Write } from "../structures/structure.ts";
import { checkPrior, rowNamed } from "../structures/table.ts";
import { contentsChecksum } from "./checksum.ts";
import { readApart, readCurvature, writeApart, writeCurvature } from "./curvatures.ts";
import { Fields, numberJson } from "./fields.ts";
import { parseJson, quoted } from "./json.ts";
import { networkFields, networkJson, readNetwork } from "./networks.ts";
import { type Bytes, readFile, type Safetensors, writeSafetensors } from "./safetensors.ts";
import { readTuning, tuningEntry, tuningFields } from "./tuning.ts";
import { version } from "./version.ts";

/** Raised with every change that a reader of before would not understand. */
const FORMAT_VERSION = 3;
/**
 * That of files without what came with the last version: losses and curvatures of several outputs one by one, places of draws,
 * numbers of examples that are not whole.
 */
const FORMAT_OF_BEFORE = 2;

/** What a file is of. */
type Kind = "posterior" | "fit";

const PREFIX = "laplace-ts.";
const keys = {
  kind: `${PREFIX}kind`,
  format: `${PREFIX}format`,
  library: `${PREFIX}library`,
  document: `${PREFIX}document`,
  checksum: `${PREFIX}checksum`,
} as const;

const sumFields = ["network", "likelihood", "fit", "curvature", "fitted"];
const documentFields = [...sumFields, "temperature", "damping", "clip", "tuning"];
const fitFields = ["weights", "structure", "kind", "monteCarloSamples", "seed", "sharing", "basis"];
const fittedFields = ["examples", "loss", "constant", "gradientNorms", "losses", "apart"];

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
  return save(where, "posterior", posterior.fit, options, (write) => writeDocument(where, posterior, write));
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

function save(where: string, kind: Kind, fit: Fit, options: SaveOptions, documentOf: (write: Write) => unknown): Bytes {
  const own = readMetadata(where, options);
  const tensors: Record<string, NDArray> = {};
  const write: Write = (name, values, shape) => {
    tensors[name] = new NDArray(values, shape);
  };
  const document = JSON.stringify(documentOf(write));
  const metadata: Record<string, string> = {
    ...own,
    [keys.kind]: kind,
    [keys.format]: String(isNew(fit) ? FORMAT_VERSION : FORMAT_OF_BEFORE),
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

const isNew = (fit: Fit): boolean =>
  severalLosses(fit) !== undefined ||
  otherPlaces(fit) !== undefined ||
  !Number.isInteger(fit.examples) ||
  fit.of.kind === "hessian";

/** Writes the arrays, and gives everything else as JSON. */
function writeDocument(where: string, posterior: Posterior, write: Write) {
  const { fit, likelihood, prior, temperature, damping, clip, tuning } = posterior.parts;
  refuseSandwich(where, posterior.parts);
  write("theta", fit.of.theta, [fit.of.theta.length]);
  // As the option `weights` orders them.
  write("prior.precision", prior.selection.arrange(prior.precision, true), [prior.precision.length]);
  write("prior.mean", prior.selection.arrange(prior.mean, true), [prior.mean.length]);
  return {
    ...writeSums(where, fit, likelihood, prior.selection, write),
    temperature,
    damping,
    ...(clip === true && { clip }),
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
  return load("loadPosterior", "posterior", bytes, documentFields, readDocument);
}

/**
 * The fit that `saveFit` made a file of. Nothing in the file is ever run.
 * @throws FileError for a file that is truncated, altered, of a later version, or something else
 */
export function loadFit(bytes: Uint8Array | ArrayBuffer): Fit {
  return load("loadFit", "fit", bytes, sumFields, (where, fields, arrays) => {
    const { fit } = readSums(where, fields, arrays);
    arrays.finish();
    return fit;
  });
}

function load<T>(
  where: string,
  kind: Kind,
  bytes: Uint8Array | ArrayBuffer,
  known: readonly string[],
  read: (where: string, fields: Fields, arrays: Arrays) => T,
): T {
  bringAll();
  const file = readFile(where, bytes);
  const text = verify(where, kind, file);
  try {
    const json = parseJson(`${where}: the document`, text, { depth: 8, integers: false });
    return read(where, new Fields(`${where}: document`, json, known), new Arrays(where, file.tensors));
  } catch (cause) {
    if (!(cause instanceof LaplaceError) || cause instanceof FileError) throw cause;
    throw new FileError("malformed", cause.message, { cause });
  }
}

/** The document of a file that is unaltered and of a version that this library reads. */
function verify(where: string, expected: Kind, { tensors, metadata }: Safetensors): string {
  const { [keys.checksum]: checksum, ...rest } = metadata;
  const { [keys.kind]: kind, [keys.format]: format, [keys.library]: library, [keys.document]: document } = rest;
  if (kind !== expected) {
    const what =
      kind === undefined ? "a safetensors file, but none of laplace-ts" : `a file of the kind ${quoted(kind)}`;
    throw new FileError("foreign", `${where}: expected a ${expected}, got ${what}.`);
  }
  if (!/^[1-9]\d{0,8}$/.test(format ?? ""))
    throw new FileError("malformed", `${where}: the format's version is missing.`);
  if (Number(format) > FORMAT_VERSION) {
    throw new FileError(
      "newer",
      `${where}: the file has the format version ${format}, written by laplace-ts ${quoted(library ?? "?")}. This is laplace-ts ${version}, which reads versions up to ${FORMAT_VERSION}; update it.`,
    );
  }
  if (contentsChecksum(tensors, rest) !== checksum) {
    throw new FileError(
      "altered",
      `${where}: the contents do not match their checksum: the file was altered after saving.`,
    );
  }
  if (document === undefined) throw new FileError("malformed", `${where}: the document is missing.`);
  return document;
}

/** A file's arrays, taken one by one. */
class Arrays {
  readonly #where: string;
  readonly #tensors: Readonly<Record<string, NDArray>>;
  readonly #left: Set<string>;

  constructor(where: string, tensors: Readonly<Record<string, NDArray>>) {
    this.#where = where;
    this.#tensors = tensors;
    this.#left = new Set(Object.keys(tensors));
  }

  /** A vector of any length. */
  vector(name: string): Float64Array {
    const tensor = this.#tensors[name];
    if (tensor?.rank !== 1) throw new FileError("malformed", `${this.#where}: the vector "${name}" is missing.`);
    return this.read(name, tensor.shape);
  }

  read: Read = (name, shape) => {
    const tensor = this.#tensors[name];
    const fits = tensor?.dtype === "float64" && tensor.rank === shape.length;
    if (!fits || !tensor.shape.every((length, axis) => length === shape[axis])) {
      throw new FileError(
        "malformed",
        `${this.#where}: the float64 array ${quoted(name)} [${shape.join(", ")}] is missing.`,
      );
    }
    this.#left.delete(name);
    return tensor.data as Float64Array;
  };

  /** @throws FileError for arrays that nobody took */
  finish(): void {
    const [name] = this.#left;
    if (name !== undefined) throw new FileError("malformed", `${this.#where}: the array ${quoted(name)} has no use.`);
  }
}

function readDocument(where: string, fields: Fields, arrays: Arrays): Posterior {
  const { fit, likelihood } = readSums(where, fields, arrays);
  const { selection, structure } = fit.curvature;
  const prior = readPrior(
    where,
    selection,
    arrays.vector("prior.precision"),
    arrays.read("prior.mean", [selection.size]),
  );
  checkPrior(where, structure, prior);
  const temperature = fields.finite("temperature");
  checkNumber(where, "temperature", temperature, 0, true);
  const damping = fields.boolean("damping");
  const clip = fields.has("clip") && fields.boolean("clip");
  const tuning = fields.has("tuning") ? readTuning(fields.object("tuning", tuningFields)) : undefined;
  arrays.finish();
  return new Posterior({ fit, likelihood, prior, temperature, damping, clip, tuning });
}

function readSums(where: string, fields: Fields, arrays: Arrays): { fit: Fit; likelihood: Likelihood } {
  const theta = arrays.vector("theta");
  const { graph, dtype, frozen } = readNetwork(fields.object("network", networkFields), theta.length);
  const parameters = inType(where, "theta", new NDArray(theta, [theta.length]), dtype).clone();
  const statistics = graph.bufferCount > 0 ? arrays.read("buffers", [graph.bufferCount]) : new Float64Array();
  const buffers = inType(where, "buffers", new NDArray(statistics, [graph.bufferCount]), dtype).clone();
  const net = new Network(graph, parameters, frozen, buffers);
  const likelihood = readEntry(fields.object("likelihood", entryFields), graph.output.size);
  const { plan, basis } = readFit(
    where,
    fields.object("fit", fitFields),
    new Network(graph, parameters),
    likelihood,
    arrays,
  );
  const { selection, structure, kind, samples, seed, sharing } = plan;
  const curvature = readCurvature(fields, structure, selection, arrays.read);
  const sums = fields.object("fitted", kind === "monteCarlo" ? [...fittedFields, "drawn"] : fittedFields);
  const outputs = graph.output.size;
  const one = outputs === 1 && likelihood.hyper.any ? Float64Array.of(sums.number("loss")) : undefined;
  const examples = sums.finite("examples");
  checkNumber(where, "examples", examples, 0, true);
  const fitted = {
    curvature,
    drawn: kind === "monteCarlo" ? readPlaces(sums, { seed, first: 0, end: examples }) : undefined,
    losses: sums.has("losses") ? arrays.read("fitted.losses", [outputs]) : one,
    apart: sums.has("apart") ? readApart(curvature, outputs, arrays.read) : undefined,
    examples,
    loss: sums.number("loss"),
    constant: sums.number("constant"),
    gradientNorms: sums.number("gradientNorms"),
    gradient: arrays.read("fitted.gradient", [selection.size]),
  };
  const fit = new Fit({ net, theta, likelihood, kind, samples, seed, sharing, basis }, fitted);
  return { fit, likelihood };
}

function readPlaces(fields: Fields, usual: Drawn): readonly Drawn[] {
  if (!fields.has("drawn")) return [usual];
  return fields.objects("drawn", Number.MAX_SAFE_INTEGER, ["seed", "first", "end"]).map((one) => {
    const first = one.integer("first", 0);
    return { seed: one.integer("seed", 0), first, end: one.integer("end", first + 1) };
  });
}

/** The plan of the fit. Parameters may have been frozen since: the network comes here without. */
function readFit(
  where: string,
  fields: Fields,
  net: Network,
  likelihood: Likelihood,
  arrays: Arrays,
): { plan: Plan; basis: boolean } {
  const weights: Weights = fields.has("weights")
    ? { parameters: fields.texts("weights", net.parameterTable.length) }
    : { indices: arrays.vector("weights") };
  const kind = fields.choice("kind", ["ggn", "monteCarlo", "empiricalFisher", "hessian"] as const);
  const samples = fields.integer("monteCarloSamples", 1);
  const plan = readPlan(where, net, () => checkLikelihood(where, likelihood, net), {
    weights,
    structure: fields.choice("structure", structures),
    curvature: kind,
    monteCarloSamples: kind === "monteCarlo" ? samples : undefined,
    seed: fields.integer("seed", 0),
    sharing: fields.choice("sharing", ["expand", "reduce"]),
  });
  return { plan, basis: fields.boolean("basis") && rowNamed(plan.structure).options.includes("basis") };
}
