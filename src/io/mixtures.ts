// Mixtures as bytes: a safetensors file with the posteriors' files in it, their names beginning with a number.

import { NDArray } from "../array/ndarray.ts";
import { FileError, OptionError, ValueError } from "../errors.ts";
import { mixture, PosteriorMixture } from "../evaluation/mixture.ts";
import type { Posterior } from "../laplace/posterior.ts";
import { checkContents, contentsChecksum } from "./checksum.ts";
import { malformed, quoted } from "./json.ts";
import { loadPosterior, readMetadata, type SaveOptions, savePosterior } from "./posteriors.ts";
import { type Bytes, readFile, writeSafetensors } from "./safetensors.ts";

const KIND = "laplace-ts.kind";
const CHECKSUM = "laplace-ts.checksum";
const WEIGHTS = "weights";
const MOST = 1e4;
const NUMBERED = /^(\d{1,5})\.([\s\S]+)$/;

/** Whether a file's metadata are those of a mixture. */
export const isMixture = (metadata: Readonly<Record<string, string>>): boolean => metadata[KIND] === "mixture";

/**
 * A mixture as the bytes of one safetensors file. Each posterior is in it as `savePosterior` has it.
 * @throws as `savePosterior`
 */
export function saveMixture(mixed: PosteriorMixture, options: SaveOptions = {}): Bytes {
  const where = "saveMixture";
  const given = readMetadata(where, options);
  const numbered = Object.keys(given).find((name) => NUMBERED.test(name));
  if (numbered !== undefined) {
    throw new OptionError(
      `${where}: names that begin with a number and a dot are those of the posteriors, as ${quoted(numbered)} does.`,
    );
  }
  if (!(mixed instanceof PosteriorMixture)) {
    throw new ValueError(`${where}: expected a mixture, such as mixture(posteriors) gives.`);
  }
  return mixtureBytes(mixed.posteriors as readonly Posterior[], mixed.weights, given);
}

/** Posteriors and their weights as one file, whatever their likelihoods. */
export function mixtureBytes(
  posteriors: readonly Posterior[],
  weights: Float64Array,
  given: Readonly<Record<string, string>>,
): Bytes {
  const where = "saveMixture";
  const tensors: Record<string, NDArray> = { [WEIGHTS]: new NDArray(weights.slice(), [weights.length]) };
  const metadata: Record<string, string> = {};
  for (const [k, posterior] of posteriors.entries()) {
    const file = readFile(where, savePosterior(posterior));
    for (const [name, tensor] of Object.entries(file.tensors)) tensors[`${k}.${name}`] = tensor;
    for (const [name, text] of Object.entries(file.metadata)) metadata[`${k}.${name}`] = text;
  }
  const own = { ...given, ...metadata, [KIND]: "mixture" };
  return writeSafetensors(tensors, { ...own, [CHECKSUM]: contentsChecksum(tensors, own) });
}

/**
 * The mixture that `saveMixture` made a file of. @throws FileError for a file that is truncated, altered, of a later version, or
 * something else
 */
export function loadMixture(bytes: Uint8Array | ArrayBuffer): PosteriorMixture {
  const { posteriors, weights } = loadPosteriors(bytes);
  return mixtureOf(posteriors, weights);
}

/** A mixture of posteriors as a file has them. @throws FileError */
function mixtureOf(posteriors: readonly Posterior[], weights: Float64Array): PosteriorMixture {
  try {
    const made = mixture(posteriors, weights);
    const sum = weights.reduce((total, weight) => total + weight, 0);
    // Divided by their sum once more, they would change by a last bit.
    return Math.abs(sum - 1) > 1e-9 ? made : new PosteriorMixture(made.posteriors, weights);
  } catch (cause) {
    throw new FileError("malformed", (cause as Error).message, { cause });
  }
}

/** Posteriors and weights of a file, whatever their likelihoods. @throws FileError */
export function loadPosteriors(bytes: Uint8Array | ArrayBuffer): {
  readonly posteriors: readonly Posterior[];
  readonly weights: Float64Array;
} {
  const where = "loadMixture";
  const { tensors, metadata } = readFile(where, bytes);
  const { [CHECKSUM]: checksum, ...rest } = metadata;
  if (!isMixture(rest)) throw new FileError("foreign", `${where}: expected a mixture, got another file.`);
  checkContents(where, tensors, rest, checksum);
  const { [WEIGHTS]: weights, ...others } = tensors;
  if (weights?.rank !== 1 || weights.size === 0 || weights.size > MOST) {
    throw malformed(where, "the weights are missing");
  }
  const parts = Array.from({ length: weights.size }, () => ({
    tensors: {} as Record<string, NDArray>,
    metadata: {} as Record<string, string>,
  }));
  const place = (name: string) => {
    const [, number, own] = NUMBERED.exec(name) ?? [];
    const part = parts[Number(number)];
    if (part === undefined) throw malformed(where, `the name "${name}" belongs to no posterior`);
    return { part, own };
  };
  for (const [name, tensor] of Object.entries(others)) {
    const { part, own } = place(name);
    part.tensors[own] = tensor;
  }
  for (const [name, text] of Object.entries(rest)) {
    if (!NUMBERED.test(name)) continue;
    const { part, own } = place(name);
    part.metadata[own] = text;
  }
  const posteriors = parts.map((part) => loadPosterior(writeSafetensors(part.tensors, part.metadata)));
  return { posteriors, weights: Float64Array.from(weights.data) };
}
