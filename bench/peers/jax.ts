// jax-js in a process of its own (jax-child.ts): our V8 flags do not reach it, and a call that takes too long can be
// ended. It is not a dependency; who wants to compare installs it with `npm install --no-save @jax-js/jax`.

import { type ChildProcess, fork } from "node:child_process";
import type { Job, Numbers, Peer } from "../case.ts";
import type { Way } from "../compare.ts";

/** What the child is told. */
export type Command = { readonly setup: Job; readonly inputs: readonly Numbers[] } | { run: number } | "result";

/** What it says: that it is ready or why not, how long it took, or a result. */
export interface Answer {
  readonly ready?: string;
  readonly error?: string;
  readonly seconds?: number;
  readonly values?: Numbers;
}

const LIMIT_SECONDS = 2;
/** A small call is mostly its JavaScript, which gets faster over thousands of calls. */
const WARM_UP_SECONDS = 1.5;

/** The child's next message. @throws Error when it reports one, ends, or takes more seconds than the limit */
function answer(child: ChildProcess, limit?: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const settle = (message: Answer) => {
      clearTimeout(timer);
      child.removeAllListeners();
      if (message.error === undefined) resolve(message);
      else reject(new Error(message.error));
    };
    const stop = () => {
      child.kill("SIGKILL"); // it is busy, and would not hear anything gentler
      settle({ error: `more than ${limit} s a call` });
    };
    const timer = limit === undefined ? undefined : setTimeout(stop, 1000 * limit);
    child.once("message", (message) => settle(message as Answer));
    child.once("exit", () => settle({ error: "its process ended" }));
  });
}

/** A Node process with jax-js. */
export class Jax implements Peer {
  readonly name = "jax-js";
  readonly description: string;
  #child: ChildProcess;

  private constructor(child: ChildProcess, description: string) {
    this.#child = child;
    this.description = description;
  }

  /** Starts it; undefined, with the reason printed, where jax-js is missing. */
  static async start(): Promise<Jax | undefined> {
    const child = Jax.#fork();
    try {
      return new Jax(child, (await answer(child)).ready as string);
    } catch (error) {
      child.kill();
      console.log(`jax-js is skipped: ${(error as Error).message}`);
      return undefined;
    }
  }

  static #fork(): ChildProcess {
    const url = new URL("./jax-child.js", import.meta.url);
    return fork(url, { serialization: "advanced", stdio: ["ignore", "ignore", "inherit", "ipc"] });
  }

  #ask(command: Command, limit?: number): Promise<Answer> {
    const answered = answer(this.#child, limit);
    this.#child.send(command);
    return answered;
  }

  way(job: Job, inputs: readonly Numbers[]): Way {
    let limit: number | undefined = LIMIT_SECONDS; // of the first run
    return {
      name: this.name,
      warmUp: WARM_UP_SECONDS,
      prepare: async () => {
        if (this.#child.killed || this.#child.exitCode !== null) {
          this.#child = Jax.#fork();
          await answer(this.#child);
        }
        await this.#ask({ setup: job, inputs });
      },
      run: async (repetitions) => {
        const { seconds } = await this.#ask({ run: repetitions }, limit);
        limit = undefined;
        return seconds as number;
      },
    };
  }

  async result(): Promise<Numbers> {
    return (await this.#ask("result")).values as Numbers;
  }

  stop(): void {
    this.#child.kill();
  }
}
