// A 64-bit checksum of what a file says: FNV-1a (Fowler, Noll & Vo), over the bytes of texts and the 32-bit words of
// numbers, which is four times as fast. Each step is a bijection of the sum so far, so that no change of a single one goes
// unnoticed. It guards against accidents, not against forgery.

import type { NDArray } from "../array/ndarray.ts";
import { FileError } from "../errors.ts";

const PRIME_LOW = 0x1b3; // the prime is 2⁴⁰ + 0x1b3

/** The FNV-1a sum of units, in 16 hexadecimal digits. */
export class Checksum {
  #low = 0x84222325;
  #high = 0xcbf29ce4;

  add(units: Uint8Array | Uint32Array): void {
    let [low, high] = [this.#low, this.#high];
    for (let i = 0; i < units.length; i++) {
      low ^= units[i];
      // By halves of 16 bits, so that every number is an integer of 32.
      const lower = (low & 0xffff) * PRIME_LOW;
      const upper = (low >>> 16) * PRIME_LOW + (lower >>> 16);
      // 2⁴⁰ times the sum leaves 2⁸ times its lower half in the upper.
      high = (Math.imul(high, PRIME_LOW) + (upper >>> 16) + (low << 8)) | 0;
      low = (upper << 16) | (lower & 0xffff);
    }
    [this.#low, this.#high] = [low, high];
  }

  get digits(): string {
    return [this.#high, this.#low].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
  }
}

/** The sum of a file's contents, in 16 hexadecimal digits, whatever the order in which the file holds them. */
export function contentsChecksum(
  tensors: Readonly<Record<string, NDArray>>,
  metadata: Readonly<Record<string, string>>,
): string {
  const sum = new Checksum();
  // JSON sets every text apart from the next.
  const add = (...texts: readonly string[]) => sum.add(new TextEncoder().encode(JSON.stringify(texts)));
  for (const name of Object.keys(metadata).sort()) add(name, metadata[name]);
  for (const name of Object.keys(tensors).sort()) {
    const { dtype, shape, data } = tensors[name];
    add(name, dtype, shape.join());
    sum.add(new Uint32Array(data.buffer, data.byteOffset, data.byteLength / 4));
  }
  return sum.digits;
}

/** @throws FileError for contents that have another sum */
export function checkContents(
  where: string,
  tensors: Readonly<Record<string, NDArray>>,
  metadata: Readonly<Record<string, string>>,
  checksum: string | undefined,
): void {
  if (contentsChecksum(tensors, metadata) === checksum) return;
  throw new FileError(
    "altered",
    `${where}: the contents do not match their checksum: the file was altered after saving.`,
  );
}
