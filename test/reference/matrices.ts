// Symmetric matrices of every kind that algorithms stumble over, and plain-loop algebra on rows of numbers.

import { Random } from "../../src/index.ts";

export type Matrix = number[][];

export const multiply = (a: Matrix, b: Matrix): Matrix =>
  a.map((row) => b[0]?.map((_, j) => row.reduce((sum, x, k) => sum + x * b[k][j], 0)) ?? []);

export const transpose = (a: Matrix): Matrix => a[0]?.map((_, j) => a.map((row) => row[j])) ?? [];

export const frobenius = (a: Matrix): number => Math.sqrt(a.flat().reduce((sum, x) => sum + x * x, 0));

export const minus = (a: Matrix, b: Matrix): Matrix => a.map((row, i) => row.map((x, j) => x - b[i][j]));

export const diagonal = (values: readonly number[]): Matrix =>
  values.map((value, i) => values.map((_, j) => (i === j ? value : 0)));

/** Random numbers, n rows of k. */
export function normal(n: number, k: number, seed: number): Matrix {
  const random = new Random(seed);
  return Array.from({ length: n }, () => Array.from({ length: k }, () => random.normal()));
}

/** An orthogonal matrix: modified Gram–Schmidt on random rows, twice. */
export function orthogonal(n: number, seed: number): Matrix {
  const q = normal(n, n, seed);
  for (let pass = 0; pass < 2; pass++) {
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < i; j++) {
        const dot = q[i].reduce((sum, x, k) => sum + x * q[j][k], 0);
        q[i] = q[i].map((x, k) => x - dot * q[j][k]);
      }
      const length = Math.hypot(...q[i]);
      q[i] = q[i].map((x) => x / length);
    }
  }
  return q;
}

/** Q' diag(values) Q, symmetric to the last bit. */
export function withEigenvalues(values: readonly number[], seed: number): Matrix {
  const q = orthogonal(values.length, seed);
  const a = multiply(
    transpose(q),
    q.map((row, i) => row.map((x) => x * values[i])),
  );
  return a.map((row, i) => row.map((_, j) => (i >= j ? a[i][j] : a[j][i])));
}

const count = (n: number) => Array.from({ length: n }, (_, i) => i);

/** Kinds of symmetric matrices of order n; `definite` where all eigenvalues are well above 0. */
export const kinds: Record<string, { readonly definite: boolean; make(n: number, seed: number): Matrix }> = {
  random: {
    definite: false,
    make: (n, seed) => {
      const a = normal(n, n, seed);
      return a.map((row, i) => row.map((x, j) => x + a[j][i]));
    },
  },
  "well conditioned": {
    definite: true,
    make: (n, seed) =>
      withEigenvalues(
        count(n).map((i) => 1 + i / n),
        seed,
      ),
  },
  "badly conditioned": {
    definite: true,
    make: (n, seed) =>
      withEigenvalues(
        count(n).map((i) => 10 ** ((-10 * i) / Math.max(n - 1, 1))),
        seed,
      ),
  },
  "of repeated eigenvalues": {
    definite: true,
    make: (n, seed) =>
      withEigenvalues(
        count(n).map((i) => 1 + (i % 2)),
        seed,
      ),
  },
  "rank deficient": {
    definite: false,
    make: (n, seed) => {
      const g = normal(n, Math.ceil(n / 3), seed);
      return multiply(g, transpose(g));
    },
  },
  diagonal: { definite: true, make: (n) => diagonal(count(n).map((i) => 1 + ((i * 7) % 5))) },
  zero: { definite: false, make: (n) => diagonal(count(n).map(() => 0)) },
  "of the second difference": {
    definite: false,
    make: (n) => count(n).map((i) => count(n).map((j) => (i === j ? 2 : Math.abs(i - j) === 1 ? -1 : 0))),
  },
};
