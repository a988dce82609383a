// A Python process that is told by lines of JSON what to do, and exchanges arrays through files.

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Numbers } from "../case.ts";

/**
 * OpenBLAS by OpenMP, whose threads PyTorch has too: those of Debian's default fight with them, and it stays the default where
 * both are installed.
 */
const openmp = existsSync("/usr/lib")
  ? readdirSync("/usr/lib")
      .map((name) => `/usr/lib/${name}/openblas-openmp`)
      .find((folder) => existsSync(folder))
  : undefined;

interface Answer {
  readonly ready?: string;
  readonly seconds?: number;
  readonly error?: string;
}

/** A running script. */
export class Python {
  /** What the script says of itself. */
  readonly description: string;
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #answers: AsyncIterator<string>;
  readonly #folder = mkdtempSync(join(tmpdir(), "laplace-ts-bench-"));

  private constructor(process: ChildProcessWithoutNullStreams, answers: AsyncIterator<string>, description: string) {
    this.#process = process;
    this.#answers = answers;
    this.description = description;
  }

  /** Starts a script of bench/peers; undefined, with the reason printed, where what it imports is missing. */
  static async start(script: string, threads: number, missing: string): Promise<Python | undefined> {
    const file = `bench/peers/${script}`; // npm runs scripts in the repository's root
    const environment = {
      ...process.env,
      OPENBLAS_NUM_THREADS: String(threads),
      OMP_NUM_THREADS: String(threads),
      ...(threads > 1 && openmp !== undefined && { LD_LIBRARY_PATH: openmp }),
    };
    const child = spawn("/usr/bin/python3", [file], { env: environment, stdio: ["pipe", "pipe", "pipe"] });
    const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    child.on("error", () => {});
    child.stderr.resume();
    const first = await answers.next();
    if (first.done) {
      console.log(missing);
      return undefined;
    }
    return new Python(child, answers, JSON.parse(first.value).ready);
  }

  /** @throws Error with the script's own reason */
  async ask<Given = unknown>(command: object): Promise<Answer & Given> {
    this.#process.stdin.write(`${JSON.stringify(command)}\n`);
    const answer = await this.#answers.next();
    if (answer.done) throw new Error("The Python process ended.");
    const result = JSON.parse(answer.value) as Answer & Given;
    if (result.error !== undefined) throw new Error(result.error);
    return result;
  }

  /** The seconds that so many repetitions of what was set up took. */
  async run(repetitions: number): Promise<number> {
    return (await this.ask({ run: repetitions })).seconds as number;
  }

  /** A file with these numbers. */
  write(name: string, values: Numbers): string {
    const path = join(this.#folder, name);
    writeFileSync(path, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    return path;
  }

  /** The last result, row-major. */
  async result(): Promise<Float64Array> {
    const path = join(this.#folder, "result.bin");
    await this.ask({ result: path });
    const bytes = readFileSync(path);
    return new Float64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8);
  }

  stop(): void {
    this.#process.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
