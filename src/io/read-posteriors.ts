// Posteriors and fits out of files. A file is refused unless it says exactly what was saved. What the program has of structures
// was brought before, and likelihoods are read by what it was given, so that a bundle has those that it names.

import { inType } from "../array/arguments.ts";
import { NDArray } from "../array/ndarray.ts";
import type { Drawn } from "../curvature/accumulate.ts";
import { type CurvatureKind, type Plan, readPlan } from "../curvature/plan.ts";
import { checkNumber, FileError, LaplaceError } from "../errors.ts";
import { checkLikelihood } from "../likelihood/check.ts";
import { entryFields, type ReadLikelihood } from "../likelihood/entry.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import { Network } from "../network/network.ts";
import { Fit } from "../posterior/fit.ts";
import type { PosteriorParts } from "../posterior/parts.ts";
import { type Structure, structures } from "../structures/curvature.ts";
import { readPrior } from "../structures/prior.ts";
import type { Weights } from "../structures/selection.ts";
import type { Read } from "../structures/structure.ts";
import { checkPrior, rowNamed } from "../structures/table.ts";
import { checkContents } from "./checksum.ts";
import { readApart, readCurvature } from "./curvatures.ts";
import { Fields } from "./fields.ts";
import { malformed, parseJson, quoted } from "./json.ts";
import { networkFields, type PrimitiveOf, readNetwork } from "./networks.ts";
import { readFile, type Safetensors } from "./safetensors.ts";
import { readTuning, tuningFields } from "./tuning.ts";
import { version } from "./version.ts";

/** Raised with every change that a reader of before would not understand. */
export const FORMAT_VERSION = 3;
/**
 * That of files without what came with the last version: losses and curvatures of several outputs one by one, places of draws,
 * numbers of examples that are not whole.
 */
export const FORMAT_OF_BEFORE = 2;

/** What a file is of. */
export type Kind = "posterior" | "fit";

export const PREFIX = "laplace-ts.";
export const keys = {
  kind: `${PREFIX}kind`,
  format: `${PREFIX}format`,
  library: `${PREFIX}library`,
  document: `${PREFIX}document`,
  checksum: `${PREFIX}checksum`,
} as const;

const sumFields = ["network", "likelihood", "fit", "curvature", "fitted"];
const documentFields = [...sumFields, "temperature", "damping", "clip", "swag", "prior", "tuning"];
const fitFields = ["weights", "structure", "kind", "monteCarloSamples", "seed", "sharing", "basis"];
const fittedFields = ["examples", "loss", "constant", "gradientNorms", "losses", "apart"];

function load<T>(
  where: string,
  kind: Kind,
  bytes: Uint8Array | ArrayBuffer,
  known: readonly string[],
  read: (fields: Fields, arrays: Arrays) => T,
): T {
  const file = readFile(where, bytes);
  const text = verify(where, kind, file);
  try {
    const json = parseJson(`${where}: the document`, text, { depth: 8, integers: false });
    return read(new Fields(`${where}: document`, json, known), new Arrays(where, file.tensors));
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
  if (!/^[1-9]\d{0,8}$/.test(format ?? "")) throw malformed(where, "the format's version is missing");
  if (Number(format) > FORMAT_VERSION) {
    throw new FileError(
      "newer",
      `${where}: the file has the format version ${format}, written by laplace-ts ${quoted(library ?? "?")}. This is laplace-ts ${version}, which reads versions up to ${FORMAT_VERSION}; update it.`,
    );
  }
  checkContents(where, tensors, rest, checksum);
  if (document === undefined) throw malformed(where, "the document is missing");
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
    if (tensor?.rank !== 1) throw malformed(this.#where, `the vector "${name}" is missing`);
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
    if (name !== undefined) throw malformed(this.#where, `the array ${quoted(name)} has no use`);
  }
}

/** What a file is read by. */
export interface Means {
  readonly likelihoodOf: ReadLikelihood;
  readonly primitiveOf: PrimitiveOf;
  /** What a posterior is made of that is not only a fit and a prior; others have arrays without a use. */
  more?(fields: Fields, read: Read, parts: PosteriorParts): PosteriorParts | undefined;
  /** Hears of its structure and of what it is a curvature of, before anything is made of them. */
  curvature?(structure: Structure, kind: CurvatureKind): unknown;
}

/** What the posterior of a file is made of. @throws FileError */
export function readPosterior(where: string, bytes: Uint8Array | ArrayBuffer, means: Means): PosteriorParts {
  return load(where, "posterior", bytes, documentFields, (fields, arrays) => readParts(where, fields, arrays, means));
}

/** The fit of a file. @throws FileError */
export function readFitFile(where: string, bytes: Uint8Array | ArrayBuffer, means: Means): Fit {
  return load(where, "fit", bytes, sumFields, (fields, arrays) => {
    const { fit } = readSums(where, fields, arrays, means);
    arrays.finish();
    return fit;
  });
}

function readParts(where: string, fields: Fields, arrays: Arrays, means: Means): PosteriorParts {
  const { fit, likelihood } = readSums(where, fields, arrays, means);
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
  const parts = { fit, likelihood, prior, temperature, damping, clip, tuning };
  const all = means.more?.(fields, arrays.read, parts) ?? parts;
  arrays.finish();
  return all;
}

function readSums(where: string, fields: Fields, arrays: Arrays, means: Means): { fit: Fit; likelihood: Likelihood } {
  const theta = arrays.vector("theta");
  const { graph, dtype, frozen } = readNetwork(
    fields.object("network", networkFields),
    theta.length,
    means.primitiveOf,
  );
  const parameters = inType(where, "theta", new NDArray(theta, [theta.length]), dtype).clone();
  const statistics = graph.bufferCount > 0 ? arrays.read("buffers", [graph.bufferCount]) : new Float64Array();
  const buffers = inType(where, "buffers", new NDArray(statistics, [graph.bufferCount]), dtype).clone();
  const net = new Network(graph, parameters, frozen, buffers);
  const likelihood = means.likelihoodOf(fields.object("likelihood", entryFields), graph.output.size);
  const { plan, basis } = readFit(
    where,
    fields.object("fit", fitFields),
    new Network(graph, parameters),
    likelihood,
    arrays,
    means,
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
  means: Means,
): { plan: Plan; basis: boolean } {
  const weights: Weights = fields.has("weights")
    ? { parameters: fields.texts("weights", net.parameterTable.length) }
    : { indices: arrays.vector("weights") };
  const kind = fields.choice("kind", ["ggn", "monteCarlo", "empiricalFisher", "hessian"] as const);
  const samples = fields.integer("monteCarloSamples", 1);
  const structure = fields.choice("structure", structures);
  means.curvature?.(structure, kind);
  const plan = readPlan(where, net, () => checkLikelihood(where, likelihood, net), {
    weights,
    structure,
    curvature: kind,
    monteCarloSamples: kind === "monteCarlo" ? samples : undefined,
    seed: fields.integer("seed", 0),
    sharing: fields.choice("sharing", ["expand", "reduce"]),
  });
  return { plan, basis: fields.boolean("basis") && rowNamed(plan.structure).options.includes("basis") };
}
