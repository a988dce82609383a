// OpenBLAS in a Python process of its own.

import type { Job, Numbers, Peer } from "../case.ts";
import type { Way } from "../compare.ts";
import { Python } from "./python.ts";

const MISSING = "OpenBLAS is skipped: no Python with scipy (Debian: apt-get install python3-scipy libopenblas0).";

/** A running Python with scipy. */
export class Blas implements Peer {
  readonly name = "OpenBLAS";
  readonly #python: Python;

  private constructor(python: Python) {
    this.#python = python;
  }

  get description(): string {
    return this.#python.description;
  }

  /** Starts it; undefined, with the reason printed, where Python or scipy is missing. */
  static async start(threads: number): Promise<Blas | undefined> {
    const python = await Python.start("blas.py", threads, MISSING);
    return python === undefined ? undefined : new Blas(python);
  }

  way(job: Job, inputs: readonly Numbers[]): Way {
    return {
      name: this.name,
      prepare: async () => {
        const paths = inputs.map((values, i) => this.#python.write(`input${i}.bin`, values));
        await this.#python.ask({ ...job, inputs: paths });
      },
      run: (repetitions) => this.#python.run(repetitions),
    };
  }

  result(): Promise<Float64Array> {
    return this.#python.result();
  }

  stop(): void {
    this.#python.stop();
  }
}
