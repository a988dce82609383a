// Real processes for tests: Redis on a port of its own, and workers.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Case } from "../../../test/shards/given.ts";
import { type Cluster, type ClusterOptions, cluster } from "../../src/cluster.ts";
import type { WorkerEvent } from "../../src/worker/events.ts";
import type { WorkOptions } from "../../src/worker/worker.ts";

/** A port that nobody has. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { readonly port: number };
  server.close();
  await once(server, "close");
  return port;
}

/** Waits until something holds. @throws after a minute */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 60_000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`After a minute still not: ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** What a Redis of a test has besides. */
export interface RedisSettings {
  /** Arguments of the server. */
  readonly server?: readonly string[];
  /** Arguments of redis-cli, so that it is let in. */
  readonly client?: readonly string[];
  /** The certificate and key that it shows: it speaks TLS then, and nothing else. */
  readonly tls?: { readonly certificate: string; readonly key: string };
}

/** A Redis of a test. */
export class RedisOfTest {
  readonly port: number;
  readonly #folder = mkdtempSync(join(tmpdir(), "laplace-redis-"));
  #server: ChildProcess | undefined;

  readonly #settings: RedisSettings;

  constructor(port: number, settings: RedisSettings = {}) {
    this.port = port;
    this.#settings = settings;
  }

  static async start(settings: RedisSettings = {}): Promise<RedisOfTest> {
    const redis = new RedisOfTest(await freePort(), settings);
    await redis.start();
    return redis;
  }

  get runs(): boolean {
    return this.#server?.exitCode === null && this.#server.signalCode === null;
  }

  get address(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const { tls, server = [] } = this.#settings;
    const ports = tls === undefined ? ["--port", `${this.port}`] : ["--port", "0", "--tls-port", `${this.port}`];
    const shown =
      tls === undefined
        ? []
        : ["--tls-cert-file", tls.certificate, "--tls-key-file", tls.key, "--tls-auth-clients", "no"];
    const args = [...ports, ...shown, "--bind", "127.0.0.1", "--save", "", "--dir", this.#folder, ...server];
    this.#server = spawn("redis-server", args, { stdio: "ignore" });
    await until("Redis answers", () => {
      try {
        return this.cli("ping").includes("PONG");
      } catch {
        return false;
      }
    });
  }

  /** What redis-cli prints. */
  cli(...command: readonly string[]): string {
    const { tls, client = [] } = this.#settings;
    const args = ["-p", `${this.port}`, ...(tls === undefined ? [] : ["--tls", "--insecure"]), ...client, ...command];
    return execFileSync("redis-cli", args, { stdio: "pipe" }).toString();
  }

  /** kill -9. */
  async kill(): Promise<void> {
    if (!this.runs) return;
    const server = this.#server as ChildProcess;
    const ended = once(server, "exit");
    server.kill("SIGKILL");
    await ended;
  }

  /** Keys that are left. */
  keys(): string[] {
    return this.cli("keys", "*")
      .split("\n")
      .filter((line) => line !== "");
  }

  async end(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** A worker of a test, and what it said. */
export class WorkerOfTest {
  readonly events: WorkerEvent[] = [];
  readonly process: ChildProcess;
  readonly ended: Promise<readonly [code: number | null, signal: NodeJS.Signals | null]>;

  /** @param before what stands before the command, such as one that puts it on another host */
  constructor(
    options: WorkOptions & { readonly store: string },
    env: NodeJS.ProcessEnv = {},
    before: readonly string[] = [],
  ) {
    const file = fileURLToPath(new URL("worker.mjs", import.meta.url));
    const [command, ...args] = [...before, process.execPath, file, JSON.stringify(options)];
    this.process = spawn(command, args, {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, ...env },
    });
    this.ended = once(this.process, "exit") as never;
    const lines = createInterface({ input: this.process.stdout as NonNullable<ChildProcess["stdout"]> });
    lines.on("line", (line) => this.events.push(JSON.parse(line) as WorkerEvent));
  }

  count(event: WorkerEvent["event"]): number {
    return this.events.filter((one) => one.event === event).length;
  }

  async saw(event: WorkerEvent["event"], times = 1): Promise<void> {
    await until(`the worker says "${event}"`, () => this.count(event) >= times);
  }

  /** The processes that sum. */
  sums(): number[] {
    const { pid } = this.process;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
    return children === "" ? [] : children.split(" ").map(Number);
  }

  /** kill -9 of the worker; its processes that sum hear that it is gone. */
  async kill(): Promise<void> {
    this.process.kill("SIGKILL");
    await this.ended;
  }

  /** kill -9 of the processes that sum. */
  killSums(): void {
    try {
      for (const pid of this.sums()) process.kill(pid, "SIGKILL");
    } catch {
      // One that has just ended needs no signal.
    }
  }

  /** Stops the whole worker, as a machine that sleeps. */
  signalAll(signal: NodeJS.Signals): void {
    try {
      for (const pid of this.sums()) process.kill(pid, signal);
    } catch {
      // One that has just ended needs no signal.
    }
    this.process.kill(signal);
  }
}

/** Workers, and fits that ask for them: all end with a test. */
export class Fleet {
  readonly workers: WorkerOfTest[] = [];
  readonly #clusters: Cluster[] = [];

  worker(options: WorkOptions & { readonly store: string }, env: NodeJS.ProcessEnv = {}): WorkerOfTest {
    const made = new WorkerOfTest(options, env);
    this.workers.push(made);
    return made;
  }

  machines(options: ClusterOptions): Cluster {
    const made = cluster({ onWarning: () => {}, ...options });
    this.#clusters.push(made);
    return made;
  }

  async end(): Promise<void> {
    for (const one of this.#clusters.splice(0)) await one.close();
    for (const one of this.workers.splice(0)) {
      one.process.kill("SIGCONT");
      await one.kill();
    }
  }
}

/** A fit of some shards, of which there are `SHARDS`. */
export const small = {
  structure: "kronecker",
  curvature: "ggn",
  sharing: "expand",
  dtype: "float64",
  convolution: false,
  examples: 23,
  length: 2,
  batch: 5,
  seed: 7,
} as const satisfies Case;
export const SHARDS = 12;
