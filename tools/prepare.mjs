// Makes a fresh clone ready: installs the locked dependencies, then builds the kernels, the library and the examples,
// each only where its inputs changed since the last time. `--force` builds regardless, `--bench` builds the benchmarks
// too. Of several at the same time one works, and the others wait and find it done. Writes to stderr only.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { lock as alone } from "./lock.mjs";

process.chdir(join(dirname(fileURLToPath(import.meta.url)), ".."));
const force = process.argv.includes("--force");

function filesUnder(path) {
  if (!existsSync(path)) return [];
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .sort()
    .flatMap((name) => filesUnder(join(path, name)));
}

function fingerprint(paths) {
  const hash = createHash("sha256");
  for (const file of paths.flatMap(filesUnder)) hash.update(file).update("\0").update(readFileSync(file)).update("\0");
  return hash.digest("hex");
}

function run(command, args) {
  // The child's standard output joins our standard error: standard output belongs to the program that follows.
  execFileSync(command, args, { stdio: ["ignore", 2, 2], shell: process.platform === "win32" });
}

/** Runs `build` if the inputs' fingerprint is not the one in the stamp file, or an output is missing. */
async function step(name, { inputs, outputs, stamp }, build) {
  const now = fingerprint(inputs);
  const fresh = existsSync(stamp) && readFileSync(stamp, "utf8") === now && outputs.every((file) => existsSync(file));
  if (fresh && !(force && name !== "Installing dependencies")) return;
  process.stderr.write(`${name} …\n`);
  rmSync(stamp, { force: true });
  await build();
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, now);
}

const pagesOfDocs = () =>
  readdirSync("docs")
    .filter((name) => name.endsWith(".md"))
    .map((name) => join("docs", name));

const tsc = (project) => run(process.execPath, ["node_modules/typescript/bin/tsc", "-p", project]);
/** Puts the kernels that Node reads as files beside the library. */
function addKernels(folder) {
  for (const name of ["plain.wasm", "wide.wasm"])
    cpSync(`src/kernels/generated/${name}`, `${folder}/kernels/generated/${name}`);
}
const lock = "package-lock.json";

try {
  await alone("build/prepare.lock", (pid) => process.stderr.write(`Waiting for process ${pid}, which prepares …\n`));
  await step(
    "Installing dependencies",
    { inputs: [lock], outputs: [], stamp: "node_modules/.laplace-installed" },
    // Child npm processes inherit this one's settings through the environment, banner and silence included.
    () => run("npm", ["ci", "--loglevel=error", "--no-audit", "--no-fund"]),
  );
  await step(
    "Compiling the kernels",
    {
      inputs: ["src/kernels/assembly", "tools/build-kernels.mjs", "tools/pack.mjs", "tools/plain-simd.mjs", lock],
      outputs: ["src/kernels/generated/types.ts", "src/kernels/generated/bytes.ts"],
      stamp: "build/kernels.stamp",
    },
    async () => (await import("./build-kernels.mjs")).buildKernels(),
  );
  await step(
    "Building the library",
    {
      inputs: ["src", "tsconfig.json", "tsconfig.build.json", "tools/single-files.mjs", "tools/node-files.mjs", lock],
      outputs: ["dist/index.js", "dist/laplace.min.js", "dist/node/index.js"],
      stamp: "build/library.stamp",
    },
    async () => {
      rmSync("dist", { recursive: true, force: true });
      tsc("tsconfig.build.json");
      addKernels("dist");
      await (await import("./single-files.mjs")).writeSingleFiles("dist");
      await (await import("./node-files.mjs")).writeNodeFiles("dist");
      addKernels("dist/node");
    },
  );
  await step(
    "Writing AGENTS.md and llms.txt",
    {
      inputs: [
        "README.md",
        "CONTRIBUTING.md",
        "package.json",
        "docs/.vitepress/config.mjs",
        "tools/llms.mjs",
        ...pagesOfDocs(),
      ],
      outputs: ["AGENTS.md", "llms.txt"],
      stamp: "build/agents.stamp",
    },
    async () => (await import("./llms.mjs")).writeForAgents(),
  );
  await step(
    "Building the examples",
    {
      inputs: ["src", "examples", "tsconfig.json", "tsconfig.examples.json", lock],
      outputs: [],
      stamp: "build/examples.stamp",
    },
    () => {
      rmSync("build/examples", { recursive: true, force: true });
      tsc("tsconfig.examples.json");
      for (const name of readdirSync("examples")) {
        if (name.endsWith(".json")) cpSync(join("examples", name), join("build/examples", name));
      }
      cpSync("examples/data", "build/examples/data", { recursive: true });
    },
  );
  await step(
    "Building the importers of models",
    {
      inputs: ["src", "models/src", "models/tsconfig.json", "tsconfig.json", lock],
      outputs: ["models/dist/index.js"],
      stamp: "build/models.stamp",
    },
    () => {
      rmSync("models/dist", { recursive: true, force: true });
      tsc("models/tsconfig.json");
    },
  );
  await step(
    "Building the cluster",
    {
      inputs: ["src", "cluster/src", "cluster/tsconfig.json", "tsconfig.json", lock],
      outputs: ["cluster/dist/index.js"],
      stamp: "build/cluster.stamp",
    },
    () => {
      rmSync("cluster/dist", { recursive: true, force: true });
      tsc("cluster/tsconfig.json");
    },
  );
  await step(
    "Building the command line",
    {
      inputs: ["src", "models/src", "cluster/src", "cli/src", "examples", "cli/tsconfig.json", "tsconfig.json", lock],
      outputs: ["cli/dist/main.js", "cli/dist/notebook/batched-gradients.js"],
      stamp: "build/cli.stamp",
    },
    () => {
      rmSync("cli/dist", { recursive: true, force: true });
      tsc("cli/tsconfig.json");
      // `laplace notebook` is the main job as it was built.
      for (const name of ["batched-gradients.js", "batched-gradients.data.json", "draw.js", "measure.js"]) {
        cpSync(join("build/examples", name), join("cli/dist/notebook", name));
      }
    },
  );
  if (process.argv.includes("--bench")) {
    await step(
      "Building the benchmarks",
      {
        inputs: ["src", "bench", "cli/src", "tsconfig.json", "tsconfig.bench.json", lock],
        outputs: [],
        stamp: "build/bench.stamp",
      },
      () => {
        rmSync("build/bench", { recursive: true, force: true });
        tsc("tsconfig.bench.json");
        addKernels("build/bench/src");
      },
    );
  }
} catch (error) {
  process.stderr.write(`${error.status === undefined ? error.stack : error.message}\n`);
  process.exit(1);
}
