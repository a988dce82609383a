// How a posterior that is known by products alone answers: how near, and by how many of them.

import { checkInteger, checkNumber, checkOptions } from "../errors.ts";

/** Options of `solver`. */
export interface SolverOptions {
  /** The residual ‖b − P x‖ at which a solution ends, relative to b, in the coordinates of the preconditioner (default 1e-4). */
  tolerance?: number | undefined;
  /** Products at most for each vector; a solution that is not there by then is an error (default 200). */
  products?: number | undefined;
  /** Random vectors that the determinant is estimated by (default 16); as many as there are weights give it exactly. */
  probes?: number | undefined;
  /** Draws of the weights that variances of functions come from; without it a solution for each output of each input. */
  draws?: number | undefined;
  /** Seed of both (default 0). */
  seed?: number | undefined;
}

/** The same after all checks. Made by `solver`. */
export class Solver {
  readonly tolerance: number;
  readonly products: number;
  readonly probes: number;
  readonly draws: number | undefined;
  readonly seed: number;

  /** @throws OptionError */
  constructor(options: SolverOptions) {
    const where = "solver";
    checkOptions(where, options, ["tolerance", "products", "probes", "draws", "seed"]);
    const { tolerance = 1e-4, products = 200, probes = 16, draws, seed = 0 } = options;
    checkNumber(where, "tolerance", tolerance, 0, true);
    checkInteger(where, "products", products, 1);
    checkInteger(where, "probes", probes, 2);
    if (draws !== undefined) checkInteger(where, "draws", draws, 2);
    checkInteger(where, "seed", seed, 0);
    this.tolerance = tolerance;
    this.products = products;
    this.probes = probes;
    this.draws = draws;
    this.seed = seed;
  }
}
