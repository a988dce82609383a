// Texts as bytes, one after the other, out of the reach of the garbage collector: a byte for each letter of Latin 1, two elsewhere.

/** Bytes of a chunk; a longer text has one of its own. */
const CHUNK = 2 ** 20;
/** Bytes before a text: how many it has, and whether its letters have two. */
const HEAD = 5;
const BEYOND_LATIN = /[^\p{ASCII}\u0080-\u00ff]/u;

/** Texts that are told by the place that `push` gave. */
export class TextHeap {
  readonly #chunks: Buffer[] = [];
  #used = CHUNK;

  push(text: string): number {
    const latin = !BEYOND_LATIN.test(text);
    const bytes = latin ? text.length : 2 * text.length;
    if (this.#used + HEAD + bytes > CHUNK) {
      this.#chunks.push(Buffer.allocUnsafeSlow(Math.max(CHUNK, HEAD + bytes)));
      this.#used = 0;
    }
    const last = this.#chunks.length - 1;
    const chunk = this.#chunks[last];
    const at = this.#used;
    chunk.writeUInt32LE(bytes, at);
    chunk[at + HEAD - 1] = latin ? 1 : 2;
    chunk.write(text, at + HEAD, latin ? "latin1" : "utf16le");
    this.#used = at + HEAD + bytes;
    return last * CHUNK + at;
  }

  at(place: number): string {
    const chunk = this.#chunks[Math.floor(place / CHUNK)];
    const at = place % CHUNK;
    const bytes = chunk.readUInt32LE(at);
    return chunk.toString(chunk[at + HEAD - 1] === 1 ? "latin1" : "utf16le", at + HEAD, at + HEAD + bytes);
  }
}
