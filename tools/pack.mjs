// Packs the kernels' bytes for src/kernels/assembly/unpack.ts, in the manner of LZMA: bytes, and matches of earlier bytes, as
// choices between 0 and 1, each written by a range coder in −log₂ p bits, with a probability p that adapts to the choices made
// in the same context before. What is unpacked after something else goes on from its bytes and probabilities. The steps are those that take the fewest bits in all, as far as today's probabilities tell.

/** Where the contexts of each choice begin: those of a step by the kinds of the last three, of numbers, of literals. */
const IS_MATCH = 0;
const IS_KNOWN = 8;
const IS_EARLIER = 24;
const NUMBERS = 32;
const LOW = NUMBERS + 6 * 64;
const LITERALS = LOW + 6 * 64 * 32;
const CONTEXTS = LITERALS + 8 * 768;
/** The classes of numbers: distances of matches of 2, 3, 4 and more bytes, and the lengths of new and of known distances. */
const LENGTH = 4;
const KNOWN_LENGTH = 5;

const LONGEST = 500;
/** Bytes ahead that are looked at, and how many ways to each of them are kept. */
const AHEAD = 1024;
const WAYS = 4;
const DEPTH = 1500;

class Probabilities {
  likely = new Uint16Array(CONTEXTS).fill(0x8000);
  counts = new Uint8Array(CONTEXTS).fill(2);

  adapt(context, bit) {
    const likely = this.likely[context];
    const count = this.counts[context];
    this.likely[context] = bit ? likely - Math.floor(likely / count) : likely + Math.floor((65535 - likely) / count);
    if (count < 24) this.counts[context]++;
  }
}

/** Bits of a choice, by its probability in 4096ths. */
const bitsOf = Float32Array.from({ length: 4097 }, (_, i) => -Math.log2(Math.max(i, 0.5) / 4096));

function literal(visit, bytes, at, state, distance) {
  const base = LITERALS + 768 * ((at > 0 ? bytes[at - 1] : 0) >> 5);
  let beside = (state & 1) === 1;
  const other = beside ? bytes[at - distance] : 0;
  let node = 1;
  for (let shift = 7; shift >= 0; shift--) {
    const bit = (bytes[at] >> shift) & 1;
    const expected = (other >> shift) & 1;
    visit(base + (beside ? 256 + 256 * expected : 0) + node, bit);
    if (expected !== bit) beside = false;
    node = 2 * node + bit;
  }
}

function number(visit, group, low, value) {
  const length = 32 - Math.clz32(value);
  const kind = value < 4 ? value : 2 * (length - 1) + ((value >> (length - 2)) & 1);
  let node = 1;
  for (let shift = 5; shift >= 0; shift--) {
    const bit = (kind >> shift) & 1;
    visit(NUMBERS + 64 * group + node, bit);
    node = 2 * node + bit;
  }
  const base = LOW + 32 * (64 * low + kind);
  node = 1;
  for (let i = 0; i < length - 2; i++) {
    const bit = (value >> i) & 1;
    visit(base + node, bit);
    node = i < 3 ? 2 * node + bit : 16 + i;
  }
}

const distanceOf = (visit, length, distance) => number(visit, Math.min(length - 2, 3), 0, distance - 1);
const lengthOf = (visit, length) => number(visit, LENGTH, LENGTH, length - 2);
const knownLengthOf = (visit, length) => number(visit, KNOWN_LENGTH, KNOWN_LENGTH, length - 1);

const begin = { state: 0, distances: [1, 1] };
const afterLiteral = (state) => (state << 1) & 7;
const afterMatch = (state) => ((state << 1) | 1) & 7;

/** Visits the choices of a step: a literal, or `length` bytes at a new `distance`, or at one `known` (0 the last, 1 the one before). */
function visitStep(visit, bytes, at, { state, distances }, { length, distance, known }) {
  const [last, earlier] = distances;
  const match = length !== undefined;
  visit(IS_MATCH + state, Number(match));
  if (!match) {
    literal(visit, bytes, at, state, last);
    return { state: afterLiteral(state), distances };
  }
  visit(IS_KNOWN + state, known === undefined ? 0 : 1);
  if (known === undefined) {
    lengthOf(visit, length);
    distanceOf(visit, length, distance);
    return { state: afterMatch(state), distances: [distance, last] };
  }
  visit(IS_EARLIER + state, known);
  knownLengthOf(visit, length);
  return { state: afterMatch(state), distances: known === 1 ? [earlier, last] : distances };
}

const sameBytes = (bytes, at, distance, most) => {
  let length = 0;
  while (length < most && at + length < bytes.length && bytes[at + length] === bytes[at + length - distance]) length++;
  return length;
};

/** Of every place the matches worth a look: ever longer ones, each the nearest of its length, as [length, distance]. */
function matchesOf(bytes) {
  const pairs = new Map();
  const triples = new Map();
  const before = new Int32Array(bytes.length);
  return Array.from(bytes, (_, at) => {
    const found = [];
    const pair = bytes[at] | (bytes[at + 1] << 8);
    const triple = pair | (bytes[at + 2] << 16);
    if (pairs.has(pair) && at + 1 < bytes.length) found.push([2, at - pairs.get(pair)]);
    let best = 2;
    let place = triples.get(triple) ?? -1;
    pairs.set(pair, at);
    triples.set(triple, at);
    before[at] = place;
    for (let i = 0; place >= 0 && i < DEPTH && best < LONGEST; i++, place = before[place]) {
      const length = sameBytes(bytes, at, at - place, LONGEST);
      if (length > best) {
        found.push([length, at - place]);
        best = length;
      }
    }
    return found;
  });
}

