// What a worker says to Prometheus: how many shards it did, how long they took, what went wrong. The client is loaded here alone.

import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { OptionError } from "laplace-ts";
import { version } from "laplace-ts/executor";
import type { Counter, Histogram, Registry } from "prom-client";
import { arithmetic } from "../fits/arithmetic.ts";
import type { WorkerEvent } from "./events.ts";

/** Where metrics are served by HTTP, at the path `/metrics`. */
export interface MetricsAddress {
  /** 0 for one that is free, which the event "metrics" says. */
  readonly port: number;
  /** The address at which it listens (default: all of this machine). */
  readonly host?: string | undefined;
}

/** What is read when somebody asks. */
export interface WorkerNow {
  readonly worker: string;
  readonly concurrency: number;
  running(): number;
}

/** Seconds: a shard is some 30 ms, and a job some shards. */
const SECONDS = [0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000];
const outcomes = ["done", "failed", "given back", "cancelled"] as const;

/** @throws OptionError */
export function checkMetrics(where: string, metrics: unknown): void {
  const { port, host } = (metrics ?? {}) as { readonly port?: unknown; readonly host?: unknown };
  if (!(Number.isInteger(port) && (port as number) >= 0 && (port as number) <= 65_535)) {
    throw new OptionError(`${where}: metrics must be { port }, a number from 0 to 65535.`);
  }
  if (host !== undefined && (typeof host !== "string" || host === "")) {
    throw new OptionError(`${where}: host of metrics must be an address of this machine.`);
  }
}

/** Serves a worker's metrics until it is closed. */
export class Metrics {
  readonly #server: Server;
  readonly #jobs: Counter<"outcome">;
  readonly #shards: Counter;
  readonly #examples: Counter;
  readonly #seconds: Histogram;
  readonly #lost: Counter;
  readonly #queue: Counter;

  /** @throws OptionError where the port is not to be had */
  static async serve(where: string, { port, host }: MetricsAddress, now: WorkerNow): Promise<Metrics> {
    const client = await import("prom-client");
    const metrics = new Metrics(client, now);
    const server = metrics.#server;
    try {
      server.listen(port, host);
      await once(server, "listening");
    } catch (error) {
      throw new OptionError(`${where}: metrics cannot be served: ${(error as Error).message}.`);
    }
    return metrics;
  }

  private constructor(client: typeof import("prom-client"), { worker, concurrency, running }: WorkerNow) {
    const registry = new client.Registry();
    const registers = [registry];
    client.collectDefaultMetrics({ register: registry });
    const counter = (name: string, help: string) =>
      new client.Counter({ name: `laplace_worker_${name}`, help, registers });
    const gauge = (name: string, help: string, value: () => number) =>
      new client.Gauge({
        name: `laplace_worker_${name}`,
        help,
        registers,
        collect() {
          this.set(value());
        },
      });
    new client.Gauge({
      name: "laplace_worker_info",
      help: "1, with what this worker is.",
      labelNames: ["worker", "version", "arithmetic"],
      registers,
    }).set({ worker, version, arithmetic: arithmetic() }, 1);
    gauge("concurrency", "Jobs that it does at the same time, at most.", () => concurrency);
    gauge("jobs_running", "Jobs that it does now.", running);
    this.#jobs = new client.Counter({
      name: "laplace_worker_jobs_total",
      help: "Jobs, each of some shards, by how they ended.",
      labelNames: ["outcome"],
      registers,
    });
    for (const outcome of outcomes) this.#jobs.inc({ outcome }, 0);
    this.#shards = counter("shards_total", "Shards that are done.");
    this.#examples = counter("examples_total", "Examples of shards that are done.");
    this.#seconds = new client.Histogram({
      name: "laplace_worker_job_seconds",
      help: "How long a job took that was done.",
      buckets: SECONDS,
      registers,
    });
    this.#lost = counter("leases_lost_total", "Jobs that became another worker's while this one did them.");
    this.#queue = counter("queue_errors_total", "Errors of the connection to the queue.");
    this.#server = serverOf(registry);
  }

  /** Where it listens. */
  get address(): string {
    const { address, family, port } = this.#server.address() as AddressInfo;
    return `http://${family === "IPv6" ? `[${address}]` : address}:${port}/metrics`;
  }

  /** Counts something that happened. */
  count({ event, level = 0, examples = 0, milliseconds = 0 }: Omit<WorkerEvent, "worker">): void {
    const outcome = outcomes.find((one) => one === event);
    if (outcome !== undefined) this.#jobs.inc({ outcome });
    if (event === "done") {
      this.#shards.inc(2 ** level);
      this.#examples.inc(examples);
      this.#seconds.observe(milliseconds / 1000);
    } else if (event === "lost") this.#lost.inc();
    else if (event === "queue") this.#queue.inc();
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

/** A server that answers to GET /metrics, and to nothing else. */
function serverOf(registry: Registry): Server {
  const server = createServer({ requestTimeout: 10_000 }, (request, response) => {
    const path = request.url?.split("?")[0];
    if (path !== "/metrics" || (request.method !== "GET" && request.method !== "HEAD")) {
      response.writeHead(path === "/metrics" ? 405 : 404).end();
      return;
    }
    registry.metrics().then(
      (text) => response.writeHead(200, { "content-type": registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  // It alone does not keep the process.
  return server.unref();
}
