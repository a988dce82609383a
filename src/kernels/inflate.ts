// Decompresses the kernels. DecompressionStream answers later, and the kernels are needed at once.

/** Lengths and distances of matches: where each code begins, and how many bits are added (RFC 1951, 3.2.5). */
const starts = (extra: readonly number[], first: number): number[] => {
  let next = first;
  return extra.map((bits) => {
    const start = next;
    next += 2 ** bits;
    return start;
  });
};
const lengthBits = [...Array.from({ length: 28 }, (_, i) => (i < 8 ? 0 : (i >> 2) - 1)), 0];
const lengthStarts = [...starts(lengthBits.slice(0, -1), 3), 258];
const distanceBits = Array.from({ length: 30 }, (_, i) => (i < 4 ? 0 : (i >> 1) - 1));
const distanceStarts = starts(distanceBits, 1);
/** In which order the lengths of the codes for code lengths come. */
const order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/** A table from the next bits, as many as the longest code has, to 16 · symbol + length, for codes of these lengths (3.2.2). */
function tableOf(lengths: Uint8Array): Uint16Array {
  const counts = new Uint16Array(16);
  for (const length of lengths) counts[length]++;
  let most = 15;
  while (most > 1 && counts[most] === 0) most--;
  const next = new Uint16Array(16);
  for (let length = 1; length < 15; length++) next[length + 1] = (next[length] + counts[length]) << 1;
  const table = new Uint16Array(2 ** most);
  for (let symbol = 0; symbol < lengths.length; symbol++) {
    const length = lengths[symbol];
    if (length === 0) continue;
    const code = next[length]++;
    // Codes come with their first bit lowest.
    let reversed = 0;
    for (let bit = 0; bit < length; bit++) reversed |= ((code >> bit) & 1) << (length - 1 - bit);
    for (let i = reversed; i < table.length; i += 1 << length) table[i] = 16 * symbol + length;
  }
  return table;
}

/** What was compressed to blocks with codes of their own (RFC 1951), as the build of the kernels writes. */
export function inflate(bytes: Uint8Array, size: number): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(size);
  let [at, held, count, end] = [0, 0, 0, 0];
  const take = (bits: number): number => {
    for (; count < bits; count += 8) held |= bytes[at++] << count;
    const value = held & ((1 << bits) - 1);
    held >>>= bits;
    count -= bits;
    return value;
  };
  const symbol = (table: Uint16Array): number => {
    for (; count < 15; count += 8) held |= bytes[at++] << count;
    const found = table[held & (table.length - 1)];
    held >>>= found & 15;
    count -= found & 15;
    return found >> 4;
  };
  /** The symbols of a block, with the state in variables that no function shares: this is where the time goes. */
  const block = (literals: Uint16Array, distances: Uint16Array): void => {
    let [from, bits, filled, to] = [at, held, count, end];
    const [literalMask, distanceMask] = [literals.length - 1, distances.length - 1];
    for (;;) {
      while (filled < 16) {
        bits |= bytes[from++] << filled;
        filled += 8;
      }
      let found = literals[bits & literalMask];
      bits >>>= found & 15;
      filled -= found & 15;
      const code = found >> 4;
      if (code < 256) {
        result[to++] = code;
        continue;
      }
      if (code === 256) break;
      while (filled < 24) {
        bits |= bytes[from++] << filled;
        filled += 8;
      }
      let extra = lengthBits[code - 257];
      const length = lengthStarts[code - 257] + (bits & ((1 << extra) - 1));
      bits >>>= extra;
      filled -= extra;
      while (filled < 16) {
        bits |= bytes[from++] << filled;
        filled += 8;
      }
      found = distances[bits & distanceMask];
      bits >>>= found & 15;
      filled -= found & 15;
      extra = distanceBits[found >> 4];
      while (filled < extra) {
        bits |= bytes[from++] << filled;
        filled += 8;
      }
      const back = distanceStarts[found >> 4] + (bits & ((1 << extra) - 1));
      bits >>>= extra;
      filled -= extra;
      if (back >= length) {
        result.copyWithin(to, to - back, to - back + length);
        to += length;
      } else for (const stop = to + length; to < stop; to++) result[to] = result[to - back];
    }
    [at, held, count, end] = [from, bits, filled, to];
  };
  for (let last = 0; last === 0; ) {
    last = take(1);
    if (take(2) !== 2) throw new Error("The kernels are compressed in another way.");
    const [literals, distances, orders] = [take(5) + 257, take(5) + 1, take(4) + 4];
    const own = new Uint8Array(19);
    for (let i = 0; i < orders; i++) own[order[i]] = take(3);
    const codes = tableOf(own);
    const lengths = new Uint8Array(literals + distances);
    for (let i = 0; i < lengths.length; ) {
      const code = symbol(codes);
      if (code < 16) lengths[i++] = code;
      else {
        const value = code === 16 ? lengths[i - 1] : 0;
        const repeats = code === 16 ? 3 + take(2) : code === 17 ? 3 + take(3) : 11 + take(7);
        lengths.fill(value, i, i + repeats);
        i += repeats;
      }
    }
    block(tableOf(lengths.subarray(0, literals)), tableOf(lengths.subarray(literals)));
  }
  return result;
}
