// npm run bench -- scale: a fit by worker processes on a queue and a store, beside the pool and one thread on the same machine: what
// the queue and the store cost a shard; what whoever asks keeps in memory, from 10 shards to 10,000; what the queue costs while
// nothing happens. Needs redis-server. The packages are used as they are built.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const child = fileURLToPath(new URL("./scale-child.js", import.meta.url));
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { readonly port: number };
  server.close();
  await once(server, "close");
  return port;
}

/** A child of this program, which prints one line of JSON. */
async function run(...args: readonly string[]): Promise<Record<string, number>> {
  const one = spawn(process.execPath, ["--expose-gc", child, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  one.stdout.setEncoding("utf8").on("data", (some) => {
    text += some;
  });
  const [code] = await once(one, "close");
  if (code !== 0) throw new Error(`scale ${args.join(" ")} ended with ${code}.`);
  return JSON.parse(text) as Record<string, number>;
}

/** A worker that listens. */
async function startWorker(queue: string, store: string): Promise<ChildProcess> {
  const one = spawn(process.execPath, [child, "worker", queue, store], { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: one.stdout })) if (line === "ready") break;
  return one;
}

async function endAll(workers: readonly ChildProcess[]): Promise<void> {
  for (const one of workers) {
    const ended = once(one, "exit");
    one.kill("SIGKILL");
    await ended;
  }
}

/** Seconds of processor's time that a process has had, and its children. Ticks are 10 ms on Linux. */
function processorSeconds(pid: number): number {
  const own = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean);
  return (
    (Number(own[11]) + Number(own[12])) / 100 + children.reduce((sum, one) => sum + processorSeconds(Number(one)), 0)
  );
}

const median = (all: readonly number[]) => [...all].sort((a, b) => a - b)[all.length >> 1];

/** Runs the suite. @param rounds how often each fit is done */
export async function runScale(rounds: number): Promise<object> {
  const folder = mkdtempSync(join(tmpdir(), "laplace-scale-"));
  const port = await freePort();
  const redis = spawn("redis-server", ["--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--dir", folder], {
    stdio: "ignore",
  });
  const queue = `redis://127.0.0.1:${port}`;
  const newStore = () => mkdtempSync(join(folder, "store-"));
  try {
    for (;;) {
      try {
        execFileSync("redis-cli", ["-p", `${port}`, "ping"], { stdio: "pipe" });
        break;
      } catch {
        await pause(50);
      }
    }
    const fits = { "one thread": [], "pool of 2": [], "1 worker": [], "2 workers": [] } as Record<string, number[]>;
    let shards = 0;
    let parts: Record<string, number> = {};
    const queueSeconds: number[] = [];
    const processor: number[] = [];
    for (let round = 0; round < rounds; round++) {
      for (const name of Object.keys(fits)) {
        const count = name.endsWith("worker") ? 1 : name.endsWith("workers") ? 2 : 0;
        const store = newStore();
        const workers = await Promise.all(Array.from({ length: count }, () => startWorker(queue, store)));
        const before = processorSeconds(redis.pid as number);
        const found = await run("fit", count > 0 ? queue : name, store);
        if (count === 1) queueSeconds.push(processorSeconds(redis.pid as number) - before);
        await endAll(workers);
        fits[name].push(found.seconds);
        if (name === "one thread") processor.push(found.processor);
        if (count === 1) {
          shards = found.shards;
          parts = found;
        }
        rmSync(store, { recursive: true, force: true });
      }
    }
    const seconds = Object.fromEntries(Object.entries(fits).map(([name, all]) => [name, median(all)]));
    console.log(
      `a fit of ${shards} shards, of ${parts.shardBytes} bytes of data each, sums of ${parts.sumBytes} bytes`,
    );
    for (const [name, value] of Object.entries(seconds)) console.log(`${name.padEnd(12)} ${value.toFixed(2)} s`);
    console.log(`one thread: ${(median(processor) / shards).toFixed(2)} s of a core a shard`);
    const more = (1000 * (seconds["1 worker"] - seconds["one thread"])) / shards;
    console.log(`1 worker in the place of one thread: ${more.toFixed(1)} ms a shard more, with the data's way there`);
    const two = (1000 * 2 * (seconds["2 workers"] - seconds["pool of 2"])) / shards;
    console.log(`2 workers in the place of a pool of 2: ${two.toFixed(1)} ms of a worker a shard more`);
    console.log(`whoever asks writes a shard's data in ${parts.writeMilliseconds.toFixed(2)} ms`);
    const queueCost = (1000 * median(queueSeconds)) / parts.jobs;
    console.log(`Redis: ${queueCost.toFixed(2)} ms of a core a job; ${parts.jobs} jobs`);
    for (const name of ["put", "get", "stat"] as const) {
      console.log(`store: ${name} ${parts[`${name}Milliseconds`].toFixed(2)} ms`);
    }

    const memory: Record<string, number>[] = [];
    for (const count of [10, 100, 1000, 10_000]) {
      const store = newStore();
      const workers = await Promise.all([startWorker(queue, store), startWorker(queue, store)]);
      const found = await run("memory", queue, store, `${count}`);
      await endAll(workers);
      memory.push({ shards: count, ...found });
      console.log(
        `${count} shards: ${found.megabytes.toFixed(1)} MB are kept at most by whoever asks, ${found.resident.toFixed(0)} MB resident; ${found.seconds.toFixed(1)} s`,
      );
      rmSync(store, { recursive: true, force: true });
    }

    const store = newStore();
    const workers = await Promise.all([startWorker(queue, store), startWorker(queue, store)]);
    await pause(3000);
    const pids = [redis.pid as number, ...workers.map(({ pid }) => pid as number)];
    const before = pids.map(processorSeconds);
    const idle = 30;
    await pause(1000 * idle);
    const percent = pids.map((pid, i) => (100 * (processorSeconds(pid) - before[i])) / idle);
    await endAll(workers);
    console.log(
      `idle, of a core: Redis ${percent[0].toFixed(2)} %, workers ${percent
        .slice(1)
        .map((one) => `${one.toFixed(2)} %`)
        .join(" and ")}`,
    );
    return { seconds, shards, parts, queueCost, memory, idle: percent };
  } finally {
    redis.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}
