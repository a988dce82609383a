// What the structure "operator" answers by, as a value: programs that do not name it do not have it.

import { Solver, type SolverOptions } from "../structures/solver.ts";
import { bringProducts } from "../structures/solving.ts";
import { keepData } from "./kept-data.ts";

export type { SolverOptions };

/** What `structure: "operator"` answers by: `laplace(net, { structure: "operator", solver: solver({ draws: 10 }), … })`. @throws OptionError */
export function solver(options: SolverOptions = {}): Solver {
  bringProducts(keepData);
  return new Solver(options);
}
