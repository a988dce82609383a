// The plain SIMD build, from the bytes of the relaxed one: in the place of each fused multiply-add a multiplication and an
// addition, in bytes that `fuse` in src/kernels/fuse.ts turns back, at their places. So one module holds both builds.

/** Of each fused operation, by its number: the multiplication, what follows it, and whether the product is subtracted. */
const operations = new Map([
  [0x105, { multiply: 0xe6, next: 0xe4, subtract: false }],
  [0x106, { multiply: 0xe6, next: 0xe5, subtract: true }],
  [0x107, { multiply: 0xf2, next: 0xf0, subtract: false }],
  [0x108, { multiply: 0xf2, next: 0xf1, subtract: true }],
]);

const V128 = 0x7b;
const CODE = 10;

function unsigned(value) {
  const bytes = [];
  do {
    bytes.push((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
    value >>>= 7;
  } while (value > 0);
  return bytes;
}

class Reader {
  constructor(bytes, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  /** A number (LEB128); of signed ones the length is right, and no more is asked. */
  number() {
    let result = 0;
    for (let shift = 0; ; shift += 7) {
      if (this.at >= this.bytes.length) throw new Error("A module of the kernels ends early.");
      const byte = this.bytes[this.at++];
      result |= (byte & 0x7f) << shift;
      if (byte < 0x80) return result >>> 0;
    }
  }

  numbers(count) {
    for (let i = 0; i < count; i++) this.number();
  }

  /** Passes one instruction (WebAssembly core specification 5.4, SIMD included), and gives the number of a fused one. */
  instruction() {
    const code = this.bytes[this.at++];
    if (code === 0xfd) {
      const vector = this.number();
      if (vector <= 11 || vector === 92 || vector === 93) this.numbers(2);
      else if (vector >= 84 && vector <= 91) {
        this.numbers(2);
        this.at++;
      } else if (vector === 12 || vector === 13) this.at += 16;
      else if (vector >= 21 && vector <= 34) this.at++;
      return operations.has(vector) ? vector : undefined;
    }
    if (code === 0xfc) {
      const other = this.number();
      if (other >= 8) this.at += other === 10 ? 2 : other === 11 ? 1 : Number.NaN;
    } else if (code === 0x0e) this.numbers(this.number() + 1);
    else if (code === 0x11 || (code >= 0x28 && code <= 0x3e)) this.numbers(2);
    else if ((code >= 0x02 && code <= 0x04) || code === 0x0c || code === 0x0d || code === 0x10) this.number();
    else if ((code >= 0x20 && code <= 0x24) || code === 0x41 || code === 0x42) this.number();
    else if (code === 0x3f || code === 0x40) this.at++;
    else if (code === 0x43) this.at += 4;
    else if (code === 0x44) this.at += 8;
    return undefined;
  }
}

/** The numbers of parameters of the functions that the module has itself. */
function parameterCounts(bytes) {
  const reader = new Reader(bytes, 8);
  const types = [];
  while (reader.at < bytes.length) {
    const section = bytes[reader.at++];
    const length = reader.number();
    const end = reader.at + length;
    if (section === 1) {
      const count = reader.number();
      for (let i = 0; i < count; i++) {
        reader.at++;
        types.push(reader.number());
        reader.at += types[i];
        const results = reader.number();
        reader.at += results;
      }
    }
    if (section === 3) return Array.from({ length: reader.number() }, () => types[reader.number()]);
    reader.at = end;
  }
  throw new Error("The kernels have no functions.");
}

/** A function's body with plain operations, and how many of them were fused. */
function plainBody(bytes, parameters) {
  const reader = new Reader(bytes);
  const groups = reader.number();
  const declared = reader.at;
  let locals = parameters;
  for (let i = 0; i < groups; i++) {
    locals += reader.number();
    reader.at++;
  }
  const out = [...unsigned(groups + 1), ...bytes.subarray(declared, reader.at), ...unsigned(2), V128];
  let count = 0;
  while (reader.at < bytes.length) {
    const from = reader.at;
    const fused = reader.instruction();
    if (fused === undefined) {
      out.push(...bytes.subarray(from, reader.at));
      continue;
    }
    count++;
    const { multiply, next, subtract } = operations.get(fused);
    // a, b and c lie on the stack: c waits in a local of its own. set, multiply, get, add; or another local for the product.
    out.push(0x21, locals, 0xfd, multiply, 1);
    if (subtract) out.push(0x21, locals + 1, 0x20, locals, 0x20, locals + 1);
    else out.push(0x20, locals);
    out.push(0xfd, next, 1);
  }
  if (locals + 1 > 0x7f) throw new Error("A kernel has so many locals that their numbers do not fit into a byte.");
  if (reader.at !== bytes.length)
    throw new Error("A kernel has an instruction that tools/plain-simd.mjs does not know.");
  return { body: count > 0 ? out : [...bytes], count };
}

/** The plain SIMD build of a relaxed one, and the number of operations that are fused there. */
export function plainSimd(relaxed) {
  const parameters = parameterCounts(relaxed);
  const reader = new Reader(relaxed, 8);
  const out = [...relaxed.subarray(0, 8)];
  let fused = 0;
  while (reader.at < relaxed.length) {
    const from = reader.at;
    const section = relaxed[reader.at++];
    const length = reader.number();
    const end = reader.at + length;
    if (section === CODE) {
      const functions = reader.number();
      const code = unsigned(functions);
      for (let i = 0; i < functions; i++) {
        const size = reader.number();
        const { body, count } = plainBody(relaxed.subarray(reader.at, reader.at + size), parameters[i]);
        for (const byte of unsigned(body.length)) code.push(byte);
        for (const byte of body) code.push(byte);
        reader.at += size;
        fused += count;
      }
      for (const byte of [section, ...unsigned(code.length)]) out.push(byte);
      for (const byte of code) out.push(byte);
    } else for (const byte of relaxed.subarray(from, end)) out.push(byte);
    reader.at = end;
  }
  return { plain: Uint8Array.from(out), fused };
}
