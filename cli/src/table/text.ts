// A file's bytes as text: UTF-8, UTF-16 by its byte-order mark, or an encoding by option.

import { TableError } from "../errors.ts";

const marks = [
  { bytes: [0xff, 0xfe], encoding: "utf-16le" },
  { bytes: [0xfe, 0xff], encoding: "utf-16be" },
] as const;
const LINE_FEED = 10;

function decoderOf(encoding: string | undefined, first: Uint8Array): TextDecoder {
  if (first[0] === 0xff && first[1] === 0xfe && first.length > 3 && first[2] === 0 && first[3] === 0) {
    throw new TableError("the text is UTF-32, which is not read. Save it as UTF-8.");
  }
  const marked = marks.find(({ bytes }) => bytes.every((byte, i) => first[i] === byte));
  const name = encoding ?? marked?.encoding ?? "utf-8";
  try {
    return new TextDecoder(name, { fatal: true });
  } catch {
    throw new TableError(`there is no encoding "${name}"; try utf-8, latin1 or utf-16le.`);
  }
}

/** The text of the bytes, without a byte-order mark. @throws TableError for bytes that are not a text in this encoding */
export async function* decoded(chunks: AsyncIterable<Uint8Array>, encoding?: string): AsyncGenerator<string> {
  let decoder: TextDecoder | undefined;
  /** Lines that ended before the chunk, and its last bytes, which may begin a character. */
  let [lines, before]: [number, Uint8Array] = [0, new Uint8Array()];
  for await (const chunk of chunks) {
    decoder ??= decoderOf(encoding, chunk);
    let text: string;
    try {
      text = decoder.decode(chunk, { stream: true });
    } catch {
      throw undecodable(decoder.encoding, lines, before, chunk);
    }
    const nul = text.indexOf("\0");
    if (nul >= 0) throw nulError(chunk, 1 + lines + feeds(text.slice(0, nul)));
    // UTF-16 has a line feed's byte in other characters too.
    lines += decoder.encoding === "utf-8" ? byteFeeds(chunk) : feeds(text);
    before = chunk.subarray(-3);
    if (text !== "") yield text;
  }
  try {
    const rest = decoder?.decode() ?? "";
    if (rest !== "") yield rest;
  } catch {
    throw undecodable(decoder?.encoding ?? "", lines, before, new Uint8Array(), true);
  }
}

function byteFeeds(bytes: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, at + 1)) count++;
  return count;
}

function feeds(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count++;
  return count;
}

/** Says in which line a text ends being one, and which encoding it may have. */
function undecodable(
  encoding: string,
  lines: number,
  before: Uint8Array,
  chunk: Uint8Array,
  ended = false,
): TableError {
  if (encoding !== "utf-8") {
    return new TableError(`the bytes are not ${encoding} text. Is --encoding right?`, lines + 1);
  }
  // A character may have begun in the chunk before: its first byte does not continue another.
  let from = 0;
  while (from < before.length && (before[from] & 0xc0) === 0x80) from++;
  const bytes = Buffer.concat([before.subarray(from), chunk]);
  const text = bytes.toString("utf8");
  const at = text.indexOf("\ufffd");
  const good = at < 0 ? text : text.slice(0, at);
  const line = 1 + lines - byteFeeds(before.subarray(from)) + feeds(good);
  const byte = bytes[Buffer.byteLength(good)];
  const shown = byte === undefined ? "a byte" : `the byte 0x${byte.toString(16)}`;
  const last = /[^\n\r]{1,20}$/.exec(good)?.[0];
  const place = last === undefined ? "" : ` behind ${JSON.stringify(last)}`;
  if (ended) return new TableError(`the file ends in the middle of a character${place}: it is cut short.`, line);
  return new TableError(
    `${shown}${place} is not UTF-8. Likely cause: another encoding; ${adviceFor(bytes.subarray(Buffer.byteLength(good)))}.`,
    line,
  );
}

/** Single bytes above ASCII are letters with accents; rows of them another script. */
function adviceFor(bytes: Uint8Array): string {
  let [single, runs] = [0, 0];
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] < 0x80) continue;
    const start = i;
    while (i + 1 < bytes.length && bytes[i + 1] >= 0x80) i++;
    if (i - start < 2) single++;
    else runs++;
  }
  if (runs <= single) return "try --encoding latin1";
  return "try --encoding windows-1251 (Cyrillic), shift_jis (Japanese), gb18030 (Chinese) or latin1";
}

function nulError(chunk: Uint8Array, line: number): TableError {
  // Latin letters of UTF-16 have a NUL as their second byte, or, big-endian, as their first.
  let [even, odd] = [0, 0];
  for (let i = 0; i < chunk.length; i++) if (chunk[i] === 0) i % 2 === 0 ? even++ : odd++;
  const wide = 2 * Math.max(even, odd) > 0.6 * chunk.length && 10 * Math.min(even, odd) < Math.max(even, odd);
  if (wide) {
    const name = odd > even ? "utf-16le" : "utf-16be";
    return new TableError(
      `the text has NUL characters: it is UTF-16 without a byte-order mark. Try --encoding ${name}.`,
      line,
    );
  }
  return new TableError(
    "the text has NUL characters. Likely causes: a file that is not a table, or UTF-16 without a byte-order mark (try --encoding utf-16le).",
    line,
  );
}
