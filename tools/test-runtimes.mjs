// What the packed library meets outside Node. Most pages are not cross-origin isolated, have no SharedArrayBuffer, and some
// have a content security policy: the examples, in float32, print there what Node prints on the same build of the kernels; a
// policy that forbids WebAssembly is named with what to add; one that forbids workers costs threads only. Deno, which gives
// no permission unless told, is asked for none.
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { inChromium } from "./chromium.mjs";
import { runOf, runtime } from "./runtimes.mjs";

const root = resolve(import.meta.dirname, "..");

/** What Node's modules are in a page, as far as the examples use them. */
const fileShim = `
export function readFileSync(url) {
  const request = new XMLHttpRequest();
  request.open("GET", url, false);
  request.send();
  return request.responseText;
}
`;
const processShim = `globalThis.process = { argv: ["", "", "--json"], memoryUsage: () => ({ arrayBuffers: 0 }) };`;

/** Copies the built examples, with float64 networks as float32 ones. */
function copyExamples(folder) {
  const from = join(root, "build/examples");
  mkdirSync(join(folder, "examples"), { recursive: true });
  cpSync(join(from, "data"), join(folder, "examples/data"), { recursive: true });
  const names = readdirSync(from).filter((name) => /\.(js|json)$/.test(name));
  for (const name of names) {
    const text = readFileSync(join(from, name), "utf8");
    // Tolerances of float64 are not kept in float32, which is no failure here.
    const inFloat32 = text.replaceAll('"float64"', '"float32"').replace(/^process\.exitCode = .*$/m, "");
    writeFileSync(join(folder, "examples", name), inFloat32);
  }
  writeFileSync(join(folder, "examples/fs.mjs"), fileShim);
  return names.filter((name) => name.endsWith(".js") && !["draw.js", "measure.js"].includes(name));
}

/**
 * What has to agree of an example's lines: of the one that measures times, all but those; its band has a tuned prior, found
 * with logarithms whose last digits differ between versions of V8.
 */
function comparable(name, lines) {
  if (name !== "batched-gradients.js") return lines.join("\n").trimEnd();
  const { benchmarks: _, fill: __, band, ...rest } = JSON.parse(lines.join("\n"));
  const rounded = band.map((one) => Object.values(one).map((value) => value.toPrecision(9)));
  return JSON.stringify({ ...rest, band: rounded }, undefined, 1);
}

async function examplesInFloat32(folder) {
  const node = (args) => runOf(folder, "node@24", ...args);
  const build = ["import('laplace-ts').then(({ kernels }) => console.log(kernels.info().build))"];
  const nodeBuild = node(["--input-type=module", "-e", ...build]).trim();
  writeFileSync(
    join(folder, "world.mjs"),
    `import { kernels } from "laplace-ts";
const { build, sharedMemory, threads } = kernels.info();
console.log(JSON.stringify({ build, sharedMemory, threads, isolated: crossOriginIsolated }));`,
  );
  const world = JSON.parse((await inChromium(folder, ["/world.mjs"]))[0]);
  if (world.isolated || world.sharedMemory)
    throw new Error("The page has shared memory: it does not show what it should.");
  if (world.build !== nodeBuild) throw new Error(`Node runs the build "${nodeBuild}", the page "${world.build}".`);
  for (const name of copyExamples(folder)) {
    const options = { setup: processShim, imports: { "node:fs": "/examples/fs.mjs" }, seconds: 300 };
    const inPage = comparable(name, await inChromium(folder, [`/examples/${name}`], options));
    const inNode = comparable(name, node([`examples/${name}`, "--json"]).split("\n"));
    if (inPage !== inNode) throw new Error(`${name} prints in a page:\n${inPage}\nand in Node:\n${inNode}`);
    console.log(`${name}, in float32 and a page without shared memory: as in Node`);
  }
}

const isolated = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };
const policy = (text) => ({ "content-security-policy": text });

async function policies(folder) {
  writeFileSync(
    join(folder, "product.mjs"),
    `import { batchedMatmul, kernels, LaplaceError, PlatformError, randomNormal } from "laplace-ts";
try {
  const a = randomNormal([500, 500], { seed: 1, dtype: "float64" });
  const bits = new Uint32Array(batchedMatmul(a, a).data.buffer).reduce((hash, x) => (Math.imul(hash, 31) + x) >>> 0, 0);
  console.log(JSON.stringify({ bits, threads: kernels.info().threads, shared: kernels.info().sharedMemory }));
} catch (error) {
  const named = error instanceof PlatformError && error instanceof LaplaceError;
  console.log(JSON.stringify({ named, name: error.name, message: error.message, cause: error.cause?.name }));
}`,
  );
  const product = async (headers) => JSON.parse((await inChromium(folder, ["/product.mjs"], { headers }))[0]);
  const expect = (what, holds, found) => {
    if (!holds) throw new Error(`${what}: ${JSON.stringify(found)}`);
    console.log(what);
  };
  const plain = await product({});
  for (const [directive, headers] of [
    ["script-src", policy("script-src 'self' 'unsafe-inline'")],
    ["default-src", policy("default-src 'self' 'unsafe-inline'")],
  ]) {
    const refused = await product(headers);
    const says = refused.named && refused.name === "PlatformError" && refused.message.includes("'wasm-unsafe-eval'");
    expect(`A policy with a ${directive} that forbids WebAssembly is named`, says && refused.cause, refused);
  }
  const allowed = await product(policy("script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'"));
  expect("With 'wasm-unsafe-eval' the library computes", allowed.bits === plain.bits, allowed);
  const threaded = await product(isolated);
  expect("An isolated page shares memory and computes the same bits", threaded.shared && threaded.bits === plain.bits, {
    plain,
    threaded,
  });
  const lonely = await product({
    ...isolated,
    ...policy("script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'; worker-src 'none'"),
  });
  expect("A policy that forbids workers costs threads only", lonely.shared && lonely.bits === plain.bits, lonely);
}

/** Importing and computing without any permission; `--no-prompt` makes a question an error. */
function deno(folder) {
  writeFileSync(
    join(folder, "deno.mjs"),
    `import * as library from "laplace-ts";
import { estimates } from "./estimates.mjs";
const { batchedMatmul, chain, dense, kernels, laplace, mse, progressBar, randomNormal, relu, toyRegression, train } = library;
const a = randomNormal([500, 500], { seed: 1 });
const data = toyRegression({ samples: 50, seed: 1 });
const net = chain({ inputs: 1, seed: 1 }, dense(10, relu), dense(1));
await train(net, data, { loss: mse, epochs: 20, onProgress: progressBar({ write() {} }) });
const posterior = await laplace(net, { likelihood: "regression", checks: false }).fit(data);
console.log(batchedMatmul(a, a).data.reduce((sum, x) => sum + x, 0), posterior.logMarginalLikelihood(), kernels.info().build);
for (const [name, values] of Object.entries(await estimates(library))) {
  console.log(name, values.map((x) => x.toPrecision(9)).join(" "));
}`,
  );
  const expected = runOf(folder, "node@24", "deno.mjs");
  const run = runtime(folder, "deno@2");
  if (run === undefined) return;
  for (const flags of [[], ["--deny-env", "--deny-sys", "--deny-read"]]) {
    const found = run("run", "--no-prompt", ...flags, "deno.mjs");
    if (found !== expected) throw new Error(`Deno prints ${found} and Node ${expected}`);
  }
  console.log("Deno computes what Node does, and is asked for no permission");
}

/** @param folder where the packed library is installed */
export async function testRuntimes(folder) {
  deno(folder);
  await policies(folder);
  await examplesInFloat32(folder);
}
