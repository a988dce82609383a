// Workers as pages have them: the packed library on a worker of every kind of page that the documentation names, and of Node,
// Deno and Bun; a throttled page that answers meanwhile; numbers that are Node's; aborts in each phase; and memory that a hundred
// workers leave behind.
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build, createServer as viteServer } from "vite";
import { openPage, serve } from "./chromium-page.mjs";
import { runOf, runtime } from "./runtimes.mjs";

function expect(what, holds, found) {
  if (!holds) throw new Error(`${what}: ${JSON.stringify(found)}`);
  console.log(what);
}

/** A page's own module, with its way to make a worker. */
const asking = (make) => `import { answer } from "./asks.js";
${make.startsWith("import") ? make : `await answer(() => ${make});`}
`;
const forms = {
  address: `new Worker(new URL("laplace-ts/worker", import.meta.url), { type: "module" })`,
  query: `import LaplaceWorker from "laplace-ts/worker?worker";\nawait answer(() => new LaplaceWorker());`,
  own: `new Worker(new URL("./own-worker.js", import.meta.url), { type: "module" })`,
  resolved: `new Worker(import.meta.resolve("laplace-ts/worker"), { type: "module" })`,
  blob: `new Worker(URL.createObjectURL(new Blob(["import " + JSON.stringify(import.meta.resolve("laplace-ts/worker"))], { type: "text/javascript" })), { type: "module" })`,
};

const html = (script, map) =>
  `<!doctype html><meta charset="utf-8"><title>Workers</title>${map === undefined ? "" : `<script type="importmap">${JSON.stringify({ imports: map })}</script>`}<script type="module" src="${script}"></script>`;
const own = (at) => ({ "laplace-ts": `${at}/dist/index.js`, "laplace-ts/worker": `${at}/dist/worker.js` });

/** What a page answers. */
async function answerOf(address, seconds = 60) {
  const page = await openPage();
  try {
    await page.open(address);
    await page.until("'answer' in globalThis", seconds);
    return await page.evaluate("globalThis.answer");
  } finally {
    await page.close();
  }
}

/** Pages of each kind get the same answer, which is Node's. @param folder where the packed library is installed */
async function everyPage(folder, due) {
  const at = join(folder, "workers");
  const bundled = ["address", "query", "own"];
  for (const [name, make] of Object.entries(forms)) {
    writeFileSync(join(at, `${name}.js`), asking(make));
    writeFileSync(
      join(at, `${name}.html`),
      html(`./${name}.js`, bundled.includes(name) ? undefined : own("/node_modules/laplace-ts")),
    );
  }

  const config = { root: at, configFile: false, logLevel: "error" };
  const input = bundled.map((name) => join(at, `${name}.html`));
  await build({ ...config, build: { outDir: "built", target: "es2022", rollupOptions: { input } } });
  const built = await serve(join(at, "built"));
  for (const name of bundled) {
    const found = await answerOf(`${built.address}/${name}.html`);
    expect(`A page that Vite built has a worker: ${name}`, found === due, { found, due });
  }
  built.close();
  const server = await viteServer({
    ...config,
    server: { port: 0, host: "127.0.0.1" },
    optimizeDeps: { noDiscovery: false },
  });
  await server.listen();
  const { port } = server.httpServer.address();
  for (const name of bundled) {
    const found = await answerOf(`http://127.0.0.1:${port}/${name}.html`, 120);
    expect(`A page that Vite serves has a worker: ${name}`, found === due, { found, due });
  }
  await server.close();

  const isolated = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };
  const policy = "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'";
  for (const [what, headers] of [
    ["by import map", {}],
    ["that is isolated", isolated],
  ]) {
    const plain = await serve(folder, { headers });
    const found = await answerOf(`${plain.address}/workers/resolved.html`);
    expect(`A page ${what} has a worker`, found === due, { found, due });
    plain.close();
  }
  const strict = await serve(join(at, "built"), { headers: { "content-security-policy": policy } });
  const allowed = await answerOf(`${strict.address}/address.html`);
  expect("A page with a content security policy has a worker", allowed === due, { allowed, due });
  strict.close();

  // The library on another origin, which lets this one read it.
  const other = await serve(folder, { headers: { "access-control-allow-origin": "*" } });
  writeFileSync(join(at, "blob.html"), html("./blob.js", own(`${other.address}/node_modules/laplace-ts`)));
  writeFileSync(join(at, "wrong.html"), html("./address.js", own("/node_modules/laplace-ts")));
  const plain = await serve(folder);
  const far = await answerOf(`${plain.address}/workers/blob.html`);
  expect("A page with the library on another origin has a worker", far === due, { far, due });
  const wrong = await answerOf(`${plain.address}/workers/wrong.html`);
  const says =
    "LaplaceError: The call to the worker has no answer: the worker failed: its script was not found, or could not be run.";
  expect("A page without a bundler is told how a worker's address is written there", wrong.startsWith(says), wrong);
  plain.close();
  other.close();
}

