// The command line: reads the arguments, runs one command, and ends with an exit code that says how it went.

import { exitCodes } from "./errors.ts";
import { removeUnfinished } from "./output/atomic.ts";
import { writeWholeToStandardOutput } from "./output/write.ts";
import { report, run } from "./program.ts";

for (const [signal, code] of [
  ["SIGINT", exitCodes.interrupted],
  ["SIGHUP", exitCodes.hungUp],
  ["SIGTERM", exitCodes.terminated],
] as const) {
  process.on(signal, () => {
    removeUnfinished();
    process.exit(code);
  });
}
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  removeUnfinished();
  // The reader of a pipe has had enough: that is not an error.
  if (error.code === "EPIPE") process.exit(exitCodes.ok);
  process.exit(report(Object.assign(error, { path: "standard output" })));
});
// Where messages cannot go, the work goes on, and the exit code says how it went.
process.stderr.on("error", () => {});
writeWholeToStandardOutput();

const code = await run(process.argv.slice(2));
if (code !== exitCodes.ok) {
  process.exitCode = code;
  // Standard input may be open still, and nobody will read it.
  process.stdin.destroy();
}
