// Pages in headless Chromium as somebody uses them: opened by an address, looked at, pressed, photographed. Chromium is told by
// its debugging pipe, so that a page needs nothing of the test in it, and a content security policy holds as it is.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { flags, types } from "./chromium.mjs";

/** Serves a folder as hosts of pages do: "/" is index.html, and ".html" need not be written. */
export async function serve(folder, { headers = {} } = {}) {
  const requests = [];
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
    const file = [path, `${path}.html`, join(path, "index.html")]
      .map((name) => join(folder, name))
      .find((name) => existsSync(name) && statSync(name).isFile());
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    if (file === undefined) return response.writeHead(404).end();
    const body = readFileSync(file);
    requests.push({ path, bytes: body.length });
    response.setHeader("content-type", types[extname(file)] ?? "application/octet-stream").end(body);
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return {
    address: `http://127.0.0.1:${server.address().port}`,
    /** What was asked for so far. */
    requests,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/**
 * One page of a Chromium of its own, until `close`.
 * @param options.still whether the reader wants less motion @param options.scripts false: the page runs none of its own
 */
export async function openPage({
  width = 1200,
  height = 800,
  dark = false,
  touch = false,
  still = false,
  scripts = true,
} = {}) {
  const profile = mkdtempSync(join(tmpdir(), "laplace-ts-page-"));
  const chromium = spawn(
    "chromium",
    [...flags, "--hide-scrollbars", "--remote-debugging-pipe", `--user-data-dir=${profile}`],
    {
      stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
      detached: true, // a process group of its own, so that its helpers end with it
    },
  );
  const waiting = new Map();
  const heard = [];
  const failed = new Promise((_, fail) => {
    chromium.on("error", (error) => fail(new Error(`chromium does not start: ${error.message}`)));
    chromium.on("exit", (code) => fail(new Error(`chromium ended (${code})`)));
  });
  failed.catch(() => {});
  let text = "";
  chromium.stdio[4].on("data", (data) => {
    text += data;
    const messages = text.split("\0");
    text = messages.pop();
    for (const message of messages.map((one) => JSON.parse(one))) {
      if (message.id === undefined) heard.push(message);
      else waiting.get(message.id)(message);
    }
  });
  let last = 0;
  const tell = (method, params = {}, sessionId = undefined) => {
    const id = ++last;
    const answer = new Promise((done) => waiting.set(id, done));
    chromium.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return Promise.race([answer, failed]).then(({ result, error }) => {
      if (error) throw new Error(`${method}: ${error.message}`);
      return result;
    });
  };
  const { targetId } = await tell("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await tell("Target.attachToTarget", { targetId, flatten: true });
  const page = (method, params) => tell(method, params, sessionId);
  for (const domain of ["Page", "Runtime", "Log"]) await page(`${domain}.enable`);
  const look = (to) =>
    page("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: touch, ...to });
  await look({});
  await page("Emulation.setEmulatedMedia", {
    features: [
      { name: "prefers-color-scheme", value: dark ? "dark" : "light" },
      { name: "prefers-reduced-motion", value: still ? "reduce" : "no-preference" },
    ],
  });
  if (touch) await page("Emulation.setTouchEmulationEnabled", { enabled: true });
  if (!scripts) await page("Emulation.setScriptExecutionDisabled", { value: true });

  /** The value of an expression in the page. @throws what it throws there */
  async function evaluate(expression) {
    const answer = await page("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (answer.exceptionDetails) {
      const { exception, text: about } = answer.exceptionDetails;
      throw new Error(`In the page: ${exception?.description ?? about}`);
    }
    return answer.result.value;
  }
  return {
    evaluate,
    /** Input.dispatchMouseEvent, Input.dispatchKeyEvent, and whatever else Chromium understands. */
    tell: page,
    open: (address) => page("Page.navigate", { url: address }),
    /** Waits for an expression to be true. @throws Error naming it, with what the page said */
    async until(expression, seconds = 60) {
      const end = Date.now() + 1000 * seconds;
      while (!(await evaluate(`Boolean(${expression})`).catch(() => false))) {
        if (Date.now() > end)
          throw new Error(`It was not so within ${seconds} s: ${expression}\n${this.said().join("\n")}`);
        await new Promise((go) => setTimeout(go, 50));
      }
    },
    /** What the page wrote to its console, threw, or was refused. */
    said: () =>
      heard.flatMap(({ method, params }) => {
        if (method === "Runtime.consoleAPICalled")
          return [params.args.map((one) => one.value ?? one.description).join(" ")];
        if (method === "Runtime.exceptionThrown") {
          const { exception, text: about } = params.exceptionDetails;
          return [exception?.description ?? about];
        }
        return method === "Log.entryAdded" ? [params.entry.text] : [];
      }),
    resize: (size) => look(size),
    /** A picture of what is seen, or of the whole page. */
    async photograph(path, { whole = false } = {}) {
      const { cssContentSize } = await page("Page.getLayoutMetrics");
      const clip = { x: 0, y: 0, width: cssContentSize.width, height: Math.min(cssContentSize.height, 8000), scale: 1 };
      const options = { format: "png", captureBeyondViewport: whole, ...(whole ? { clip } : {}) };
      const { data } = await page("Page.captureScreenshot", options);
      writeFileSync(path, Buffer.from(data, "base64"));
    },
    async close() {
      if (chromium.pid !== undefined && chromium.exitCode === null) {
        const closed = new Promise((done) => chromium.once("close", done));
        process.kill(-chromium.pid, "SIGKILL");
        await closed;
      }
      rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
}
