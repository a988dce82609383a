// The structures whose curvature is a value of its own. "operator" keeps the data instead: test/structures/operator.test.ts has it.

import { type Structure, structures } from "../src/structures/curvature.ts";

export const storedStructures = structures.filter((name) => name !== "operator");

/** Whether curvatures of parts of the data add only in a basis, or with factors, that were found from all of them. */
export const needsBasis = (structure: Structure | undefined): boolean => structure === "ekfac" || structure === "kfoc";
