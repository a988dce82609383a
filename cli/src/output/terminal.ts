// What people see: progress on a terminal, notes and errors on standard error, colours where they are wanted.

const { stderr, stdout } = process;

function colours(stream: NodeJS.WriteStream): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  if (NO_COLOR !== undefined && NO_COLOR !== "") return false;
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== "" && FORCE_COLOR !== "0") return true;
  return stream.isTTY === true && TERM !== "dumb";
}

const codes = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const;

/** Text in a style, where standard output takes colours. */
export function styled(style: keyof typeof codes, text: string): string {
  return colours(stdout) ? `\u001b[${codes[style]}m${text}\u001b[0m` : text;
}

/** Text from a file for a terminal: without control characters, which could move its cursor or change its title. */
export function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, (c) => `\\u{${c.codePointAt(0)?.toString(16)}}`);
}

/** Text without the passwords of addresses in it. */
export const withoutPasswords = (text: string): string =>
  text.replace(/\b((?:redis|valkey)s?:\/\/)[^\s'"]*@/gi, "$1…@").replace(/(:\/\/)[^\s/@'"]*:[^\s/@'"]*@/g, "$1…@");

/** An error, in a line. */
export function printError(message: string): void {
  const label = colours(stderr) ? "\u001b[31merror:\u001b[0m" : "error:";
  stderr.write(`${label} ${withoutPasswords(message)}\n`);
}

/** Something worth knowing that is not a result. */
export function printNote(message: string): void {
  stderr.write(`${message}\n`);
}

/** A line of progress that replaces the one before; nothing where standard error is not a terminal. */
export class Progress {
  readonly #shown: boolean;
  #last = 0;

  constructor(quiet: boolean) {
    this.#shown = !quiet && stderr.isTTY === true;
  }

  /** Shows the text, at most ten times a second. */
  show(text: () => string): void {
    const now = performance.now();
    if (!this.#shown || now - this.#last < 100) return;
    this.#last = now;
    stderr.write(`\r${text().slice(0, (stderr.columns ?? 80) - 1)}\u001b[K`);
  }

  /** Clears the line. */
  done(): void {
    if (this.#shown && this.#last > 0) stderr.write("\r\u001b[K");
    this.#last = 0;
  }

  /** Clears the line, and says what stays. */
  note(message: string): void {
    this.done();
    printNote(message);
  }
}

/** The one JSON object of `--json`. Numbers that JSON lacks become null. */
export function printJson(value: unknown): void {
  stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** Notes that headers among the rows were left out. */
export function printRepeated(lines: readonly number[]): void {
  if (lines.length > 0) printNote(repeatedText(lines));
}

/** Headers among the rows, in words. */
export function repeatedText(lines: readonly number[]): string {
  const shown = lines.slice(0, 5).join(", ") + (lines.length > 5 ? ", …" : "");
  return `left out ${lines.length} repeated header${lines.length > 1 ? "s" : ""} (line ${shown})`;
}
