// Fits are watched: metrics over HTTP, spans, lines of JSON; users and TLS; and no password is in anything that comes of it.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { context, trace } from "@opentelemetry/api";
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { given } from "../../../test/shards/given.ts";
import { part } from "../../src/parts.ts";
import { Fleet, freePort, RedisOfTest, type RedisSettings, SHARDS, small, until } from "./hosts.ts";

const folder = mkdtempSync(join(tmpdir(), "laplace-watched-"));
const at = (name: string) => join(folder, name);
const file = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const started: { kill(): Promise<void> }[] = [];

const fleet = new Fleet();

afterEach(async () => {
  await fleet.end();
  for (const one of started.splice(0).reverse()) await one.kill();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function redisOf(settings?: RedisSettings): Promise<RedisOfTest> {
  const redis = await RedisOfTest.start(settings);
  started.push({ kill: () => redis.end() });
  return redis;
}
const worker = fleet.worker.bind(fleet);
const machines = (queue: string, store: string) => fleet.machines({ queue, store });

/** Metrics as Prometheus reads them: values by name and labels. */
function scraped(text: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*(?:\{.*\})?) (\S+)$/.exec(line);
    if (sample === null) throw new Error(`Not a sample of Prometheus: ${line}`);
    found.set(sample[1], Number(sample[2]));
  }
  return found;
}

/** Runs a program; gives all that it printed. */
async function run(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
  started.push({ kill: async () => void child.kill("SIGKILL") });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (said += text));
  const [code] = await once(child, "close");
  return { code, said };
}

