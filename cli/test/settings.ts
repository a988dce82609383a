// A fit as the command line asks for it by default, without its target.

import type { FitSettings } from "../src/fitting/fit.ts";

export const settings: Omit<FitSettings, "target"> = {
  activation: "tanh",
  missing: "impute",
  structure: "auto",
  memoryBudget: 2 ** 30,
  kinds: {},
  rounds: 5,
  seed: 0,
};
