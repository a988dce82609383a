// What a fit keeps of its inputs: how far columns are from 0 beside their spread, and a few rows to compare columns by.

import type { NDArray } from "../array/ndarray.ts";
import type { Graph } from "../network/graph.ts";
import type { LinearSite } from "../network/parameters.ts";
import { siteUseOf } from "../network/primitive.ts";

/** Rows that are kept, at most: every one, or every second, fourth, … */
const MOST_ROWS = 64;

/** The layer whose weights see the columns of the inputs as they are, where there is one. */
export function layerOnInputs({ input, sites, uses }: Graph): LinearSite | undefined {
  return sites.find((site): site is LinearSite => {
    const [use, ...others] = uses.get(site) ?? [];
    if (site.kind !== "linear" || others.length > 0 || use?.inputs[0] !== input) return false;
    const { left, right } = siteUseOf(use);
    return [left, right].every((side) => side?.channelsFirst === false && side.unfold === undefined);
  });
}

/**
 * Means and spreads of the columns [d], and a few rows [n, d]. Differences from the first row are what is summed: they
 * keep their digits however far from 0 a column is (Chan, Golub & LeVeque 1983).
 */
export class InputSums {
  count = 0;
  /** [d], as the next two. */
  shift: Float64Array = new Float64Array(0);
  /** Σ (x − shift), and Σ (x − shift)². */
  sums: Float64Array = new Float64Array(0);
  squares: Float64Array = new Float64Array(0);
  rows: Float64Array[] = [];
  #step = 1;

  /** Adds inputs [n, …, d] as they were given, before the network's type rounds them. */
  add({ data, shape }: NDArray): void {
    const d = shape[shape.length - 1];
    const n = data.length / d;
    if (this.count === 0) {
      this.shift = Float64Array.from(data.subarray(0, d));
      [this.sums, this.squares] = [new Float64Array(d), new Float64Array(d)];
    }
    const { shift, sums, squares } = this;
    let start = 0;
    // Four rows at a time: what is summed is read and written that much less often.
    for (; start <= (n - 4) * d; start += 4 * d) {
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
    for (; start < n * d; start += d) {
      for (let j = 0; j < d; j++) {
        const x = data[start + j] - shift[j];
        sums[j] += x;
        squares[j] += x * x;
      }
    }
    const count = this.count + n;
    while (count > MOST_ROWS * this.#step) this.#thin();
    for (let i = -this.count % this.#step; i < n; i += this.#step) {
      if (i >= 0) this.rows.push(new Float64Array(data.subarray(i * d, (i + 1) * d)));
    }
    this.count = count;
  }

  #thin(): void {
    this.rows = this.rows.filter((_, i) => i % 2 === 0);
    this.#step *= 2;
  }

  /** Of both. */
  merge(other: InputSums): InputSums {
    const result = new InputSums();
    result.count = this.count + other.count;
    result.shift = this.shift;
    const moved = other.shift.map((x, j) => x - this.shift[j]);
    result.sums = this.sums.map((x, j) => x + other.sums[j] + other.count * moved[j]);
    result.squares = this.squares.map(
      (x, j) => x + other.squares[j] + moved[j] * (2 * other.sums[j] + other.count * moved[j]),
    );
    result.rows = [...this.rows, ...other.rows].filter((_, i, { length }) => length <= MOST_ROWS || i % 2 === 0);
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
