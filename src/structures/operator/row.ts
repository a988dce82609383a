// Products alone, for matrices that do not fit into memory.

import { OptionError } from "../../errors.ts";
import { oneStep } from "../../kernels/steps.ts";
import type { Accumulator } from "../curvature.ts";
import type { DiagonalCurvature } from "../diagonal/curvature.ts";
import { diagonal } from "../diagonal/row.ts";
import { diagonalSums } from "../diagonal/sums.ts";
import { Solver } from "../solver.ts";
import { passOf, type Row, type SumOptions } from "../structure.ts";
import { OperatorCurvature } from "./curvature.ts";
import { made } from "./made.ts";

/** The diagonal's sums, as a curvature that is still without data. */
function operatorSums(options: SumOptions): Accumulator<OperatorCurvature> {
  const sums = diagonalSums(options);
  return {
    ...sums,
    *finish(read, examples) {
      return new OperatorCurvature(yield* sums.finish(read, examples));
    },
  };
}

/** The structure "operator", as a value: products with vectors, for which the data are kept. */
export const operator: Row<OperatorCurvature> = {
  name: "operator",
  options: ["solver"],
  agree: [],
  takes: { singleWeights: true, weightPriors: true },
  takesSpread: diagonal.takesSpread,
  together: true,
  readOwn(where, _, { solver }) {
    if (!(solver instanceof Solver)) {
      throw new OptionError(
        `${where}: the structure "operator" needs the option solver: write solver({}), or solver({ draws: 10 }), of laplace-ts.`,
      );
    }
    return { solver, keep: made().keep };
  },
  passes: () => [passOf(operatorSums)],
  attach: (curvature, times, { net, solver = new Solver({}) }) => curvature.with(times, net.dtype, solver),
  precision: (curvature, h, prior) => oneStep(() => made().precision(curvature, h, prior)),
  dry: (selection, sizes) =>
    new OperatorCurvature(diagonal.dry(selection, sizes) as DiagonalCurvature, [], new Solver({ draws: sizes.draws })),
  columnSums: ({ near }) => diagonal.columnSums(near),
  lift: (curvature, selection, examples, sums) =>
    curvature.beside(diagonal.lift(curvature.near, selection, examples, sums) as DiagonalCurvature),
  write: ({ near }, write) => diagonal.write(near, write),
  fields: [],
  read: (selection, examples, read, numbers) =>
    new OperatorCurvature(diagonal.read(selection, examples, read, numbers) as DiagonalCurvature),
};
