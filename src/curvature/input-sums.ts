// What a fit keeps of its inputs: how far columns are from 0 beside their spread, and a few rows to compare columns by.

import type { NDArray } from "../array/ndarray.ts";
import type { FloatArray } from "../kernels/memory.ts";
import type { Graph } from "../network/graph.ts";
import type { LinearSite } from "../network/parameters.ts";
import { siteUseOf } from "../network/primitive.ts";

/** Rows that are kept, at most: every one, or every second, fourth, … */
const MOST_ROWS = 64;
const NONE = new Float64Array(0);

/** The layer whose weights see the columns of the inputs as they are, where there is one. */
export function layerOnInputs({ input, sites, uses }: Graph): LinearSite | undefined {
  return sites.find((site): site is LinearSite => {
    const [use, ...others] = uses.get(site) ?? [];
    if (site.kind !== "linear" || others.length > 0 || use?.inputs[0] !== input) return false;
    const { left, right } = siteUseOf(use);
    return [left, right].every((side) => side?.channelsFirst === false && side.unfold === undefined);
  });
}

/** Bytes of what is kept of a network's inputs. */
function inputSumsBytes(graph: Graph): number {
  if (layerOnInputs(graph) === undefined) return 0;
  const { shape } = graph.input;
  return 8 * (MOST_ROWS + 3) * shape[shape.length - 1];
}

/**
 * Means and spreads of the columns [d], and a few rows [n, d]. Differences from the first row are what is summed: they
 * keep their digits however far from 0 a column is (Chan, Golub & LeVeque 1983).
 */
export class InputSums {
  count = 0;
  /** [d], as the next two. */
  shift: Float64Array = NONE;
  /** Σ (x − shift), and Σ (x − shift)². */
  sums: Float64Array = NONE;
  squares: Float64Array = NONE;
  /** How many rows are kept. */
  kept = 0;
  /** They, one after the other, with room for more. */
  #rows: Float64Array = NONE;
  #step = 1;

  /** Adds inputs [n, …, d] as they were given, before the network's type rounds them. */
  add({ data, shape }: NDArray): void {
    const d = shape[shape.length - 1];
    const n = data.length / d;
    if (this.count === 0) {
      this.shift = new Float64Array(data.subarray(0, d));
      this.sums = new Float64Array(d);
      this.squares = new Float64Array(d);
      this.#rows = new Float64Array(MOST_ROWS * d);
    }
    let start = 0;
    // Four rows at a time: what is summed is read and written that much less often.
    for (; start <= (n - 4) * d; start += 4 * d) this.#addFour(data, start);
    for (; start < n * d; start += d) this.#addOne(data, start);
    const count = this.count + n;
    for (; count > MOST_ROWS * this.#step; this.#step *= 2) {
      const kept = Math.ceil(this.kept / 2);
      for (let i = 1; i < kept; i++) this.#rows.copyWithin(i * d, 2 * i * d, (2 * i + 1) * d);
      this.kept = kept;
    }
    const step = this.#step;
    for (let i = (step - (this.count % step)) % step; i < n; i += step, this.kept++) {
      for (let j = 0; j < d; j++) this.#rows[this.kept * d + j] = data[i * d + j];
    }
    this.count = count;
  }

  // Functions of their own: loops that are compiled while they run know nothing of what comes after them, and start anew there.
  #addFour(data: FloatArray, start: number): void {
    const { shift, sums, squares } = this;
    const d = shift.length;
    for (let j = 0, at = start; j < d; j++, at++) {
      const mean = shift[j];
      const p = data[at] - mean;
      const q = data[at + d] - mean;
      const r = data[at + 2 * d] - mean;
      const s = data[at + 3 * d] - mean;
      sums[j] += p + q + (r + s);
      squares[j] += p * p + q * q + (r * r + s * s);
    }
  }

  #addOne(data: FloatArray, start: number): void {
    const { shift, sums, squares } = this;
    for (let j = 0; j < shift.length; j++) {
      const x = data[start + j] - shift[j];
      sums[j] += x;
      squares[j] += x * x;
    }
  }

  /** A column of the rows that are kept. */
  column(j: number): number[] {
    const d = this.shift.length;
    return Array.from({ length: this.kept }, (_, i) => this.#rows[i * d + j]);
  }

  /** Of both. */
  merge(other: InputSums): InputSums {
    const result = new InputSums();
    // Of rows that lie elsewhere nothing is known here, and so of both.
    if (this.count === 0 || other.count === 0) return result;
    result.count = this.count + other.count;
    result.shift = this.shift;
    const moved = other.shift.map((x, j) => x - this.shift[j]);
    result.sums = this.sums.map((x, j) => x + other.sums[j] + other.count * moved[j]);
    result.squares = this.squares.map(
      (x, j) => x + other.squares[j] + moved[j] * (2 * other.sums[j] + other.count * moved[j]),
    );
    const d = this.shift.length;
    const both = [this, other].flatMap((one) =>
      Array.from({ length: one.kept }, (_, i) => one.#rows.subarray(i * d, (i + 1) * d)),
    );
    const rows = both.filter((_, i) => both.length <= MOST_ROWS || i % 2 === 0);
    result.#rows = new Float64Array(MOST_ROWS * d);
    rows.forEach((row, i) => {
      result.#rows.set(row, i * d);
    });
    result.kept = rows.length;
    return result;
  }

  /** The mean of a column. */
  mean(j: number): number {
    return this.shift[j] + this.sums[j] / this.count;
  }

  /** Its standard deviation. */
  spread(j: number): number {
    return Math.sqrt(Math.max(0, this.squares[j] - this.sums[j] ** 2 / this.count) / this.count);
  }
}

/** What a plan has of this, where its fit is to be diagnosed. */
export const inputSums = {
  bytes: inputSumsBytes,
  of: (graph: Graph): InputSums | undefined => layerOnInputs(graph) && new InputSums(),
};