/** A pool of workers in a page gives the bits of its one thread, also where its workers are killed, and those of a page that is isolated. @param folder what is served */
export async function poolsIn(folder, page, library = "/node_modules/laplace-ts") {
  writeFileSync(join(folder, `${page}.html`), html("./pool.js", own(library)));
  const isolated = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };
  const answers = [];
  for (const headers of [{}, isolated]) {
    const server = await serve(folder, { headers });
    answers.push(await answerOf(`${server.address}/${page}.html`, 480));
    server.close();
  }
  expect("A page's pool has the bits of its one thread", answers[0].startsWith("2 workers: "), answers[0]);
  expect("and those of a page that is isolated", answers[1] === answers[0], answers);
}

/** Phases that hear an abort in their midst. */
const stopped = [
  ...["train", "fit", "optimizePrior", "evidence", "predict", "functionCovariance", "functionSamples", "sample"],
  ...["evaluate", "uncertainty", "diagnose"],
];
/** Calls that are answered between an abort and the end of what it stops, one in a turn; a phase has dozens of turns. */
const FEW = 6;

/** What a fresh page at a quarter of its speed has of long tasks while a worker does all phases, and their numbers. */
async function busy(address) {
  const page = await openPage();
  try {
    await page.open(address);
    await page.until("globalThis.loaded");
    await page.tell("Emulation.setCPUThrottlingRate", { rate: 4 });
    await page.evaluate("void globalThis.go()");
    await page.until("'answer' in globalThis", 300);
    return JSON.parse(await page.evaluate("globalThis.answer"));
  } finally {
    await page.close();
  }
}

/** The page has no task longer than 50 ms, and gets Node's numbers. */
async function busyPage(folder) {
  const due = runOf(folder, "node@24", "workers/busy.mjs");
  const server = await serve(folder);
  const runs = [];
  // Tasks that are long because others use the machine are not in every run; the page's own would be.
  while (runs.length < 5 && runs.every(({ during }) => during.some(({ duration }) => duration > 50))) {
    runs.push(await busy(`${server.address}/workers/busy.html`));
  }
  server.close();
  const last = runs[runs.length - 1];
  expect(
    "The page's long tasks are seen",
    runs.every(({ control }) => control),
    runs,
  );
  expect("Numbers from a page's worker are Node's, to the bit", JSON.stringify(last.found) === due, { last, due });
  const none = last.during.every(({ duration }) => duration <= 50);
  expect("A page at a quarter of its speed has no task longer than 50 ms while a worker fits", none, runs);
}

/** Each phase stops where it is told to, on a page's worker and on Node's. */
async function aborting(folder) {
  const judge = (where, text) => {
    const found = JSON.parse(text);
    for (const name of stopped) {
      const { heard, stopped: ended, answers } = found[name] ?? {};
      expect(`An abort is heard in the midst of ${name} in ${where}`, heard && ended && answers < FEW, found);
    }
  };
  judge("Node", runOf(folder, "node@24", "workers/aborts.mjs", ...stopped));
  const server = await serve(folder);
  const page = await openPage();
  try {
    await page.open(`${server.address}/workers/stops.html`);
    await page.until("globalThis.loaded");
    judge("a page", await page.evaluate(`globalThis.go(${JSON.stringify(stopped)})`));
    const said = await page.evaluate("globalThis.die()");
    expect(
      "A worker that somebody ends leaves no call waiting in a page",
      said.endsWith("the worker has ended."),
      said,
    );
  } finally {
    await page.close();
    server.close();
  }
}

