// Packs the library, the command line and the importers of models, installs the tarballs in an empty folder and runs what the READMEs show there, and
// the programs of some pages of the documentation: as JavaScript in Node, as TypeScript through the compiler, and in a page of
// headless Chromium without any bundler. The command line fits, predicts, evaluates and runs the notebook there. Posteriors,
// and models of tables that it wrote, in this Node and in the current LTS, predict the same in that page. Then come other
// pages, and Deno: see test-runtimes.mjs. Pages that do not block are timed, so nothing should run beside: `--timed` does that part
// alone, `--but-timed` the others.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { inChromium } from "./chromium.mjs";
import { testBlocking } from "./test-blocking.mjs";
import { testPages } from "./test-pages.mjs";
import { alike, programsOf, testReadmes } from "./test-readmes.mjs";
import { testRuntimes } from "./test-runtimes.mjs";
import { testWorkers } from "./test-workers.mjs";

const root = resolve(import.meta.dirname, "..");
const [timed, others] = ["--but-timed", "--timed"].map((flag) => !process.argv.includes(flag));
const folder = mkdtempSync(join(tmpdir(), "laplace-ts-package-"));
const run = (command, args, options = {}) =>
  execFileSync(command, args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"], ...options });

/** Pages whose programs run from the tarball, in Node and in Chromium; all others run in the tests of the documentation. */
const pages = ["README.md", "docs/start.md", "docs/arrays.md", "docs/networks.md", "docs/files.md"];

/** Their programs, each with what it should print, if the page says. */
function examples() {
  return pages.flatMap((page) => {
    const found = programsOf(readFileSync(join(root, page), "utf8"));
    if (found.length === 0) throw new Error(`${page} has no program.`);
    return found.map((program, i) => ({ ...program, place: `${page}, program ${i + 1}` }));
  });
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

/** Every way that TypeScript resolves modules finds the declarations; that the package is ESM alone is meant. */
async function typesResolve(tarball) {
  const { types, problems = [] } = await checkPackage(createPackageFromTarballData(readFileSync(tarball)));
  const wrong = problems.filter(({ kind }) => kind !== "CJSResolvesToESM");
  if (types === false || wrong.length > 0) throw new Error(`Types do not resolve: ${JSON.stringify(wrong, null, 2)}`);
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

/** The installed importers: a network goes out as an ONNX file and comes back the same. */
function models() {
  const program = `
import { chain, dense, type Network, tanh } from "laplace-ts";
import { fromOnnx, type ImportedOnnx, toOnnx } from "laplace-ts-models";
const net: Network = chain({ inputs: 2, dtype: "float64" }, dense(3, tanh), dense(1));
const { network }: ImportedOnnx = fromOnnx(toOnnx(net));
if (network.forward([[1, 2]]).data[0] !== net.forward([[1, 2]]).data[0]) throw new Error("It came back another.");
`;
  writeFileSync(join(folder, "models.ts"), program);
  const tsc = [join(root, "node_modules/typescript/bin/tsc"), "--strict", "--module", "nodenext", "--target", "es2022"];
  run(process.execPath, [...tsc, "--types", "", "--lib", "es2022,dom", "--skipLibCheck", "false", "models.ts"], {
    stdio: "inherit",
  });
  run(process.execPath, ["models.js"]);
}

/** The installed cluster: a fit in two parts, without a queue, is the fit itself. */
function cluster() {
  const program = `
import { chain, dense, laplace, type Network, randomNormal, savePosterior, tanh } from "laplace-ts";
import { part, UnfinishedError } from "laplace-ts-cluster";
const net: Network = chain({ inputs: 30, seed: 1 }, dense(60, tanh), dense(20));
const data = { x: randomNormal([9000, 30]), y: randomNormal([9000, 20], { seed: 1 }) };
const approximation = laplace(net, { likelihood: "regression", structure: "kronecker", checks: false });
const store = "store";
const first: unknown = await approximation.fit(data, { on: part({ store, part: 1, parts: 2 }) }).catch((error: unknown) => error);
if (!(first instanceof UnfinishedError)) throw first;
const found = await approximation.fit(data, { on: part({ store, part: 2, parts: 2 }) });
const [there, here] = [found, await approximation.fit(data)].map((one) => savePosterior(one).join());
if (there !== here) throw new Error("Another posterior came of parts.");
`;
  writeFileSync(join(folder, "cluster.ts"), program);
  const tsc = [join(root, "node_modules/typescript/bin/tsc"), "--strict", "--module", "nodenext", "--target", "es2022"];
  run(process.execPath, [...tsc, "--types", "", "--lib", "es2022,dom", "--skipLibCheck", "cluster.ts"], {
    stdio: "inherit",
  });
  run(process.execPath, ["cluster.js"]);
}

/** What modules print in a page. */
const printed = async (modules) => (await inChromium(folder, modules)).join("\n");

/** All but what is timed. */
async function untimed(tarballs) {
  commandLine();
  models();
  cluster();
  const programs = examples();
  const names = programs.map(({ code }, i) => {
    writeFileSync(join(folder, `example${i}.ts`), `${code}\nexport {};\n`);
    return `example${i}`;
  });
  typeCheck(names.map((name) => `${name}.ts`));
  const emit = ["--noCheck", "--module", "nodenext", "--target", "es2022", ...names.map((name) => `${name}.ts`)];
  run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), ...emit]);
  const inNode = names.map((name) => run(process.execPath, [`${name}.js`]).trimEnd());
  programs.forEach(({ place, printed }, i) => {
    if (printed !== undefined && !alike(inNode[i], printed)) {
      throw new Error(`${place} prints\n${inNode[i]}\ninstead of\n${printed}`);
    }
  });
  console.log(`${inNode.join("\n")}\n${testReadmes(folder, run)}`);
  const inPage = await printed(names.map((name) => `/${name}.js`));
  if (!alike(inPage, inNode.join("\n"))) throw new Error(`Chromium printed something else than Node:\n${inPage}`);
  for (const name of ["estimates.mjs", "fit.mjs", "predict.mjs"])
    copyFileSync(join(root, "tools/across", name), join(folder, name));
  const tables = ["airquality.csv:Ozone", "iris.csv:species"].map((name) => join(root, "examples/data", name));
  run(process.execPath, ["fit.mjs", "predicted-this.json", ...tables]);
  run("npx", ["-y", "-p", "node@24", "--", "node", "fit.mjs", "predicted-lts.json", ...tables]);
  console.log(await printed(["/predict.mjs"]));
  await testRuntimes(folder);
  await testPages(folder);
  await testWorkers(folder);
  run(process.execPath, [join(root, "node_modules/publint/src/cli.js"), root], { stdio: "inherit" });
  await typesResolve(
    join(
      folder,
      tarballs.find((name) => /^laplace-ts-\d/.test(name)),
    ),
  );
  console.log(
    "The packed library runs the programs of README and docs in Node and in Chromium, with the same output but for rounding; the packed command line fits and predicts; posteriors and models of tables from Node predict the same in Chromium.",
  );
}

try {
  for (const cwd of [root, join(root, "cli"), join(root, "models"), join(root, "cluster")]) {
    run("npm", ["pack", "--ignore-scripts=false", "--loglevel=error", "--pack-destination", folder], { cwd });
  }
  const tarballs = readdirSync(folder).filter((name) => name.endsWith(".tgz"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "clean", private: true, type: "module" }));
  run("npm", ["install", "--loglevel=error", "--no-audit", "--no-fund", ...tarballs.map((name) => `./${name}`)]);
  if (others) await untimed(tarballs);
  if (timed) await testBlocking(folder);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