describe("metrics", () => {
  test("of a worker are served as Prometheus reads them: what it did, and what it is", async () => {
    const redis = await redisOf();
    const store = mkdtempSync(at("store-"));
    const one = worker({
      queue: redis.address,
      store,
      name: "one",
      concurrency: 2,
      metrics: { port: 0, host: "127.0.0.1" },
    });
    await one.saw("ready");
    const address = one.events.find(({ event }) => event === "metrics")?.reason as string;
    expect(address).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
    const metrics = async () => {
      const response = await fetch(address);
      expect(response.headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
      return scraped(await response.text());
    };
    const before = await metrics();
    expect(before.get('laplace_worker_jobs_total{outcome="done"}')).toBe(0);
    expect(before.get("laplace_worker_concurrency")).toBe(2);
    expect([...before.keys()].find((name) => name.startsWith("laplace_worker_info"))).toMatch(
      /^laplace_worker_info\{worker="one",version="[^"]+",arithmetic="[a-z]+-[0-9a-f]{12}"\}$/,
    );
    const { sums } = given(small);
    await sums(machines(redis.address, store));
    await one.saw("done", SHARDS);
    const after = await metrics();
    const done = one.count("done");
    expect(after.get('laplace_worker_jobs_total{outcome="done"}')).toBe(done);
    expect(after.get("laplace_worker_shards_total")).toBe(SHARDS);
    expect(after.get("laplace_worker_examples_total")).toBe(small.examples);
    expect(after.get("laplace_worker_job_seconds_count")).toBe(done);
    expect(after.get('laplace_worker_jobs_total{outcome="failed"}')).toBe(0);
    expect(after.get("laplace_worker_jobs_running")).toBe(0);
    expect(after.get("process_resident_memory_bytes")).toBeGreaterThan(0);
    // Nothing else is answered.
    expect((await fetch(address.replace("/metrics", "/"))).status).toBe(404);
    expect((await fetch(address, { method: "POST", body: "x" })).status).toBe(405);
    // A port that somebody has is an error that says so.
    const second = await run([
      file("worker.mjs"),
      JSON.stringify({
        queue: redis.address,
        store,
        metrics: { port: Number(new URL(address).port), host: "127.0.0.1" },
      }),
    ]);
    expect(second.code).not.toBe(0);
    expect(second.said).toMatch(/OptionError: work: metrics cannot be served: .*EADDRINUSE/);
    // It ends with the worker.
    one.process.kill("SIGTERM");
    expect(await one.ended).toEqual([0, null]);
    await expect(fetch(address)).rejects.toThrow();
  });

  test("that nobody asks for load no client", () => {
    const program = `
      import { createRequire } from "node:module";
      const { cache } = createRequire(process.cwd() + "/cluster/");
      const loaded = () => Object.keys(cache).some((name) => name.includes("prom-client"));
      await import("laplace-ts-cluster");
      const before = loaded();
      await import("prom-client");
      console.log(before, loaded());`;
    const printed = execFileSync(process.execPath, ["--input-type=module", "-e", program]).toString();
    expect(printed).toBe("false true\n");
  });
});

describe("spans", () => {
  test("of a fit are above those of its shards, in the workers' processes", async () => {
    const redis = await redisOf();
    const store = mkdtempSync(at("store-"));
    const spans = at("spans.jsonl");
    writeFileSync(spans, "");
    const workers = [1, 2].map((name) =>
      worker(
        { queue: redis.address, store, name: `worker-${name}` },
        { NODE_OPTIONS: `--import ${file("collected.mjs")}`, SPANS: spans },
      ),
    );
    await Promise.all(workers.map((one) => one.saw("ready")));
    const asked = await run([file("asks.mjs"), redis.address, store], {
      NODE_OPTIONS: `--import ${file("collected.mjs")}`,
      SPANS: spans,
    });
    expect(asked.code, asked.said).toBe(0);
    type Collected = {
      readonly name: string;
      readonly id: string;
      readonly trace: string;
      readonly parent?: string;
      readonly kind: number;
      readonly attributes: Readonly<Record<string, unknown>>;
    };
    const all = () =>
      readFileSync(spans, "utf8")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Collected);
    // Passes of "ekfac": two fits, one after the other.
    const fits = all().filter(({ name }) => name === "laplace.fit");
    expect(fits.length).toBe(2);
    for (const fit of fits) {
      const shards = all().filter(({ name, parent }) => name === "laplace.shard" && parent === fit.id);
      expect(shards.every(({ trace }) => trace === fit.trace)).toBe(true);
      const sum = (key: string) => shards.reduce((total, { attributes }) => total + Number(attributes[key]), 0);
      expect(sum("laplace.shard.count")).toBe(fit.attributes["laplace.shards"]);
      expect(sum("laplace.examples")).toBe(fit.attributes["laplace.examples"]);
      expect(new Set(shards.map(({ attributes }) => attributes["laplace.fit"]))).toEqual(
        new Set([fit.attributes["laplace.fit"]]),
      );
      expect(shards.every(({ attributes }) => attributes["laplace.outcome"] === "done")).toBe(true);
    }
    // What a worker says names the span.
    const said = workers.flatMap(({ events }) => events).filter(({ event }) => event === "done");
    const ids = new Set(all().map(({ trace, id }) => `00-${trace}-${id}-01`));
    expect(said.length).toBeGreaterThan(1);
    for (const { trace } of said) expect(ids).toContain(trace);
  });

  test("say what failed, and are those of parts too", async () => {
    const exporter = new InMemorySpanExporter();
    const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
    trace.setGlobalTracerProvider(provider);
    try {
      const store = mkdtempSync(at("store-"));
      const { sums } = given(small);
      await expect(sums(part({ store, part: 1, parts: 2 }))).rejects.toThrow("6 are not done");
      const spans = exporter.getFinishedSpans();
      expect(spans.filter(({ name }) => name === "laplace.shard").length).toBe(6);
      const fit = spans.find(({ name }) => name === "laplace.fit");
      expect(fit?.status).toMatchObject({ code: 2, message: expect.stringContaining("6 are not done") });
      const parents = spans
        .filter(({ name }) => name === "laplace.shard")
        .map((span) => span.parentSpanContext?.spanId);
      expect(new Set(parents)).toEqual(new Set([fit?.spanContext().spanId]));
      expect(fit?.attributes).toMatchObject({ "laplace.shards": SHARDS, "laplace.examples": 23 });
    } finally {
      trace.disable();
      context.disable();
    }
  });
});

const PASSWORD = "s3cret/p@ss:w%rd";
const user = `laplace:${encodeURIComponent(PASSWORD)}@`;

/** A certificate of one's own for 127.0.0.1. */
function certificateOf(name: string) {
  const [certificate, key] = [at(`${name}.crt`), at(`${name}.key`)];
  const names = "subjectAltName=IP:127.0.0.1,DNS:localhost";
  const subject = ["-subj", "/CN=laplace-test", "-addext", names, "-days", "2"];
  execFileSync(
    "openssl",
    ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, ...subject],
    {
      stdio: "pipe",
    },
  );
  return { certificate, key };
}

/** Every text in a folder. */
const textsIn = (path: string): string =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1"))
    .join("\n");

