// The structures whose curvature is a value of its own. "operator" keeps the data instead: test/structures/operator.test.ts has it.

import { structures } from "../src/structures/curvature.ts";

export const storedStructures = structures.filter((name) => name !== "operator");
