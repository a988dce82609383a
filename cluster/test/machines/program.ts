// The built command line as processes of a test.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/** What a process said that has ended. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A process of the command line. */
export interface Running {
  readonly child: ChildProcess;
  readonly said: { stdout: string; stderr: string };
  readonly ended: Promise<Ended>;
}

/** Processes that end with a test. */
export class Programs {
  readonly #started: ChildProcess[] = [];

  /** Runs the built program. */
  laplace(...args: readonly string[]): Running {
    return this.withEnv({}, ...args);
  }

  /** Runs it with variables of its own. */
  withEnv(own: NodeJS.ProcessEnv, ...args: readonly string[]): Running {
    const env = { ...process.env, ...own };
    const child = spawn(process.execPath, ["cli/laplace.js", ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
    this.#started.push(child);
    const said = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (text) => {
        said[name] += text;
      });
    }
    return { child, said, ended: once(child, "close").then(([code]) => ({ code, ...said })) };
  }

  end(): void {
    for (const one of this.#started) one.kill("SIGKILL");
  }
}
