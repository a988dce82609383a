// Lists of numbers that grow by chunks: what is there is never copied.

/** Numbers of a chunk: 2^16. */
const [BITS, SIZE] = [16, 2 ** 16];

type Numbers = Float64Array | Int32Array | Uint8Array;

/** Numbers of one type, one after the other. */
export class Growing<Chunk extends Numbers> {
  readonly #make: new (
    length: number,
  ) => Chunk;
  readonly #chunks: Chunk[] = [];
  length = 0;

  constructor(make: new (length: number) => Chunk) {
    this.#make = make;
  }

  push(value: number): void {
    const at = this.length & (SIZE - 1);
    if (at === 0) this.#chunks.push(new this.#make(SIZE));
    this.#chunks[this.length >>> BITS][at] = value;
    this.length++;
  }

  /** Nothing is there then. */
  clear(): void {
    this.#chunks.length = 0;
    this.length = 0;
  }

  at(place: number): number {
    return this.#chunks[place >>> BITS][place & (SIZE - 1)];
  }
}
