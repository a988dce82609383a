// The relaxed build, from the plain one: the same module, with the fused operation where a multiplication and an addition are.

const VECTOR = 0xfd;
const SET = 0x21;
const GET = 0x20;
/** The number of a multiplication in the element types, and of the fused one. */
const fusedOf: Readonly<Record<number, number>> = { 230: 0x85, 242: 0x87 };

/**
 * Writes fused operations in their places, in as many bytes, the rest of which do nothing; gives how many these are.
 * tools/plain-simd.mjs writes what is looked for: "set c, multiply, get c, add", or with a second local "…, subtract".
 */
export function fuse(bytes: Uint8Array): number {
  let count = 0;
  // The runtime's own search: a loop over all bytes is interpreted for milliseconds.
  for (let at = bytes.indexOf(SET); at >= 0; at = bytes.indexOf(SET, at + 1)) {
    const multiply = bytes[at + 3];
    const fused = fusedOf[multiply];
    if (bytes[at + 2] !== VECTOR || fused === undefined) continue;
    const subtracts = bytes[at + 5] === SET;
    const last = at + (subtracts ? 11 : 7);
    const [get, add] = subtracts ? [at + 7, multiply - 1] : [at + 5, multiply - 2];
    // c comes back, and the sum or the difference is last.
    if (bytes[get] !== GET || bytes[get + 1] !== bytes[at + 1]) continue;
    if (bytes[last] !== VECTOR || bytes[last + 1] !== add) continue;
    bytes.fill(1, at, last + 3);
    bytes[at] = VECTOR;
    bytes[at + 1] = subtracts ? fused + 1 : fused;
    bytes[at + 2] = 2;
    count++;
  }
  return count;
}
