// Mixtures as bytes: a safetensors file with the posteriors' files in it, their names beginning with a number.

import { NDArray } from "../array/ndarray.ts";
import { FileError, ValueError } from "../errors.ts";
import { mixture, PosteriorMixture } from "../evaluation/mixture.ts";
import type { Posterior } from "../laplace/posterior.ts";
import { contentsChecksum } from "./checksum.ts";
import { loadPosterior, savePosterior } from "./posteriors.ts";
import { type Bytes, readFile, writeSafetensors } from "./safetensors.ts";

const KIND = "laplace-ts.kind";
const CHECKSUM = "laplace-ts.checksum";
const WEIGHTS = "weights";
const MOST = 1e4;

/**
 * A mixture as the bytes of one safetensors file. Each posterior is in it as `savePosterior` has it.
 * @throws as `savePosterior`
 */
export function saveMixture(mixed: PosteriorMixture): Bytes {
  const where = "saveMixture";
  if (!(mixed instanceof PosteriorMixture)) {
    throw new ValueError(`${where}: expected a mixture, such as mixture(posteriors) gives.`);
  }
  const tensors: Record<string, NDArray> = { [WEIGHTS]: new NDArray(mixed.weights.slice(), [mixed.weights.length]) };
  const metadata: Record<string, string> = {};
  for (const [k, posterior] of mixed.posteriors.entries()) {
    const file = readFile(where, savePosterior(posterior as Posterior));
    for (const [name, tensor] of Object.entries(file.tensors)) tensors[`${k}.${name}`] = tensor;
    for (const [name, text] of Object.entries(file.metadata)) metadata[`${k}.${name}`] = text;
  }
  const own = { ...metadata, [KIND]: "mixture" };
  return writeSafetensors(tensors, { ...own, [CHECKSUM]: contentsChecksum(tensors, own) });
}

/**
 * The mixture that `saveMixture` made a file of. @throws FileError for a file that is truncated, altered, of a later version, or
 * something else
 */
export function loadMixture(bytes: Uint8Array | ArrayBuffer): PosteriorMixture {
  const where = "loadMixture";
  const { tensors, metadata } = readFile(where, bytes);
  const { [CHECKSUM]: checksum, ...rest } = metadata;
  if (rest[KIND] !== "mixture") throw new FileError("foreign", `${where}: expected a mixture, got another file.`);
  if (contentsChecksum(tensors, rest) !== checksum) {
    throw new FileError(
      "altered",
      `${where}: the contents do not match their checksum: the file was altered after saving.`,
    );
  }
  const { [WEIGHTS]: weights, ...others } = tensors;
  if (weights?.rank !== 1 || weights.size === 0 || weights.size > MOST) {
    throw new FileError("malformed", `${where}: the weights are missing.`);
  }
  const parts = Array.from({ length: weights.size }, () => ({
    tensors: {} as Record<string, NDArray>,
    metadata: {} as Record<string, string>,
  }));
  const place = (name: string) => {
    const [, number, own] = /^(\d{1,5})\.([\s\S]+)$/.exec(name) ?? [];
    const part = parts[Number(number)];
    if (part === undefined) throw new FileError("malformed", `${where}: the name "${name}" belongs to no posterior.`);
    return { part, own };
  };
  for (const [name, tensor] of Object.entries(others)) {
    const { part, own } = place(name);
    part.tensors[own] = tensor;
  }
  for (const [name, text] of Object.entries(rest)) {
    if (name === KIND) continue;
    const { part, own } = place(name);
    part.metadata[own] = text;
  }
  const posteriors = parts.map((part) => loadPosterior(writeSafetensors(part.tensors, part.metadata)));
  try {
    return mixture(posteriors, weights);
  } catch (cause) {
    throw new FileError("malformed", (cause as Error).message, { cause });
  }
}
