// A trained network's file and a table for it, as the command line takes them.

import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { Random } from "laplace-ts";

/** Writes both. By the packages as they are built, whose classes are not those of the sources. */
export function writeInputs(network: string, table: string): void {
  const program = `
    import { writeFileSync } from "node:fs";
    import { chain, dense, tanh } from "laplace-ts";
    import { toOnnx } from "laplace-ts-models";
    const net = chain({ inputs: 8, seed: 1 }, dense(100, tanh), dense(100, tanh), dense(1));
    writeFileSync(process.argv[1], toOnnx(net));`;
  execFileSync(process.execPath, ["--input-type=module", "-e", program, network]);
  const random = new Random(1);
  const rows = Array.from({ length: 9000 }, () => Array.from({ length: 9 }, () => random.normal().toFixed(4)).join());
  writeFileSync(table, `a,b,c,d,e,f,g,h,y\n${rows.join("\n")}\n`);
}