/** The cheapest steps to the bytes from `from` on, by these probabilities: dynamic programming, a few ways to each byte. */
function cheapestSteps(bytes, from, count, start, matches, { likely }) {
  const bits = (context, bit) => bitsOf[bit ? 4096 - (likely[context] >> 4) : likely[context] >> 4];
  let sum = 0;
  const add = (context, bit) => {
    sum += bits(context, bit);
  };
  const costOf = (write, ...values) => {
    sum = 0;
    write(add, ...values);
    return sum;
  };
  const lengths = Array.from({ length: LONGEST + 1 }, (_, length) => (length < 2 ? 0 : costOf(lengthOf, length)));
  const knownLengths = lengths.map((_, length) => (length < 1 ? 0 : costOf(knownLengthOf, length)));
  const distanceCosts = new Map();
  const distanceCost = (length, distance) => {
    const key = 4 * distance + Math.min(length - 2, 3);
    if (!distanceCosts.has(key)) distanceCosts.set(key, costOf(distanceOf, length, distance));
    return distanceCosts.get(key);
  };
  const ways = Array.from({ length: count + 1 }, () => []);
  ways[0].push({ cost: 0, ...start });
  /** Keeps a way if it is among the best; of two that go on alike the cheaper one. */
  const put = (to, way) => {
    const list = ways[to];
    const { cost, state, distances } = way;
    if (list.length === WAYS && cost >= list[WAYS - 1].cost) return;
    const alike = list.findIndex((o) => o.distances[0] === distances[0] && (o.state & 1) === (state & 1));
    if (alike >= 0) {
      if (list[alike].cost <= cost) return;
      list.splice(alike, 1);
    }
    let place = list.length;
    while (place > 0 && list[place - 1].cost > cost) place--;
    list.splice(place, 0, way);
    if (list.length > WAYS) list.pop();
  };
  for (let i = 0; i < count; i++) {
    const at = from + i;
    for (const back of ways[i]) {
      const { cost, state, distances } = back;
      const single = cost + bits(IS_MATCH + state, 0) + costOf(literal, bytes, at, state, distances[0]);
      put(i + 1, { cost: single, state: afterLiteral(state), distances, back, step: {} });
      const match = cost + bits(IS_MATCH + state, 1);
      for (const [known, distance] of distances.entries()) {
        if (distance > at) continue;
        const start = match + bits(IS_KNOWN + state, 1) + bits(IS_EARLIER + state, known);
        const now = known === 0 ? distances : [distance, distances[0]];
        for (let length = sameBytes(bytes, at, distance, Math.min(LONGEST, count - i)); length > 0; length--) {
          const step = { length, known };
          put(i + length, { cost: start + knownLengths[length], state: afterMatch(state), distances: now, back, step });
        }
      }
      const fresh = match + bits(IS_KNOWN + state, 0);
      let length = 2;
      for (const [longest, distance] of matches[at]) {
        const now = [distance, distances[0]];
        for (; length <= longest && i + length <= count; length++) {
          const cost = fresh + lengths[length] + distanceCost(length, distance);
          put(i + length, { cost, state: afterMatch(state), distances: now, back, step: { length, distance } });
        }
      }
    }
  }
  const steps = [];
  for (let way = ways[count][0]; way.back !== undefined; way = way.back) steps.push(way.step);
  return steps.reverse();
}

/** The bytes of choices, each in the part of the range that its probability gives it. */
class RangeCoder {
  bytes = [];
  #low = 0;
  #range = 0xffffffff;

  write(likely, bit) {
    const bound = (this.#range >>> 12) * (likely >>> 4);
    if (bit) {
      this.#low += bound;
      this.#range -= bound;
    } else this.#range = bound;
    if (this.#low >= 2 ** 32) {
      this.#low -= 2 ** 32;
      let place = this.bytes.length - 1;
      for (; this.bytes[place] === 255; place--) this.bytes[place] = 0;
      this.bytes[place]++;
    }
    while (this.#range < 2 ** 24) {
      this.#shift();
      this.#range *= 256;
    }
  }

  #shift() {
    this.bytes.push(Math.floor(this.#low / 2 ** 24));
    this.#low = (this.#low % 2 ** 24) * 256;
  }

  finish() {
    for (let i = 0; i < 4; i++) this.#shift();
    return Uint8Array.from(this.bytes);
  }
}

/** Packs what follows on `from` bytes, by probabilities that these have left. */
function packFrom(bytes, from, probabilities) {
  const matches = matchesOf(bytes);
  const coder = new RangeCoder();
  const write = (context, bit) => {
    coder.write(probabilities.likely[context], bit);
    probabilities.adapt(context, bit);
  };
  let where = begin;
  for (let at = from; at < bytes.length; ) {
    const count = Math.min(bytes.length - at, AHEAD);
    // The last steps would be others if more was looked at.
    const enough = at + count === bytes.length ? bytes.length : at + 0.75 * AHEAD;
    for (const step of cheapestSteps(bytes, at, count, where, matches, probabilities)) {
      if (at >= enough) break;
      where = visitStep(write, bytes, at, where, step);
      at += step.length ?? 1;
    }
  }
  return coder.finish();
}

/** What `unpack` makes these bytes of, and each of others that is unpacked after them. */
export function pack(bytes, others = []) {
  const known = new Probabilities();
  const packed = packFrom(bytes, 0, known);
  const after = others.map((other) => {
    const probabilities = new Probabilities();
    probabilities.likely.set(known.likely);
    probabilities.counts.set(known.counts);
    return packFrom(Buffer.concat([bytes, other]), bytes.length, probabilities);
  });
  return [packed, ...after];
}
