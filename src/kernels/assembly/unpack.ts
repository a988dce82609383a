// Unpacks what tools/pack.mjs packed, which says how. A module of its own, of integers only, so that it is compiled at once.

/** Where the probabilities lie, which are 0 to begin with, and where the results begin; what is packed lies behind them. */
const CHOICES: u32 = 1024;
const START: u32 = 77824;

let at: usize;
let range: u32;
let code: u32;

/** One choice: how likely 0 is, in 65,536ths above a half, and how often it was made. */
function choice(index: u32): u32 {
  const entry = CHOICES + (index << 2);
  const likely: u32 = load<u16>(entry) ^ 0x8000;
  const count: u32 = load<u16>(entry, 2) + 2;
  if (count < 24) store<u16>(entry, count - 1, 2);
  const bound = (range >>> 12) * (likely >>> 4);
  const one = code >= bound;
  if (one) {
    code -= bound;
    range -= bound;
    store<u16>(entry, (likely - likely / count) ^ 0x8000);
  } else {
    range = bound;
    store<u16>(entry, (likely + (65535 - likely) / count) ^ 0x8000);
  }
  while (range < 0x1000000) {
    range <<= 8;
    code = (code << 8) | load<u8>(at++);
  }
  return u32(one);
}

/** A length or a distance: a class of 64, then the bits that this leaves open, from the lowest. */
function number(group: u32, low: u32): u32 {
  let node: u32 = 1;
  while (node < 64) node = 2 * node + choice(32 + 64 * group + node);
  const kind = node - 64;
  if (kind < 4) return kind;
  const base = 416 + 32 * (64 * low + kind);
  const bits = (kind >>> 1) - 1;
  let value = (2 | (kind & 1)) << bits;
  node = 1;
  for (let i: u32 = 0; i < bits; i++) {
    const bit = choice(base + node);
    value |= bit << i;
    node = i < 3 ? 2 * node + bit : 16 + i;
  }
  return value;
}

/** Unpacks `size` bytes behind the first `before`, which were unpacked already; what is packed lies behind their places. */
export function unpack(before: u32, size: u32): void {
  let to = START + before;
  const end = to + size;
  at = end + 4;
  range = -1;
  code = bswap(load<u32>(end));
  let state: u32 = 0;
  let distance: u32 = 1;
  let earlier: u32 = 1;
  while (to < end) {
    if (choice(state) === 0) {
      const base: u32 = 12704 + 768 * (u32(load<u8>(to - 1)) >>> 5);
      // The byte that a match would have had here, as long as the bits are its own.
      let other: u32 = state & 1 ? load<u8>(to - distance) | 0x100 : 0;
      let node: u32 = 1;
      while (node < 256) {
        other <<= 1;
        const expected = other & 0x100;
        const bit = choice(base + (other > 511 ? 256 + expected : 0) + node);
        if (bit !== expected >>> 8) other = 0;
        node = 2 * node + bit;
      }
      store<u8>(to++, node);
      state = (state << 1) & 7;
      continue;
    }
    let length: u32;
    if (choice(8 + state) === 0) {
      length = number(4, 4) + 2;
      earlier = distance;
      distance = number(min(length - 2, 3), 0) + 1;
    } else {
      if (choice(24 + state)) {
        const other = earlier;
        earlier = distance;
        distance = other;
      }
      length = number(5, 5) + 1;
    }
    state = ((state << 1) | 1) & 7;
    for (const stop = to + length; to < stop; to++) store<u8>(to, load<u8>(to - distance));
  }
}