/** Bytes that a page's process has to itself: Chromium's renderers among the descendants of this process. */
function rendererBytes() {
  const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const about = (pid, file) => {
    try {
      return readFileSync(`/proc/${pid}/${file}`, "utf8");
    } catch {
      return "";
    }
  };
  const parents = new Map(
    processes.map((pid) => [
      pid,
      about(pid, "stat")
        .replace(/^.*\) \S /, "")
        .split(" ")[0],
    ]),
  );
  const ours = (pid) => pid === String(process.pid) || (parents.has(pid) && ours(parents.get(pid)));
  const renderers = processes.filter((pid) => about(pid, "cmdline").includes("--type=renderer") && ours(pid));
  const kilobytes = renderers.map((pid) =>
    Number(about(pid, "smaps_rollup").match(/^Private_Dirty: *(\d+)/m)?.[1] ?? 0),
  );
  return 1024 * kilobytes.reduce((sum, one) => sum + one, 0);
}

/** Of a hundred workers that were opened and closed, less is left than one takes that is open. */
async function hundredWorkers(folder) {
  const at = join(folder, "workers");
  const judge = (where, found) =>
    expect(
      `A hundred workers opened and closed leave no memory in ${where}`,
      found.each > 2e6 && found.left < found.each,
      found,
    );
  const inNode = JSON.parse(runOf(folder, "node@24", "--expose-gc", "workers/many.mjs"));
  judge("Node", inNode);
  const input = join(at, "many.html");
  await build({
    root: at,
    configFile: false,
    logLevel: "error",
    build: { outDir: "many-built", target: "es2022", rollupOptions: { input } },
  });
  const server = await serve(join(at, "many-built"));
  const page = await openPage();
  try {
    await page.open(`${server.address}/many.html`);
    await page.until("globalThis.loaded");
    const used = async () => {
      for (let i = 0; i < 3; i++) {
        await page.tell("HeapProfiler.collectGarbage");
        await new Promise((go) => setTimeout(go, 500));
      }
      return rendererBytes();
    };
    await page.evaluate("globalThis.openMany(20)");
    const before = await used();
    await page.evaluate("globalThis.openMany(100)");
    const after = await used();
    await page.evaluate("globalThis.keepMany(5)");
    const found = { left: after - before, each: ((await used()) - after) / 5 };
    judge("a page", found);
  } finally {
    await page.close();
    server.close();
  }
}

/** @param folder where the packed library is installed */
export async function testWorkers(folder) {
  const at = join(folder, "workers");
  cpSync(join(import.meta.dirname, "workers"), at, { recursive: true });
  for (const name of ["busy", "stops"]) {
    writeFileSync(join(at, `${name}.html`), html(`./${name}.js`, own("/node_modules/laplace-ts")));
  }
  writeFileSync(join(at, "many.html"), html("./many.js"));
  const due = runOf(folder, "node@24", "workers/node.mjs");
  const inDeno = runtime(folder, "deno@2")?.("run", "--no-prompt", "--allow-read", "workers/web.mjs");
  if (inDeno !== undefined) expect("Deno's worker answers as Node's", inDeno === due, { inDeno, due });
  const inBun = runtime(folder, "bun@1")?.("workers/node.mjs").split(" ");
  if (inBun !== undefined) {
    // Another engine's Math differs in the last digits.
    const near = Math.abs(inBun[1] - due.split(" ")[1]) < 1e-6;
    expect("Bun's worker answers as Node's, but for rounding", near, { inBun, due });
  }
  await everyPage(folder, due);
  await poolsIn(folder, "workers/pool");
  await busyPage(folder);
  await aborting(folder);
  await hundredWorkers(folder);
}
