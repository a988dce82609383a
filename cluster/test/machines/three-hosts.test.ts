// Workers, the queue and the store on hosts of their own, at addresses of their own: the digits of the example end to end, while hosts
// are cut off and come back. The same bits as on one thread.

import { type ChildProcess, execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { transformWithOxc } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { until, WorkerOfTest } from "./hosts.ts";
import { type Host, NetworkOfTest, whyNoNamespaces } from "./namespaces.ts";
import { BUCKET, keys } from "./s3-server.ts";

const why = whyNoNamespaces();
const folder = mkdtempSync(join(tmpdir(), "laplace-hosts-"));
const digits = fileURLToPath(new URL("digits.mjs", import.meta.url));
const env = { AWS_ACCESS_KEY_ID: keys.accessKeyId, AWS_SECRET_ACCESS_KEY: keys.secretAccessKey };
const [QUEUE, STORE] = [6379, 9000];
const workers: WorkerOfTest[] = [];
let network: NetworkOfTest;
let hosts: Readonly<Record<"queue" | "store" | "first" | "second" | "asks", Host>>;

beforeAll(async () => {
  if (why !== undefined) return;
  network = new NetworkOfTest();
  const [queue, store, first, second, asks] = ["queue", "store", "first", "second", "asks"].map((name) =>
    network.host(name),
  );
  hosts = { queue, store, first, second, asks };
  const redis = ["--port", `${QUEUE}`, "--bind", "0.0.0.0", "--protected-mode", "no", "--save", "", "--dir", folder];
  network.start(queue, ["redis-server", ...redis]).stdout?.resume();
  // The server of S3 is a program in TypeScript, which a process of Node 20 does not take as it is.
  const source = new URL("s3-server.ts", import.meta.url);
  const { code } = await transformWithOxc(readFileSync(source, "utf8"), "s3-server.ts");
  const program = join(folder, "s3-server.mjs");
  writeFileSync(program, code.replaceAll("import.meta.url", JSON.stringify(source.href)));
  const start = `await (await import(${JSON.stringify(pathToFileURL(program).href)})).S3OfTest.start("0.0.0.0", ${STORE}); console.log("ready");`;
  const s3 = network.start(store, [process.execPath, "--input-type=module", "-e", start]);
  await once(s3.stdout as NonNullable<ChildProcess["stdout"]>, "data");
  await until("Redis answers", () => {
    try {
      const [program, ...args] = [...queue.before, "redis-cli", "-p", `${QUEUE}`, "ping"];
      return execFileSync(program, args, { stdio: "pipe" }).includes("PONG");
    } catch {
      return false;
    }
  });
});
afterAll(async () => {
  for (const one of workers) await one.kill();
  if (why === undefined) await network.end();
  rmSync(folder, { recursive: true, force: true });
});

const machines = () => ({
  queue: `redis://${hosts.queue.address}:${QUEUE}`,
  store: `s3://${BUCKET}/hosts?endpoint=${encodeURIComponent(`http://${hosts.store.address}:${STORE}`)}`,
});

function worker(host: Host): WorkerOfTest {
  const made = new WorkerOfTest({ ...machines(), lease: 2000, grace: 0 }, env, host.before);
  workers.push(made);
  return made;
}

/** Runs the digits on the host that asks; gives what it prints. */
async function ask(structures: string): Promise<string> {
  const { queue, store } = machines();
  const one = network.start(hosts.asks, [process.execPath, digits, structures, queue, store], env);
  let text = "";
  one.stdout?.setEncoding("utf8").on("data", (some) => {
    text += some;
  });
  const [code] = await once(one, "close");
  expect(code).toBe(0);
  return text;
}

const onOneThread = (structures: string) =>
  execFileSync(process.execPath, [digits, structures], { stdio: ["ignore", "pipe", "ignore"] }).toString();

test.skipIf(why !== undefined)(
  `three hosts run the digits, and one is cut off and comes back${why === undefined ? "" : ` (skipped: ${why})`}`,
  { timeout: 600_000 },
  async () => {
    const [first, second] = [worker(hosts.first), worker(hosts.second)];
    await Promise.all([first.saw("ready"), second.saw("ready")]);
    const asked = ask("kronecker,ekfac");
    await first.saw("begun");
    hosts.first.connect(false);
    // The other one does what that has begun, when its lease has ended.
    const before = second.count("done");
    await until("the second worker goes on", () => second.count("done") >= before + 2);
    expect(first.count("lost") + first.count("queue") + first.count("begun")).toBeGreaterThan(0);
    hosts.first.connect(true);
    expect(await asked).toBe(onOneThread("kronecker,ekfac"));

    // It is back: alone it does the next fit, while the queue's host and then the store's are cut off.
    await second.kill();
    const done = first.count("done");
    const next = ask("diagonal");
    await first.saw("done", done + 1);
    for (const host of [hosts.queue, hosts.store]) {
      host.connect(false);
      await new Promise((resolve) => setTimeout(resolve, 3000));
      host.connect(true);
    }
    expect(await next).toBe(onOneThread("diagonal"));
    expect(first.count("done")).toBeGreaterThan(done + 1);
  },
);
