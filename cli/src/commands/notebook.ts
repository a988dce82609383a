// laplace notebook: the walk-through "Batched Gradients", which the build puts beside the command line.

import { existsSync } from "node:fs";
import { Command } from "commander";
import { TableError } from "../errors.ts";
import { withJson } from "./options.ts";

/** The command. */
export function notebookCommand(): Command {
  const command = new Command("notebook").description(
    "run the notebook: gradients of every sample from one backward pass, checked and measured",
  );
  // The program reads --json itself.
  return withJson(command).action(async () => {
    const program = new URL("../notebook/batched-gradients.js", import.meta.url);
    if (!existsSync(program)) throw new TableError("the notebook is not in this build: run npm run build.");
    await import(program.href);
  });
}
