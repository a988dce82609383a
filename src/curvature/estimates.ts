// What operators are asked, and what they answer: estimates by random vectors, and solutions.

import type { NDArray } from "../array/ndarray.ts";
import { checkInteger, OptionError } from "../errors.ts";
import type { BurstOptions } from "../kernels/steps.ts";
import type { Curvature } from "../structures/curvature.ts";

/** Options of what draws random vectors. */
export interface RandomVectorsOptions {
  /** How many products it may take (default 30). */
  products?: number | undefined;
  /** Seed of the vectors (default 0). */
  seed?: number | undefined;
}

/** Options of `eigenvalues`. */
export interface EigenOptions {
  /** Which end of the spectrum (default "largest"). */
  which?: "largest" | "smallest" | undefined;
  /** The residual ‖H v − λ v‖ at which a pair counts as found, relative to the largest eigenvalue by size (default 1e-8). */
  tolerance?: number | undefined;
  /** At most so many products (default: as many as there are weights, and at most 1000). */
  products?: number | undefined;
  /** Seed of the first vector (default 0). */
  seed?: number | undefined;
}

/** Eigenvalues of a curvature that is known by products. */
export interface Eigenpairs {
  /** Those asked for, from the end of the spectrum on, [k]. */
  readonly values: NDArray;
  /** Their vectors in rows, [k, S]. */
  readonly vectors: NDArray;
  /** The residual of each, [k]. */
  readonly residuals: NDArray;
  readonly converged: boolean;
  /** Products taken. */
  readonly products: number;
}

/** Options of `spectrum`. */
export interface SpectrumOptions extends RandomVectorsOptions {
  /** Random vectors, among which the products are shared out (default 1). */
  vectors?: number | undefined;
}

/** A density of eigenvalues: Σ weights f(values) estimates tr f(H). */
export interface Spectrum {
  /** Ascending, [m]. */
  readonly values: NDArray;
  /** They sum to S, [m]. */
  readonly weights: NDArray;
}

/** How many products of a matrix with a vector were taken, each a pass through the data. */
export interface ProductsReport {
  readonly products: number;
}

/** Options of an asynchronous form, whose progress is in products. */
export type InProducts<Options = object> = Options & BurstOptions<ProductsReport>;

/** Options of `trace`. */
export interface TraceOptions extends RandomVectorsOptions {
  /** "hutch++" (default; Meyer et al. 2021, arXiv:2010.09649) finds large eigenvalues first, "hutchinson" (1989) does not. */
  method?: "hutch++" | "hutchinson" | undefined;
}

/** An estimate, with its standard error. */
export interface Estimate<T = number> {
  readonly value: T;
  /** Of the mean over the random vectors. */
  readonly standardError: T;
}

/** Options of `solve`. */
export interface SolveOptions {
  /** What is added to the diagonal, such as a prior precision (default 0). */
  shift?: number | undefined;
  /** The residual at which to end, relative to the right side (default 1e-8). */
  tolerance?: number | undefined;
  /** At most so many products for each right side (default 1000). */
  products?: number | undefined;
  /** A curvature over the same weights, of any structure, whose inverse with the shift goes before; it needs a positive shift. */
  preconditioner?: Curvature | undefined;
}

/** A solution of (H + shift) x = b, with how near it is. */
export interface Solution {
  /** Shaped as b. */
  readonly x: NDArray;
  /** ‖b − (H + shift) x‖ / ‖b‖; of several right sides the largest. */
  readonly residual: number;
  readonly converged: boolean;
  /** Products taken. */
  readonly products: number;
}

/** A product of a large network takes seconds, and estimates improve with the root of their number. */
const MOST_PRODUCTS = 100_000;

/** @throws OptionError for no number of products, or too many to wait for */
export function checkProducts(where: string, name: string, products: number, least: number): void {
  checkInteger(where, name, products, least);
  if (products <= MOST_PRODUCTS) return;
  throw new OptionError(`${where}: ${name} must be at most ${MOST_PRODUCTS}, not ${products}.`);
}
