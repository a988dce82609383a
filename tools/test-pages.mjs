// The pages of the documentation on where the library runs: the files that each shows are written out beside the packed library
// and run in the real thing. What comes out must be what the page says. Deno and Bun come from npm, and are left out, with a
// line that says so, where they cannot be installed.
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { build, createServer } from "vite";
import { openPage, serve } from "./chromium-page.mjs";
import { runtime } from "./runtimes.mjs";

const root = resolve(import.meta.dirname, "..");
const read = (page) => readFileSync(join(root, "docs", `${page}.md`), "utf8");

/** Writes the files that a page of the documentation shows. @returns what it says comes out */
function writeFiles(page, folder) {
  const text = read(page);
  const files = [...text.matchAll(/^```\w+ \[([\w.-]+)\]\n([\s\S]*?)^```$/gm)];
  const due = text.match(/^```text\n([\s\S]*?)^```$/m)?.[1].trim();
  if (files.length === 0 || due === undefined) throw new Error(`docs/${page}.md shows no files, or not what they say.`);
  for (const [, name, code] of files) writeFileSync(join(folder, name), code);
  return due;
}

function expect(what, found, due) {
  if (found !== due) throw new Error(`${what}: it says\n${found}\ninstead of\n${due}`);
  console.log(`${what}: it says ${due}`);
}

/** What the page says in the end, and what it wrote to its console. */
async function answerOf(address) {
  const page = await openPage();
  try {
    await page.open(address);
    const text = "document.querySelector('#answer')?.textContent";
    await page.until(`${text} && !${text}.startsWith("Fitting")`);
    return { answer: await page.evaluate(text), said: page.said().filter((line) => !/favicon|404/.test(line)) };
  } finally {
    await page.close();
  }
}

/** The answer of a folder that is served as it is. */
async function served(folder, options) {
  const server = await serve(folder, options);
  try {
    return { ...(await answerOf(server.address)), requests: server.requests };
  } finally {
    server.close();
  }
}

async function vite(folder) {
  const due = writeFiles("vite", folder);
  const options = { root: folder, configFile: false, logLevel: "error" };
  await build(options);
  expect("docs/vite.md, built", (await served(join(folder, "dist"))).answer, due);
  const server = await createServer({ ...options, server: { host: "127.0.0.1", port: 0 } });
  try {
    await server.listen();
    const { port } = server.httpServer.address();
    expect("docs/vite.md, while it is edited", (await answerOf(`http://127.0.0.1:${port}/`)).answer, due);
  } finally {
    await server.close();
  }
}

/** What the page of one file loads before its answer. */
const MOST_REQUESTS = 4;
const MOST_KILOBYTES = 75;

async function importMap(folder) {
  const due = writeFiles("import-maps", folder);
  const { answer, requests } = await served(folder);
  const asked = requests.filter(({ path }) => path !== "/favicon.ico");
  const bytes = asked.reduce((sum, { path }) => sum + compressed(join(folder, path)), 0);
  expect(`docs/import-maps.md, ${asked.length} requests, ${(bytes / 1000).toFixed(1)} kB`, answer, due);
  if (asked.length > MOST_REQUESTS || bytes > 1000 * MOST_KILOBYTES) {
    throw new Error(`docs/import-maps.md: the page asked for ${JSON.stringify(asked)}, ${bytes} bytes compressed.`);
  }
  // Every single file is a module that loads, alone, and has what its entry has.
  for (const [name, entry] of [
    ["laplace", "index"],
    ["mini", "mini"],
  ]) {
    const dist = join(folder, "node_modules/laplace-ts/dist");
    const [single, whole] = await Promise.all([`${name}.min`, entry].map((file) => import(join(dist, `${file}.js`))));
    const names = Object.keys(single);
    if (names.length < 15 || !names.every((one) => one in whole)) throw new Error(`${name}.min.js exports ${names}.`);
    const map = JSON.parse(readFileSync(join(dist, `${name}.min.js.map`), "utf8"));
    const lost = map.sources.filter((path) => !existsSync(join(dist, path)) && !path.includes("/generated/"));
    if (lost.length > 0) throw new Error(`${name}.min.js.map names sources that the package does not have: ${lost}`);
  }
}

