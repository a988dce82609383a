// OpenBLAS in a Python process of its own, told by lines of JSON what to do.

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Job, Numbers, Peer } from "../case.ts";
import type { Way } from "../compare.ts";

/** A running Python with scipy. */
export class Blas implements Peer {
  readonly name = "OpenBLAS";
  readonly description: string;
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #answers: AsyncIterator<string>;
  readonly #folder = mkdtempSync(join(tmpdir(), "laplace-ts-bench-"));

  private constructor(process: ChildProcessWithoutNullStreams, answers: AsyncIterator<string>, description: string) {
    this.#process = process;
    this.#answers = answers;
    this.description = description;
  }

  /** Starts it; undefined, with the reason printed, where Python or scipy is missing. */
  static async start(threads: number): Promise<Blas | undefined> {
    const script = "bench/peers/blas.py"; // npm runs scripts in the repository's root
    const environment = { ...process.env, OPENBLAS_NUM_THREADS: String(threads), OMP_NUM_THREADS: String(threads) };
    const child = spawn("/usr/bin/python3", [script], { env: environment, stdio: ["pipe", "pipe", "pipe"] });
    const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    child.on("error", () => {});
    const first = await answers.next();
    if (first.done) {
      console.log("OpenBLAS is skipped: no Python with scipy (Debian: apt-get install python3-scipy libopenblas0).");
      return undefined;
    }
    return new Blas(child, answers, JSON.parse(first.value).ready);
  }

  async #ask(command: object): Promise<{ seconds?: number }> {
    this.#process.stdin.write(`${JSON.stringify(command)}\n`);
    const answer = await this.#answers.next();
    if (answer.done) throw new Error("The Python process ended.");
    return JSON.parse(answer.value);
  }

  way(job: Job, inputs: readonly Numbers[]): Way {
    return {
      name: this.name,
      prepare: async () => {
        const paths = inputs.map((values, i) => {
          const path = join(this.#folder, `input${i}.bin`);
          writeFileSync(path, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
          return path;
        });
        await this.#ask({ ...job, inputs: paths });
      },
      run: async (repetitions) => (await this.#ask({ run: repetitions })).seconds as number,
    };
  }

  async result(): Promise<Float64Array> {
    const path = join(this.#folder, "result.bin");
    await this.#ask({ result: path });
    const bytes = readFileSync(path);
    return new Float64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8);
  }

  stop(): void {
    this.#process.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
