// A file's bytes as text: UTF-8, UTF-16 by its byte-order mark, or an encoding by option.

import { TableError } from "../errors.ts";

const marks = [
  { bytes: [0xff, 0xfe], encoding: "utf-16le" },
  { bytes: [0xfe, 0xff], encoding: "utf-16be" },
] as const;

function decoderOf(encoding: string | undefined, first: Uint8Array): TextDecoder {
  const marked = marks.find(({ bytes }) => bytes.every((byte, i) => first[i] === byte));
  const name = encoding ?? marked?.encoding ?? "utf-8";
  try {
    return new TextDecoder(name, { fatal: true });
  } catch {
    throw new TableError(`there is no encoding "${name}"; try utf-8, latin1 or utf-16le.`);
  }
}

/** The text of the bytes, without a byte-order mark. @throws TableError for bytes that are none in this encoding */
export async function* decoded(chunks: AsyncIterable<Uint8Array>, encoding?: string): AsyncGenerator<string> {
  let decoder: TextDecoder | undefined;
  let position = 0;
  const decode = (chunk?: Uint8Array): string => {
    try {
      return decoder?.decode(chunk, { stream: chunk !== undefined }) ?? "";
    } catch {
      throw new TableError(
        `the bytes about ${position} are no ${decoder?.encoding} text. Likely cause: another encoding; try --encoding latin1.`,
      );
    }
  };
  for await (const chunk of chunks) {
    decoder ??= decoderOf(encoding, chunk);
    const text = decode(chunk);
    if (text.includes("\0")) {
      throw new TableError(
        "the text has NUL characters. Likely causes: UTF-16 without a byte-order mark (try --encoding utf-16le), or a file that is no table.",
      );
    }
    position += chunk.length;
    if (text !== "") yield text;
  }
  const rest = decode();
  if (rest !== "") yield rest;
}
