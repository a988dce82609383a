// xoshiro128** and its seeding, word for word after their definitions, on unbounded integers.

const MASK = 0xffffffffn;

function rotate(x: bigint, bits: bigint): bigint {
  return ((x << bits) | (x >> (32n - bits))) & MASK;
}

/** The generator of Blackman & Vigna from a state of four 32-bit words. */
export function* xoshiro128(state: readonly bigint[]): Generator<number, never> {
  let [s0, s1, s2, s3] = state;
  for (;;) {
    yield Number((rotate((s1 * 5n) & MASK, 7n) * 9n) & MASK);
    const t = (s1 << 9n) & MASK;
    s2 ^= s0;
    s3 ^= s1;
    s1 ^= s2;
    s0 ^= s3;
    s2 ^= t;
    s3 = rotate(s3, 11n);
  }
}

function mix(bits: bigint): bigint {
  let z = ((bits ^ (bits >> 16n)) * 0x85ebca6bn) & MASK;
  z = ((z ^ (z >> 13n)) * 0xc2b2ae35n) & MASK;
  return z ^ (z >> 16n);
}

/** Four words of splitmix32 from the seed's low half; the high half, mixed alike, enters the second and the fourth. */
export function stateFor(seed: number): bigint[] {
  const low = BigInt(seed) & MASK;
  const high = mix(BigInt(seed) >> 32n);
  return [1n, 2n, 3n, 4n].map((step) => {
    const z = (low + step * 0x9e3779b9n) & MASK;
    return mix(step % 2n === 0n ? z ^ high : z);
  });
}

/** The state of a place of many: words of splitmix32 from the place, as of a seed, added to those of the key and mixed again. */
export function stateAt(key: readonly number[], place: number): bigint[] {
  const low = BigInt(place) & MASK;
  const high = mix(BigInt(place) >> 32n);
  return key.map((word, j) => {
    const step = (low + BigInt(j + 1) * 0x9e3779b9n) & MASK;
    return mix((BigInt(word) + mix(step ^ high)) & MASK);
  });
}
