// A file's bytes, unpacked where they are gzip; what is not a text is named by its first bytes.

import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { TableError } from "../errors.ts";
import { isGzip, refuseForeign } from "./magic.ts";

/** As many bytes as say what a file is; more are looked at where the first chunk has them. */
const ENOUGH = 16;
const CHUNK_BYTES = 2 ** 16;

/** The bytes of a text file, compressed or not. @throws TableError for other files, and for gzip that is cut or damaged */
export async function* textBytes(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { first, all } = await begun(chunks);
  if (!isGzip(first)) {
    refuseForeign(first, false);
    yield* all;
    return;
  }
  const unpacked = await begun(gunzipped(all));
  if (isGzip(unpacked.first)) throw new TableError("the file is compressed by gzip twice. Unpack it first.");
  refuseForeign(unpacked.first, true);
  yield* unpacked.all;
}

/** The first bytes, and all of them. */
async function begun(chunks: AsyncIterable<Uint8Array>) {
  const iterator = chunks[Symbol.asyncIterator]();
  let first: Uint8Array = new Uint8Array();
  let ended = false;
  while (!ended && first.length < ENOUGH) {
    const { done, value } = await iterator.next();
    if (done) ended = true;
    else first = first.length === 0 ? value : Buffer.concat([first, value]);
  }
  async function* all(): AsyncGenerator<Uint8Array> {
    try {
      if (first.length > 0) yield first;
      for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  }
  return { first, all: all() };
}

/** What gzip packed, member after member. */
async function* gunzipped(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip({ chunkSize: CHUNK_BYTES });
  // Errors of the source reach the reader through the stream, which the pipeline destroys.
  pipeline(Readable.from(chunks, { objectMode: true }), gunzip).catch(() => undefined);
  try {
    for await (const chunk of gunzip) yield chunk;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (code === "Z_BUF_ERROR") throw new TableError("the gzip file ends in the middle: it is cut short.");
    if (code.startsWith("Z_")) throw new TableError("the gzip file is damaged: its bytes contradict each other.");
    throw error;
  } finally {
    gunzip.destroy();
  }
}
