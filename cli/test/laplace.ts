// Runs the built command line as its users do.

import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { run } from "../src/program.ts";

/** What a run left behind. */
export interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Options of a run. */
export interface RunOptions {
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  /** A signal, and the text on standard error or the milliseconds after which it is sent. */
  readonly kill?: { readonly signal: NodeJS.Signals; readonly when: () => boolean };
}

/** The tables of the examples. */
export const tables = "examples/data";

/** Runs `laplace` with these arguments. */
export function laplace(args: readonly string[], { input, env, kill }: RunOptions = {}): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["cli/laplace.js", ...args], { env: { ...process.env, ...env } });
    let [stdout, stderr] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text) => {
      stderr += text;
    });
    const timer = kill && setInterval(() => kill.when() && child.kill(kill.signal), 5);
    child.on("error", reject);
    child.on("close", (code) => {
      clearInterval(timer);
      resolve({ code, stdout, stderr });
    });
    // A program that refuses its arguments does not read to the end.
    child.stdin.on("error", () => {});
    child.stdin.end(input ?? "");
  });
}

/** A folder for a test file's own files, removed at the end. */
export function workFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "laplace-cli-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Files that were begun and not finished. */
export function unfinished(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.endsWith(".tmp"));
}

/** Runs a command in this process, one at a time: what it says, without the cost of a process of its own. */
export async function inProcess(args: readonly string[]): Promise<Run> {
  const said = { stdout: "", stderr: "" };
  const restore = (["stdout", "stderr"] as const).map((name) => {
    const { write } = process[name];
    process[name].write = (text: string | Uint8Array) => {
      said[name] += typeof text === "string" ? text : Buffer.from(text).toString("utf8");
      return true;
    };
    return () => {
      process[name].write = write;
    };
  });
  try {
    const code = await run(args);
    return { code, ...said };
  } finally {
    for (const one of restore) one();
  }
}

/** Numbers from a seed, uniform between 0 and 1. */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state / 0x7fffffff;
  };
}
