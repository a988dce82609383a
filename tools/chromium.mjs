// One page in headless Chromium, from a server of its own on this machine.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";

/** What files are, by the ends of their names. */
export const types = {
  ".css": "text/css",
  ".csv": "text/csv",
  ".html": "text/html",
  ".js": "text/javascript",
  ".json": "application/json",
  ".mjs": "text/javascript",
  ".svg": "image/svg+xml",
};
/** What a Chromium of a test is told: no window, and nothing of its own on the net. */
export const flags = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/**
 * Loads a page that imports modules of `folder` in turn, and gives the lines that they printed.
 * @param headers those of the page, such as a content security policy @param setup a script that runs before the modules
 * @param slower how many times slower the page's processor is to be than USUAL tells; then `traced` is called with the
 * trace's events in the end, and the milliseconds that 27 MB of new memory take it more than a usual machine
 */
export async function inChromium(
  folder,
  modules,
  { headers = {}, setup = "", imports = {}, seconds = 120, slower = 1, traced } = {},
) {
  const own = (name) => `/node_modules/laplace-ts/dist/${name}.js`;
  const map = {
    imports: {
      "laplace-ts": own("index"),
      "laplace-ts/graph": own("graph"),
      "laplace-ts/mini": own("mini"),
      ...imports,
    },
  };
  const page = `<!doctype html><meta charset="utf-8">
<script type="importmap">${JSON.stringify(map)}</script>
<script type="module">
const lines = [];
const send = (result) => fetch("/result", { method: "POST", body: JSON.stringify(result) });
console.log = (...values) => lines.push(values.join(" "));
${setup}
try { for (const path of ${JSON.stringify(modules)}) await import(path); await send({ lines }); } catch (error) { await send({ error: String(error.stack) }); }
</script>`;
  let finish;
  const result = new Promise((done) => {
    finish = done;
  });
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    if (request.method === "POST") {
      let body = "";
      request.on("data", (chunk) => {
        body += chunk;
      });
      request.on("end", () => {
        response.end();
        finish(JSON.parse(body));
      });
    } else if (path === "/") {
      response.setHeader("content-type", "text/html").end(page);
    } else {
      try {
        const file = readFileSync(join(folder, path));
        response.setHeader("content-type", types[extname(path)] ?? "application/octet-stream").end(file);
      } catch {
        response.writeHead(404).end();
      }
    }
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const profile = mkdtempSync(join(tmpdir(), "laplace-ts-chromium-"));
  const address = `http://127.0.0.1:${server.address().port}/`;
  const debugged = slower > 1 ? ["--remote-debugging-pipe", "about:blank"] : [address];
  const chromium = spawn("chromium", [...flags, `--user-data-dir=${profile}`, ...debugged], {
    stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
    detached: true, // a process group of its own, so that its helpers end with it
  });
  chromium.on("error", (error) => finish({ error: `chromium does not start: ${error.message}` }));
  const slowly = slower > 1 && openSlowly(chromium, address, slower);
  if (slowly) slowly.catch((error) => finish({ error: String(error) }));
  const timer = setTimeout(() => finish({ error: `the page did not answer within ${seconds} s` }), 1000 * seconds);
  const answer = await result;
  clearTimeout(timer);
  if (slowly && !answer.error) traced?.(await (await slowly)());
  if (chromium.pid !== undefined) {
    const closed = new Promise((done) => chromium.once("close", done));
    process.kill(-chromium.pid, "SIGKILL");
    await closed;
  }
  server.closeAllConnections();
  server.close();
  rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  if (answer.error) throw new Error(`In Chromium: ${answer.error}`);
  return answer.lines;
}

/**
 * How long parts of `work` take usual machines, in milliseconds: sums of products at 2.5 GHz, and a new matrix of 27 MB at 5 GB/s. A
 * processor that is slower by itself is slowed down by less. Memory can be slow beside a quick processor, in virtual machines.
 */
const USUAL = [8.3, 5.4];

/** Best sums of products and the median new matrix of some: other programs have their turns, and memory is given by the page. */
const work = `(() => {
  const numbers = new Float64Array(40000).map((_, i) => i / 40000);
  const timed = (body) => {
    const begin = performance.now();
    if (!(body() >= 0)) throw new Error("not a number");
    return performance.now() - begin;
  };
  const sums = () => {
    let sum = 0;
    for (let again = 0; again < 200; again++) for (let i = 0; i < numbers.length; i++) sum += numbers[i] * numbers[i];
    return sum;
  };
  const matrix = () => new Float64Array(1827 ** 2).fill(1)[0];
  const times = (count, body) => Array.from({ length: count }, () => timed(body)).sort((a, b) => a - b);
  return [times(100, sums)[0], times(15, matrix)[7]];
})()`;

/**
 * Opens the address in the first page, slowed down, and records its tasks and marks (Chrome DevTools Protocol:
 * Emulation.setCPUThrottlingRate, Tracing). Gives what ends that and gives the events.
 */
async function openSlowly(chromium, address, slower) {
  const [, , , input, output] = chromium.stdio;
  const waiting = new Map();
  const events = [];
  let [text, finished] = ["", () => {}];
  const take = ({ id, method, params, result, error }) => {
    if (method === "Tracing.dataCollected") events.push(...params.value);
    if (method === "Tracing.tracingComplete") finished(events);
    const { resolve, reject } = waiting.get(id) ?? {};
    if (error !== undefined) reject?.(new Error(error.message));
    else resolve?.(result);
  };
  output.setEncoding("utf8").on("data", (chunk) => {
    const messages = (text + chunk).split("\0");
    text = messages.pop();
    for (const message of messages) take(JSON.parse(message));
  });
  let id = 0;
  const call = (method, params = {}, sessionId = undefined) =>
    new Promise((resolve, reject) => {
      waiting.set(++id, { resolve, reject });
      input.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  const { targetInfos } = await call("Target.getTargets");
  const { targetId } = targetInfos.find(({ type }) => type === "page");
  const { sessionId } = await call("Target.attachToTarget", { targetId, flatten: true });
  const categories = "disabled-by-default-devtools.timeline,blink.user_timing,__metadata";
  await call("Tracing.start", { transferMode: "ReportEvents", categories });
  const { result } = await call("Runtime.evaluate", { expression: work, returnByValue: true }, sessionId);
  const [sums, matrix] = result.value;
  const rate = Math.max(1, (slower * USUAL[0]) / sums);
  const memory = rate * Math.max(0, matrix - USUAL[1]);
  console.log(
    `A page slowed down ${rate.toFixed(2)} times; 27 MB of new memory take it ${memory.toFixed(0)} ms more than usual.`,
  );
  await call("Emulation.setCPUThrottlingRate", { rate }, sessionId);
  await call("Page.navigate", { url: address }, sessionId);
  return async () => {
    const all = new Promise((resolve) => {
      finished = resolve;
    });
    await call("Tracing.end");
    return { events: await all, memory };
  };
}
