// Packs the library and the command line, installs both tarballs in an empty folder and runs the README's examples there:
// as JavaScript in Node, as TypeScript through the compiler, and in a page of headless Chromium without any bundler. The
// command line fits, predicts, evaluates and runs the notebook there. Posteriors, and models of tables that it wrote, in
// this Node and in the current LTS, predict the same in that page.
import { execFileSync, spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const folder = mkdtempSync(join(tmpdir(), "laplace-ts-package-"));
const run = (command, args, options = {}) =>
  execFileSync(command, args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"], ...options });

/** The README's examples, each a program of its own. */
function examples() {
  const found = [...readFileSync(join(root, "README.md"), "utf8").matchAll(/```ts\n([\s\S]*?)```/g)];
  if (found.length === 0) throw new Error("README.md has no example.");
  return found.map(([, code]) => code);
}

/** Whether two texts agree but for spaces and the last digits: Chromium may run another build of the kernels than Node. */
function alike(text, other) {
  const [words, others] = [text.split(/\s+/), other.split(/\s+/)];
  const close = (a, b) => a === b || Math.abs(a - b) <= 1e-3 * Math.max(Math.abs(a), 1e-2);
  return words.length === others.length && words.every((word, i) => close(word, others[i]));
}

/** The oldest TypeScript that reads the declarations, as the README says, and some since. */
const compilers = ["5.0", "5.4", "5.7"];

/**
 * The declarations are read with the programs, as strictly as projects do, by this TypeScript and by older ones; with
 * Node's types alone, and with the library "DOM" alone.
 */
function typeCheck(programs) {
  const older = mkdtempSync(join(tmpdir(), "laplace-ts-compilers-"));
  try {
    writeFileSync(join(older, "package.json"), JSON.stringify({ name: "compilers", private: true }));
    const packages = compilers.map((version) => `typescript-${version}@npm:typescript@~${version}.0`);
    run("npm", ["install", "--loglevel=error", "--no-audit", "--no-fund", ...packages], { cwd: older });
    const folders = compilers.map((version) => join(older, "node_modules", `typescript-${version}`));
    for (const at of [join(root, "node_modules/typescript"), ...folders]) {
      const options = "--strict --noEmit --module nodenext --target es2022 --skipLibCheck false";
      const stricter = "--exactOptionalPropertyTypes --noUncheckedIndexedAccess --verbatimModuleSyntax";
      const node = ["--lib", "es2022", "--types", "node", "--typeRoots", join(root, "node_modules/@types")];
      const page = ["--lib", "es2022,dom,dom.iterable", "--typeRoots", join(older, "none")];
      for (const library of [node, page]) {
        const flags = [...options.split(" "), ...stricter.split(" "), ...library];
        run(process.execPath, [join(at, "bin/tsc"), ...flags, ...programs], { stdio: "inherit" });
      }
    }
  } finally {
    rmSync(older, { recursive: true, force: true });
  }
}

/** The installed command line, from a table to predictions. */
function commandLine() {
  const laplace = (...args) => run("npx", ["--no-install", "laplace", ...args]);
  const table = join(root, "examples/data/airquality.csv");
  const fit = JSON.parse(laplace("fit", table, "--target", "Ozone", "--json"));
  laplace("predict", "model.safetensors", table, "-o", "predictions.csv", "--json");
  const { metrics } = JSON.parse(laplace("evaluate", "model.safetensors", "predictions.csv", "--json"));
  if (!(metrics.negativeLogLikelihood < fit.baseline.negativeLogLikelihood)) throw new Error("The model is no good.");
  if (!readFileSync(join(folder, "report.html"), "utf8").includes("<svg"))
    throw new Error("The report has no picture.");
  if (!("training" in JSON.parse(laplace("notebook", "--json")))) throw new Error("The notebook did not run.");
}

/** Loads a page that imports these modules in turn, and gives what they printed. */
async function inChromium(modules) {
  const page = `<!doctype html><meta charset="utf-8">
<script type="importmap">{ "imports": { "laplace-ts": "/node_modules/laplace-ts/dist/index.js" } }</script>
<script type="module">
const lines = [];
const send = (result) => fetch("/result", { method: "POST", body: JSON.stringify(result) });
console.log = (...values) => lines.push(values.join(" "));
try { for (const path of ${JSON.stringify(modules)}) await import(path); await send({ lines }); } catch (error) { await send({ error: String(error.stack) }); }
</script>`;
  const types = { ".js": "text/javascript", ".mjs": "text/javascript", ".json": "application/json" };
  let finish;
  const result = new Promise((done) => {
    finish = done;
  });
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
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
  const flags = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    `--user-data-dir=${profile}`,
  ];
  const chromium = spawn("chromium", [...flags, `http://127.0.0.1:${server.address().port}/`], {
    stdio: "ignore",
    detached: true, // a process group of its own, so that its helpers end with it
  });
  chromium.on("error", (error) => finish({ error: `chromium does not start: ${error.message}` }));
  const timer = setTimeout(() => finish({ error: "the page did not answer within 60 s" }), 60_000);
  const answer = await result;
  clearTimeout(timer);
  if (chromium.pid !== undefined) {
    const closed = new Promise((done) => chromium.once("close", done));
    process.kill(-chromium.pid, "SIGKILL");
    await closed;
  }
  server.closeAllConnections();
  server.close();
  rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  if (answer.error) throw new Error(`In Chromium: ${answer.error}`);
  return answer.lines.join("\n");
}

try {
  for (const cwd of [root, join(root, "cli")]) {
    run("npm", ["pack", "--loglevel=error", "--pack-destination", folder], { cwd });
  }
  const tarballs = readdirSync(folder).filter((name) => name.endsWith(".tgz"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "clean", private: true, type: "module" }));
  run("npm", ["install", "--loglevel=error", "--no-audit", "--no-fund", ...tarballs.map((name) => `./${name}`)]);
  commandLine();
  const programs = examples();
  programs.forEach((code, i) => {
    writeFileSync(join(folder, `example${i}.mjs`), code);
    writeFileSync(join(folder, `example${i}.ts`), code);
  });

  const names = programs.map((_, i) => `example${i}`);
  const inNode = names
    .map((name) => run(process.execPath, [`${name}.mjs`]))
    .join("")
    .trimEnd();
  process.stdout.write(`${inNode}\n`);
  typeCheck(names.map((name) => `${name}.ts`));
  const inPage = (await inChromium(names.map((name) => `/${name}.mjs`))).trimEnd();
  if (!alike(inPage, inNode)) throw new Error(`Chromium printed something else than Node:\n${inPage}`);
  for (const name of ["fit.mjs", "predict.mjs"]) copyFileSync(join(root, "tools/across", name), join(folder, name));
  const tables = ["airquality.csv:Ozone", "iris.csv:species"].map((name) => join(root, "examples/data", name));
  run(process.execPath, ["fit.mjs", "predicted-this.json", ...tables]);
  run("npx", ["-y", "-p", "node@24", "--", "node", "fit.mjs", "predicted-lts.json", ...tables]);
  console.log(await inChromium(["/predict.mjs"]));
  run(process.execPath, [join(root, "node_modules/publint/src/cli.js"), root], { stdio: "inherit" });
  console.log(
    "The packed library runs the README's examples in Node and in Chromium, with the same output but for rounding; the packed command line fits and predicts; posteriors and models of tables from Node predict the same in Chromium.",
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
