// The models of a guarantee, and the scores of the rows that they have not seen, in the file of a table's model.

import { NDArray } from "../array/ndarray.ts";
import type { TableEncoding } from "../data/encoding.ts";
import { FileError, ValueError } from "../errors.ts";
import { contentsChecksum } from "./checksum.ts";
import { type Bytes, readFile, writeSafetensors } from "./safetensors.ts";

/** Models of a table, and what each says of rows that it has not seen. */
export interface TableGuarantee<Model> {
  /** One, or one for each fold of a cross-validation. */
  readonly models: readonly Model[];
  /** The scores of the rows that each has not seen, such as `tableConformity` gives, [rows] each. */
  readonly scores: readonly Float64Array[];
}

/** What is looked at of a model. */
interface Guaranteeing {
  readonly encoding: Pick<TableEncoding, "target">;
  readonly guarantee: unknown;
}

/** Refuses what has no scores for each of its models. @throws ValueError */
export function checkScores(where: string, guarantee: TableGuarantee<unknown>): void {
  const { models, scores } = guarantee ?? {};
  const known =
    Array.isArray(models) &&
    Array.isArray(scores) &&
    models.length > 0 &&
    scores.length === models.length &&
    scores.every((own) => own instanceof Float64Array && own.length > 0 && own.every((one) => one >= 0));
  if (!known) throw new ValueError(`${where}: expected models, and scores of at least 0 for each.`);
}

/** Refuses what is not a guarantee of a model's target. @throws ValueError */
export function checkGuarantee(guarantee: TableGuarantee<Guaranteeing>, { target }: Guaranteeing["encoding"]): void {
  const where = "tableModel: guarantee";
  checkScores(where, guarantee);
  const said = ({ kind, name, ...more }: typeof target) =>
    JSON.stringify([kind, name, "classes" in more ? more.classes : more.counts]);
  const alike = (model: Guaranteeing) =>
    model?.guarantee === undefined && model?.encoding !== undefined && said(model.encoding.target) === said(target);
  if (!guarantee.models.every(alike)) throw new ValueError(`${where}: expected models of the same target.`);
}
const KEY = "guarantee";
const NUMBERED = /^guarantee\.(\d{1,4})\.([\s\S]+)$/;
const SCORES = "scores";
const MOST = 1000;

/** A model's file with those of a guarantee in it. @param files of its models */
export function withGuarantee(bytes: Bytes, { scores }: TableGuarantee<unknown>, files: readonly Bytes[]): Bytes {
  const where = "saveTableModel";
  const whole = readFile(where, bytes);
  const tensors: Record<string, NDArray> = { ...whole.tensors };
  const metadata: Record<string, string> = { ...whole.metadata };
  const own: Record<string, NDArray> = {};
  for (const [k, file] of files.entries()) {
    const part = readFile(where, file);
    for (const [name, tensor] of Object.entries(part.tensors)) tensors[`${KEY}.${k}.${name}`] = tensor;
    for (const [name, text] of Object.entries(part.metadata)) metadata[`${KEY}.${k}.${name}`] = text;
    own[`${KEY}.${k}.${SCORES}`] = new NDArray(scores[k].slice(), [scores[k].length]);
  }
  return writeSafetensors({ ...tensors, ...own }, { ...metadata, [KEY]: contentsChecksum(own, {}) });
}

/**
 * A file's own part, and the scores and files of a guarantee where it has one. @throws FileError for scores that were altered
 */
export function guaranteeOf(
  where: string,
  bytes: Uint8Array | ArrayBuffer,
): {
  readonly own: Uint8Array | ArrayBuffer;
  readonly scores: readonly Float64Array[];
  readonly files: readonly Bytes[];
} {
  const { tensors, metadata } = readFile(where, bytes);
  const { [KEY]: checksum, ...rest } = metadata;
  if (checksum === undefined) return { own: bytes, scores: [], files: [] };
  const parts: { tensors: Record<string, NDArray>; metadata: Record<string, string> }[] = [];
  const own: (typeof parts)[number] = { tensors: {}, metadata: {} };
  const scores: Record<string, NDArray> = {};
  const place = (name: string) => {
    const [, number, inner] = NUMBERED.exec(name) ?? [];
    if (inner === undefined || Number(number) >= MOST) return { part: own, inner: name };
    for (let k = parts.length; k <= Number(number); k++) parts.push({ tensors: {}, metadata: {} });
    return { part: parts[Number(number)], inner };
  };
  for (const [name, tensor] of Object.entries(tensors)) {
    const { part, inner } = place(name);
    if (part !== own && inner === SCORES) scores[name] = tensor;
    else part.tensors[inner] = tensor;
  }
  for (const [name, text] of Object.entries(rest)) {
    const { part, inner } = place(name);
    part.metadata[inner] = text;
  }
  if (contentsChecksum(scores, {}) !== checksum) {
    throw new FileError("altered", `${where}: the scores of the guarantee do not match their checksum.`);
  }
  return {
    own: writeSafetensors(own.tensors, own.metadata),
    scores: parts.map((_, k) => Float64Array.from(scores[`${KEY}.${k}.${SCORES}`]?.data ?? [])),
    files: parts.map((part) => writeSafetensors(part.tensors, part.metadata)),
  };
}
