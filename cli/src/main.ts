// The command line: reads the arguments, runs one command, and ends with an exit code that says how it went.

import { Command, CommanderError } from "commander";
import { version } from "laplace-ts";
import { benchCommand } from "./commands/bench.ts";
import { evaluateCommand } from "./commands/evaluate.ts";
import { fitCommand } from "./commands/fit.ts";
import { inspectCommand } from "./commands/inspect.ts";
import { notebookCommand } from "./commands/notebook.ts";
import { predictCommand } from "./commands/predict.ts";
import { exitCodeOf, exitCodes, systemMessage } from "./errors.ts";
import { removeUnfinished } from "./output/atomic.ts";
import { plain, printError } from "./output/terminal.ts";
import { writeWholeToStandardOutput } from "./output/write.ts";

const program = new Command("laplace")
  .description("Predictions that say how far to trust them.")
  .version(version, "-V, --version")
  .addHelpText(
    "after",
    `
Exit codes: ${exitCodes.ok} all went well; ${exitCodes.input} data that cannot be read, fitted or predicted; ${exitCodes.usage} options that do not fit;
${exitCodes.model} a model file that is truncated, altered, of a later version or something else; ${exitCodes.internal} a fault of this program;
${exitCodes.interrupted} Ctrl-C; ${exitCodes.hungUp} the terminal was closed; ${exitCodes.terminated} terminated. Files appear when they are whole, or not at all.

  laplace fit houses.csv --target price
  laplace predict model.safetensors new.csv -o predictions.csv`,
  );
for (const command of [
  fitCommand(),
  predictCommand(),
  evaluateCommand(),
  inspectCommand(),
  notebookCommand(),
  benchCommand(),
]) {
  program.addCommand(command.showHelpAfterError("(laplace --help and laplace <command> --help say what there is)"));
}
for (const command of [program, ...program.commands]) command.exitOverride();

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
  // The reader of a pipe has had enough: that is no error.
  if (error.code === "EPIPE") process.exit(exitCodes.ok);
  process.exit(report(Object.assign(error, { path: "standard output" })));
});
// Where messages cannot go, the work goes on, and the exit code says how it went.
process.stderr.on("error", () => {});
writeWholeToStandardOutput();

try {
  await program.parseAsync();
} catch (error) {
  removeUnfinished();
  process.exitCode = report(error);
  // Standard input may be open still, and nobody will read it.
  process.stdin.destroy();
}

function report(error: unknown): number {
  // Commander has printed its own.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  const code = exitCodeOf(error);
  const text = systemMessage(error) ?? (error instanceof Error ? error.message : String(error));
  printError(plain(text));
  if (code === exitCodes.internal && error instanceof Error) {
    process.stderr.write(
      `This is a fault of laplace ${version}, not of your data:\n${plain(error.stack ?? "").replaceAll("\\u{a}", "\n")}\n`,
    );
  }
  return code;
}
