// laplace sweep: removes what is old from the store of fits on many machines.

import { Command } from "commander";
import { clusterPackage } from "../fitting/elsewhere.ts";
import { printJson } from "../output/terminal.ts";
import { integer } from "./options.ts";

interface Options {
  readonly store: string;
  readonly olderThan: number;
  readonly json?: true;
}

const DAY = 24 * 3600 * 1000;

/** The command. */
export function sweepCommand(): Command {
  return new Command("sweep")
    .description("remove old fits from the folder that machines share, and data that no other fit has")
    .requiredOption("--store <place>", "the folder that all machines share, or s3://bucket/prefix")
    .option("--older-than <days>", "fits of which nothing was written or asked for so many days", integer(1), 30)
    .option("--json", "print what was removed as JSON")
    .action(run);
}

async function run({ store, olderThan, json }: Options): Promise<void> {
  const { openStore, sweep } = await clusterPackage("laplace sweep");
  const swept = await sweep(openStore("sweep", store), olderThan * DAY);
  if (json) printJson(swept);
  else {
    const fits = swept.fits === 1 ? "1 fit" : `${swept.fits} fits`;
    process.stdout.write(`removed: ${fits}, ${swept.objects} objects, ${(swept.bytes / 1e6).toFixed(1)} MB\n`);
  }
}
