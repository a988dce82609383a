// A Gaussian process with the network's tangent kernel, as a posterior over weights.

import { checkInteger, OptionError } from "../../errors.ts";
import { sized } from "../../kernels/dry-run.ts";
import { lowRankPrecision } from "../lowrank/precision.ts";
import type { Row } from "../structure.ts";
import { featuresOf } from "./basis.ts";
import { FunctionalCurvature } from "./curvature.ts";
import { drawnPoints } from "./drawn.ts";
import { read, write } from "./file.ts";
import { functionalPass } from "./sums.ts";

/** The structure "functional", as a value: the curvature as the functions at some points see it. */
export const functional: Row<FunctionalCurvature> = {
  name: "functional",
  options: ["rank", "points"],
  agree: [],
  takes: { singleWeights: true, weightPriors: true },
  takesSpread: () => false,
  together: true,
  readOwn(where, net, { points }) {
    if (points === undefined) {
      throw new OptionError(
        `${where}: the structure "functional" needs points: inputs [M, ...] such as those of the data, or some of them, or how many of them to draw.`,
      );
    }
    if (typeof points !== "number") return { points: net.readInputs(where, points) };
    checkInteger(where, "points", points, 1);
    return {
      drawn: points,
      *draw(where, plan, data) {
        return { ...plan, points: yield* drawnPoints(where, plan.net, data, points, plan.seed) };
      },
    };
  },
  passes: (options) => [functionalPass(options)],
  precision: lowRankPrecision,
  dry: (selection, sizes) =>
    new FunctionalCurvature(
      selection,
      0,
      sized(featuresOf(selection, sizes) * selection.size),
      sized(featuresOf(selection, sizes) * selection.size),
      sized(1),
    ),
  columnSums: ({ sketch, trace }) => [sketch, trace],
  lift: ({ basis, sketch, trace }, selection, examples, sums = [sketch, trace]) =>
    new FunctionalCurvature(selection, examples, basis, sums[0], sums[1]),
  fields: ["features"],
  write,
  read,
};
