// Progress for people: a bar that redraws itself on a terminal, lines elsewhere.

import { checkInteger, checkOptions } from "../errors.ts";
import type { EpochReport } from "./results.ts";

/** Options of `progressBar`. */
export interface ProgressBarOptions {
  /** Lines printed in all where there is no terminal (default 10). */
  lines?: number;
  /** Where text goes (default: standard error in Node, the console elsewhere). */
  write?: (text: string) => void;
  /** Whether `write` leads to a terminal (default: found out). */
  terminal?: boolean;
}

interface NodeStream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

const WIDTH = 30;

/** A function for `train`'s `onProgress`: a bar on a terminal, otherwise some lines. @throws OptionError */
export function progressBar(options: ProgressBarOptions = {}): (report: EpochReport) => void {
  checkOptions("progressBar", options, ["lines", "write", "terminal"]);
  const { lines = 10 } = options;
  checkInteger("progressBar", "lines", lines, 1);
  const stream = (globalThis as { process?: { stderr?: NodeStream } }).process?.stderr;
  // The console ends each text with a new line of its own.
  const write = options.write ?? (stream ? (text) => stream.write(text) : (text) => console.log(text.trimEnd()));
  const terminal = options.terminal ?? stream?.isTTY === true;
  return ({ epoch, epochs, loss }) => {
    const text = `epoch ${String(epoch).padStart(String(epochs).length)}/${epochs}  loss ${loss.toPrecision(6)}`;
    if (terminal) {
      const done = Math.round((WIDTH * epoch) / epochs);
      const bar = "█".repeat(done) + "░".repeat(WIDTH - done);
      write(`\r${bar} ${text}\u001b[K${epoch === epochs ? "\n" : ""}`);
    } else {
      // As many lines as asked for, evenly spaced, the last epoch's among them.
      const linesUntil = (n: number) => Math.floor((n * lines) / epochs);
      if (linesUntil(epoch) > linesUntil(epoch - 1)) write(`${text}\n`);
    }
  };
}
