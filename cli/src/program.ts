// The program: its commands, and the exit code that a run of one ends in.

import { Command, CommanderError, Option } from "commander";
import { version } from "laplace-ts";
import { benchCommand } from "./commands/bench.ts";
import { compareCommand } from "./commands/compare.ts";
import { evaluateCommand } from "./commands/evaluate.ts";
import { fitCommand } from "./commands/fit.ts";
import { inspectCommand } from "./commands/inspect.ts";
import { jobsCommand } from "./commands/jobs.ts";
import { mergeCommand } from "./commands/merge.ts";
import { notebookCommand } from "./commands/notebook.ts";
import { posteriorCommand } from "./commands/posterior.ts";
import { predictCommand } from "./commands/predict.ts";
import { sweepCommand } from "./commands/sweep.ts";
import { workerCommand } from "./commands/worker.ts";
import { exitCodeOf, exitCodes, systemMessage, UsageError } from "./errors.ts";
import { removeUnfinished } from "./output/atomic.ts";
import { plain, printError, withoutPasswords } from "./output/terminal.ts";

function programOf(): Command {
  const program = new Command("laplace")
    .description("Predictions that say how far to trust them.")
    .version(version, "-V, --version")
    .enablePositionalOptions()
    .addHelpText(
      "after",
      `
Exit codes: ${exitCodes.ok} all went well; ${exitCodes.input} data that cannot be read, fitted or predicted; ${exitCodes.usage} options that do not fit;
${exitCodes.model} a model file that is truncated, altered, of a later version or something else; ${exitCodes.internal} a fault of this program;
${exitCodes.interrupted} Ctrl-C; ${exitCodes.hungUp} the terminal was closed; ${exitCodes.terminated} terminated. Files appear when they are whole, or not at all.

  laplace fit houses.csv --target price
  laplace predict model.safetensors new.csv -o predictions.csv
  laplace posterior network.onnx rows.csv --target y --onnx with-uncertainty.onnx`,
    );
  for (const command of [
    fitCommand(),
    predictCommand(),
    evaluateCommand(),
    compareCommand(),
    inspectCommand(),
    posteriorCommand(),
    mergeCommand(),
    workerCommand(),
    jobsCommand(),
    sweepCommand(),
    notebookCommand(),
    benchCommand(),
  ]) {
    program.addCommand(command.showHelpAfterError("(laplace --help and laplace <command> --help say what there is)"));
  }
  for (const command of program.commands.flatMap((one) => [one, ...one.commands])) answerVersion(command);
  const writeErr = (text: string) => void process.stderr.write(withoutPasswords(text));
  for (const command of [program, ...program.commands.flatMap((one) => [one, ...one.commands])]) {
    refuseRepeated(command.exitOverride().configureOutput({ writeErr }));
  }
  return program;
}

/** A command is asked for the version as the program is, whose own option comes before the command. */
function answerVersion(command: Command): void {
  command.addOption(new Option("-V, --version").hideHelp()).on("option:version", () => {
    process.stdout.write(`${version}\n`);
    throw new CommanderError(exitCodes.ok, "commander.version", version);
  });
}

/** Lists add up; of what has one value, the second would silently be the one that counts. */
function refuseRepeated(command: Command): void {
  const given = new Map<string, string>();
  for (const option of command.options) {
    if (Array.isArray(option.defaultValue)) continue;
    const name = option.long ?? option.flags;
    command.on(`option:${option.name()}`, () => {
      const before = given.get(option.attributeName());
      if (before !== undefined && before !== name) throw new UsageError(`give ${before} or ${name}, not both.`);
      if (before !== undefined && !option.isBoolean()) {
        throw new UsageError(`${name} is given twice, and has one value. Give it once.`);
      }
      given.set(option.attributeName(), name);
    });
  }
}

/** Runs a command: gives the exit code, an error being printed and no file left half written. */
export async function run(args: readonly string[]): Promise<number> {
  try {
    await programOf().parseAsync(args, { from: "user" });
    return exitCodes.ok;
  } catch (error) {
    removeUnfinished();
    return report(error);
  }
}

/** Prints an error, unless it has been; gives the exit code. */
export function report(error: unknown): number {
  // Commander has printed its own.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  const code = exitCodeOf(error);
  const message = systemMessage(error) ?? (error instanceof Error ? error.message : String(error));
  const text = message.replace(/^(tableEncoding|encode|ofRows|withFormats): /, "");
  printError(plain(text));
  if (code === exitCodes.internal && error instanceof Error) {
    process.stderr.write(
      `This is a fault of laplace ${version}, not of your data:\n${plain(error.stack ?? "").replaceAll("\\u{a}", "\n")}\n`,
    );
  }
  return code;
}
