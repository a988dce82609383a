// laplace merge: goes on with what processes did that had a part of the work each.

import { Command } from "commander";
import { mergeFitCommand } from "./fit.ts";
import { mergePosteriorCommand } from "./posterior.ts";

/** The command; without a word it is that of a posterior. */
export function mergeCommand(): Command {
  return new Command("merge")
    .usage("[fit] [options] <data...>")
    .description("go on with what laplace fit --shard or laplace posterior --shard did, with the same options")
    .enablePositionalOptions()
    .addCommand(mergePosteriorCommand(), { isDefault: true })
    .addCommand(mergeFitCommand());
}