/** Bytes of a file that is served, "/" being index.html, as gzip makes them. */
function compressed(path) {
  return gzipSync(readFileSync(statSync(path).isDirectory() ? join(path, "index.html") : path), { level: 9 }).length;
}

async function policy(folder) {
  const due = writeFiles("csp", folder);
  const written = read("csp").match(/^Content-Security-Policy: (.*)$/m)[1];
  const isolated = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };
  const under = (text, more = {}) => served(folder, { headers: { "content-security-policy": text, ...more } });
  const { answer, said } = await under(written);
  expect("docs/csp.md, under the policy that it shows", answer, due);
  if (said.length > 0) throw new Error(`docs/csp.md: something was refused: ${said.join("\n")}`);
  for (const directive of written.split("; ")) {
    // The least: without any one source the page does not compute.
    for (const source of directive.split(" ").slice(1)) {
      if (source === "'none'" || source === "'self'") continue;
      const { answer: refused } = await under(written.replace(` ${source}`, ""));
      if (!refused.includes(source)) throw new Error(`docs/csp.md: without ${source} the page says ${refused}`);
      console.log(`docs/csp.md: without ${source} the page says so`);
    }
  }
  await rowsOfTable(folder, written, under, isolated);
}

/** The rows of the table in docs/csp.md, each with what is said of it. */
async function rowsOfTable(folder, written, under, isolated) {
  const dist = "./node_modules/laplace-ts/dist";
  const page = (code) => writeFileSync(join(folder, "main.js"), code);
  const quiet = (what, { answer, said }, due) => {
    expect(`docs/csp.md, ${what}`, answer, due);
    if (said.length > 0) throw new Error(`docs/csp.md, ${what}: something was refused: ${said.join("\n")}`);
  };
  page(`import { batchedMatmul, randomNormal } from "${dist}/index.js";
const a = randomNormal([500, 500], { seed: 1 });
const sum = batchedMatmul(a, a).data.reduce((total, x) => total + x, 0);
document.querySelector("#answer").textContent = String(sum);`);
  const threaded = await under(`${written}; worker-src blob:`, isolated);
  quiet("threads", threaded, threaded.answer);
  for (const policy of [written, `${written}; worker-src blob:; require-trusted-types-for 'script'`]) {
    const alone = await under(policy, isolated);
    expect("docs/csp.md, threads that a policy refuses", alone.answer, threaded.answer);
    if (alone.said.length === 0) throw new Error(`docs/csp.md: nothing was refused under ${policy}`);
  }
  page(`import { chain, connect, dense } from "${dist}/laplace.min.js";
const remote = await connect(new Worker("${dist}/worker.min.js", { type: "module" }));
const net = await remote.send(chain({ inputs: 1, seed: 1 }, dense(1)));
document.querySelector("#answer").textContent = String((await net.forward([[1]])).shape);`);
  quiet("laplace-ts/worker", await under(written), "1,1");
  page(`import { tanh } from "laplace-ts"; document.querySelector("#answer").textContent = typeof tanh;`);
  const map = `<script type="importmap" nonce="n0">{ "imports": { "laplace-ts": "${dist}/index.js" } }</script>`;
  const html = readFileSync(join(folder, "index.html"), "utf8").replace("<script", `${map}\n<script`);
  writeFileSync(join(folder, "index.html"), html);
  quiet("an import map with a nonce", await under(`${written} 'nonce-n0'`), "function");
}

/** @param folder where the packed library is installed */
export async function testPages(folder) {
  const room = (name) => {
    const path = join(folder, `page-${name}`);
    mkdirSync(path, { recursive: true });
    return path;
  };
  await vite(room("vite"));
  await importMap(folder);
  await policy(folder);
  for (const [name, version, ...flags] of [
    ["deno", "2", "run", "--no-prompt", "main.ts"],
    ["bun", "1", "run", "main.ts"],
  ]) {
    const due = writeFiles(name, room(name));
    const run = runtime(room(name), `${name}@${version}`);
    if (run !== undefined) expect(`docs/${name}.md`, run(...flags), due);
  }
}

// By itself: node tools/test-pages.mjs, in a folder where the packed library is installed.
if (process.argv[1] === import.meta.filename) await testPages(process.cwd());