describe("a queue with a user, a password and TLS", () => {
  let shown: { readonly certificate: string; readonly key: string };
  beforeAll(() => {
    shown = certificateOf("own");
  });

  test("is used, and no password is in what comes of it: logs, errors, metrics, spans, jobs, the store", async () => {
    // The rules that docs/scale.md says.
    const rules = `laplace on >${PASSWORD} ~{laplace-ts}:* &{laplace-ts}:* +@all -@admin -@dangerous +info +client`;
    const users = ["--user", ...rules.split(" "), "--user", "default", "on", ">other", "~*", "&*", "+@all"];
    const redis = await redisOf({ server: users, client: ["-a", "other", "--no-auth-warning"], tls: shown });
    const queue = `rediss://${user}127.0.0.1:${redis.port}/0`;
    const store = mkdtempSync(at("store-"));
    const spans = at("tls-spans.jsonl");
    writeFileSync(spans, "");
    const env = {
      NODE_EXTRA_CA_CERTS: shown.certificate,
      SPANS: spans,
      NODE_OPTIONS: `--import ${file("collected.mjs")}`,
    };
    const laplace = (...args: readonly string[]) => run(["cli/laplace.js", ...args], env);
    const port = await freePort();
    const workers = laplace(
      "worker",
      "--queue",
      queue,
      "--store",
      store,
      "--json",
      "--metrics",
      `127.0.0.1:${port}`,
      "--stop-when-idle",
      "4",
    );
    let metrics = "";
    const scrape = async () => {
      const response = await fetch(`http://127.0.0.1:${port}/metrics`).catch(() => undefined);
      metrics = (await response?.text()) ?? "";
      return metrics !== "";
    };
    await until("metrics", scrape);
    const asked = await run([file("asks.mjs"), queue, store], env);
    expect(asked.code, asked.said).toBe(0);
    await scrape();
    expect(metrics).toContain("laplace_worker_jobs_total");
    const alone = await run([file("asks.mjs")]);
    expect(asked.said).toBe(alone.said);
    const jobs = await laplace("jobs", "--queue", queue, "--store", store, "--json");
    expect(jobs.code, jobs.said).toBe(0);
    const { code, said } = await workers;
    expect(code, said).toBe(0);
    const lines = said
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    for (const line of lines) expect(line).toMatchObject({ time: expect.any(String), severity: expect.any(String) });
    expect(lines.some(({ event, severity }) => event === "done" && severity === "info")).toBe(true);
    const address = lines.find(({ event }) => event === "metrics").reason;
    expect(address).toMatch(/^http/);

    // What goes wrong says no password either: another one's, a certificate that nobody knows, what is not an address.
    const wrong = queue.replace(encodeURIComponent(PASSWORD), encodeURIComponent(`${PASSWORD}x`));
    const refused = await laplace("worker", "--queue", wrong, "--store", store, "--json");
    expect(refused.code).toBe(2);
    expect(refused.said).toContain("the queue lets nobody in with this user and password: WRONGPASS");
    const unknown = await run([file("worker.mjs"), JSON.stringify({ queue, store, stopWhenIdle: 1500, grace: 0 })], {
      NODE_EXTRA_CA_CERTS: "",
    });
    expect(unknown.said).toMatch(/"event":"queue".*self-signed certificate/);
    const errors: string[] = [];
    for (const args of [
      ["worker", "--queue", queue.replace("rediss", "http"), "--store", store],
      ["worker", "--queue", queue.replace(":", ""), "--store", store],
      ["worker", "--queue", `${queue} `, "--store", queue],
      ["worker", `--quue=${queue}`, "--store", store],
      ["worker", queue],
      ["jobs", "--queue", store, "--store", queue],
      ["predict", queue, queue],
      ["posterior", queue, queue, "--store", store],
    ]) {
      const one = await laplace(...args);
      expect(one.code, args.join(" ")).not.toBe(0);
      errors.push(one.said);
    }
    const everything = { asked, metrics, jobs, said, refused, unknown, errors, spans: readFileSync(spans, "latin1") };
    const texts = `${JSON.stringify(everything)}\n${textsIn(store)}\n${redis.cli("--scan")}\n${redis.cli("client", "list")}`;
    for (const secret of [PASSWORD, encodeURIComponent(PASSWORD), "s3cret"]) {
      const found = texts.indexOf(secret);
      expect(found < 0 ? "" : texts.slice(Math.max(0, found - 200), found + 50)).toBe("");
    }
    expect(everything.spans).toContain("laplace.shard");
  });
});
