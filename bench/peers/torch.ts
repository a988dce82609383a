// PyTorch in a Python process of its own: the unit that fits and predictions are measured in.

import type { Numbers } from "../case.ts";
import type { Way } from "../compare.ts";
import { Python } from "./python.ts";

const MISSING = "PyTorch is skipped: no Python with torch (Debian: apt-get install python3-torch).";

/** What it can do with the network and the data it was given: the names of torch-child.py. */
export type TorchJob = "gradient" | "per-sample gradients" | "norms" | "epoch" | CurvatureJob;

/** Curvatures, written by hand: a structure, of the last layer, drawn; what is done with it. */
export type CurvatureJob = `${"full" | "kronecker" | "diagonal"}${string}`;

/** A network, its parameters, and data with labels. */
export interface TorchSetting {
  /** "LeNet", "ResNet-20", "transformer", or sizes of dense layers with relu between them: "784-256-10". */
  readonly network: string;
  readonly batch: number;
  readonly theta: Numbers;
  readonly buffers: Numbers;
  readonly x: Numbers;
  readonly y: Numbers;
  /** Inputs to predict for. */
  readonly points: Numbers;
}

/** A running Python with torch. */
export class Torch {
  readonly #python: Python;
  #current: TorchJob | undefined;

  readonly #threads: number;

  private constructor(python: Python, threads: number) {
    this.#python = python;
    this.#threads = threads;
  }

  get description(): string {
    return this.#python.description;
  }

  /** Starts it; undefined, with the reason printed, where Python or torch is missing. */
  static async start(threads: number): Promise<Torch | undefined> {
    const python = await Python.start("torch-child.py", threads, MISSING);
    return python === undefined ? undefined : new Torch(python, threads);
  }

  /** Hands over network and data. */
  async load({ theta, buffers, x, y, points, ...rest }: TorchSetting): Promise<void> {
    const write = (name: string, values: Numbers) => this.#python.write(name, values);
    this.#current = undefined;
    await this.#python.ask({
      ...rest,
      threads: this.#threads,
      theta: write("theta.bin", theta),
      buffers: write("buffers.bin", buffers),
      x: write("x.bin", x),
      y: write("y.bin", y),
      points: write("points.bin", points),
    });
  }

  /** The job; several take turns within one process. */
  way(job: TorchJob, warmUp: number): Way {
    return {
      name:
        { gradient: "PyTorch", "per-sample gradients": "functorch, vmap(grad)" }[job as string] ?? "PyTorch, by hand",
      warmUp,
      run: async (repetitions) => {
        if (this.#current !== job) await this.#python.ask({ setup: job });
        this.#current = job;
        return this.#python.run(repetitions);
      },
    };
  }

  /** The last result, flat. */
  result(): Promise<Float64Array> {
    return this.#python.result();
  }

  stop(): void {
    this.#python.stop();
  }
}
