// The command line: reads the arguments and runs one command.

import { Command } from "commander";

await new Command("laplace").description("Predictions that say how far to trust them.").parseAsync();
