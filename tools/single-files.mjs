// Writes entries of the package as one minified file each, for pages without a bundler: dist/<name>.min.js, with its source map,
// which names the sources that the package brings.
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { build } from "vite";

const root = resolve(import.meta.dirname, "..");

/**
 * What each file exports: an entry, or names of one, where a file of all would be too large for what it is for. One that is
 * `alone` has one thread, and no code for others: its memory is not shared, as where pages are not isolated.
 */
const files = {
  laplace: { entry: "src/index.ts" },
  worker: { entry: "src/worker.ts" },
  mini: {
    entry: "src/mini.ts",
    alone: true,
    without: ["diagonal", "ekfac", "functional", "kfoc", "kronecker", "lowRank"],
  },
};

/** The names of values that an entry exports. */
async function namesOf(entry) {
  const { exports } = await chunkOf(join(root, entry));
  return exports;
}

const ENTRY = "virtual:entry";

/** A text with others in the place of some of its parts. */
function replaced(text, ...pairs) {
  return pairs.reduce((now, [part, instead]) => {
    if (!now.includes(part)) throw new Error(`A file of one thread has other text for ${part}, which is not there.`);
    return now.replace(part, instead);
  }, text);
}

/**
 * What a file that is alone has in the place of others: memory of its own, no threads, and no file beside it, neither all kernels nor
 * the wide ones.
 */
const aloneIn = {
  "kernels/kernels.ts": (text) => replaced(text, ["fileOfNode() ?? ", ""]),
  "kernels/heap.ts": (text) => replaced(text, [`"SharedArrayBuffer" in globalThis`, "false"]),
  "kernels/parallel.ts": () => "export const largeProducts = {}, onAllThreads = (kernels) => kernels;",
  "kernels/threads.ts": () =>
    "export const makePool = () => undefined, threadCount = () => 1, setThreadCount = () => {}, runCalls = () => {}, giveModule = () => {};",
  "shards/executor.ts": (text) => replaced(text, [`on = usual, name = "on"`, "on"], [`\${name} must`, "on must"]),
  // Its one structure answers at once, and without draws.
  // Of those whom it waits for it wants nothing but that they end.
  "kernels/steps.ts": (text) =>
    replaced(
      text,
      ["if (work.steps)", "if (false)"],
      [".then((own) => {\n\t\tvalue = own;\n\t}, (error)", ".catch((error)"],
      ["throw failure[0];\n\treturn value;", "throw failure[0];"],
    ),
  "kernels/tape.ts": (text) => replaced(text, ["work.steps || writing()", "writing()"]),
  "prediction/cuts.ts": (text) => replaced(text, ["(sizes.curvature ?? sizes.solver)?.draws", "0"]),
  "structures/structure.ts": (text) =>
    replaced(
      text,
      ["draws: solver?.draws", ""],
      [" ?? drawn", ""],
      ["kind, rows }", "kind }"],
      ["\trows,\n", ""],
      [`signed: kind === "hessian",`, ""],
    ),
  // Its one structure has a single pass, and needs no points.
  "laplace/memory-estimate.ts": (text) =>
    replaced(
      text,
      ["passes.length > 1", "false"],
      ["last.dryBegin !== undefined", "false"],
      ['plan.points !== undefined || !(options.includes("points") || options.includes("solver"))', "true"],
    ),
  // Nothing in it makes a prior with a matrix, or an optimiser that draws: such options are refused.
  "training/options.ts": (text) =>
    replaced(
      text,
      [`(others || typeof prior?.learn !== "function")`, "true"],
      ["prior ?? given", "given"],
      ["epochs = isMinimiser(optimizer) ? optimizer.epochs : 100", "epochs = 100"],
      ["if (isMinimiser(optimizer)) {", "if (false) {"],
      ["const second = isMinimiser(optimizer);", "const second = false;"],
      ["given !== undefined && !second && !given?.learn", "given !== undefined"],
      ["if (given !== undefined && options.weightDecay !== undefined) {", "if (false) {"],
      ["optimizer?.step ?? optimizer?.begin", "optimizer?.step"],
    ),
  // None of its layers looks rows of a table up.
  "derivatives/lookup-tables.ts": () =>
    "export const isTable = () => false, [addToTables, eachTableRows, addTableSquares, scaleTableRows] = [];",
  // A batch is one shard.
  "training/batch-gradient.ts": (text) =>
    replaced(
      text,
      ["mean ? 1 / (counted || 1) : 1", "1 / (counted || 1)"],
      ["const seeds = seedsOf(of, given);", "const seeds = undefined;"],
      ["if (seeds === undefined) return", "return"],
    ),
  "training/train.ts": (text) =>
    replaced(
      text,
      ["gradients = batchSize > of.length ? gradientSharing(on)?.(of, options, on, epochs) : undefined;", ""],
      ["let gradients;", ""],
      ["samples, gradients, running, options, epochs);", "samples, running, options, epochs);"],
      ["samples, gradients, running, options, epochs) {", "samples, running, options, epochs) {"],
      ["await gradients?.end();", ""],
      ["if (gradients !== undefined) await inBursts(gradients.epoch(run), { signal });", ""],
      ['const on = readExecutor("train", options.on);', ""],
      ["batchesOf(net, rule, all)", "{ net, rule, data: all }"],
      // No layer of it mixes the examples of a batch.
      ["if (!isMinimiser(optimizer)) checkBatches(net, samples, batchSize);", ""],
      [`"begin" in optimizer ? optimizer.begin(problem) : optimizer`, "optimizer"],
      ["held.at = this.#plan.optimizer.draw?.(theta, state) ?? theta;", ""],
      ["theta: held.at", "theta"],
      ["const [theta, buffers, , ...state] = held.kept;", "const [theta, buffers] = held.kept;"],
      ["const { kept, at, gradient } = held;", "const { kept, gradient } = held;"],
      ["at, at, square", "theta, theta, square"],
      ["this.#plan.optimizer.finish?.()", "undefined"],
      ["this.learned?.add(kernels, theta, gradient) ?? 0", "0"],
      ["run.learned = evidence &&", "false &&"],
      ["run.learned &&", "undefined &&"],
      ["if (isMinimiser(optimizer)) {", "if (false) {"],
    ),
  "laplace/fitting.ts": (text) =>
    replaced(
      text,
      [`typeof given?.over !== "function" || priorPrecision !== undefined || priorMean !== undefined`, "true"],
      ["if (matrix !== undefined) await", "if (false) await"],
      ["this.#arriving = arriving;", ""],
      ["\n\t\t\tarriving: this.#arriving", ""],
      ["prior, arriving }", "prior }"],
    ),
  "posterior/evidence.ts": (text) =>
    replaced(
      text,
      ["matrix === undefined ? squares : yield* matrix.times(squares)", "squares"],
      ["if (matrix !== undefined) yield* matrix.prepare();", ""],
      ["precision.logDeterminantError", "undefined"],
    ),
  "posterior/tunable.ts": (text) => replaced(text, ["prior.matrix?.diagonal", "undefined"]),
  "diagnosis/minimum.ts": (text) => replaced(text, ["matrix && atOnce(", "undefined && atOnce("]),
  "curvature/rounds.ts": (text) =>
    replaced(
      text,
      ["passes.length > 1", "false"],
      ["planned.draw === undefined", "true"],
      // Nor does it take data that come in time.
      ["(arriving?.check ?? checkData)(where, data)", "checkData(where, data)"],
      ["arriving === undefined", "true"],
      [
        "(place, sums, level = 0) => tree.take(start / length / 2 ** level + place, sums, level)",
        "tree.take.bind(tree)",
      ],
      ["shardsOf(batches, length, start)", "shardsOf(batches, length)"],
      ["adds = false, arriving }", "adds = false }"],
      ["(some, start) =>", "(some) =>"],
      // Tests alone choose the length of shards.
      ["length: given, ", ""],
      ["given ?? lengthOfShard(plan, number)", "lengthOfShard(plan, number)"],
      ["through(data, 0)", "through(data)"],
      // Data that lie elsewhere are made by laplace-ts/executor.
      ["...some.far?.(where, plan, number, given)", ""],
      ["plan.keep?.(where, plan, data, first)", "undefined"],
      ["if (pass.done?.(results.at(-1), results.at(-3))) break;", ""],
      ["results = results.slice(-2);", ""],
      ["if (summary === undefined) continue;", ""],
      ["pass.after !== undefined", "false"],
      ["results.push(summary.curvature);", ""],
      ["before !== undefined && !sameData(plan, before, summary)", "false"],
    ),
  "curvature/accumulate.ts": (text) =>
    replaced(text, ["passesOf(plan).length > 1", "false"], ["if (squares !== undefined)", "if (false)"]),
  "curvature/shards.ts": (text) => replaced(text, [", start = 0)", ")"], ["let at = start", "let at = 0"]),
  "data/batches.ts": (text) =>
    replaced(
      text,
      [" || Symbol.asyncIterator in data", ""],
      ["asyncOf(data) !== undefined", `typeof data?.[Symbol.asyncIterator] === "function"`],
      [`A\${once}.`, `A${/const once = "(.*?)"/.exec(text)[1]}.`],
    ),
  "curvature/plan.ts": (text) =>
    replaced(
      text,
      ["drawn, rows, basis", "drawn, basis"],
      ["points?.shape[0] ?? drawn ?? rows", "points"],
      ["readOwn === undefined ? plan : {", "true ? plan : {"],
      [`!options.includes("basis") || !hasBasis(basis) || takesBasis?.(basis) === false`, "true"],
    ),
};

/** An entry's one file. @param code of the entry, where it is none of the library's */
async function chunkOf(input, code, alone = false) {
  const entry = {
    name: "entry",
    resolveId: (id) => (id === ENTRY ? id : undefined),
    load: (id) => (id === ENTRY ? code : undefined),
    transform(text, id) {
      const [, file] = id.match(/src\/([\w-]+\/[\w-]+\.ts)$/) ?? [];
      const instead = alone ? aloneIn[file]?.(text) : undefined;
      return instead === undefined ? undefined : { code: instead, map: null };
    },
  };
  const { output } = await build({
    root,
    configFile: false,
    logLevel: "error",
    plugins: [entry],
    build: {
      write: false,
      target: "es2022",
      minify: true,
      sourcemap: true,
      outDir: "dist",
      rollupOptions: { input, preserveEntrySignatures: "strict" },
    },
  });
  const chunks = output.filter(({ type }) => type === "chunk");
  if (chunks.length !== 1) throw new Error(`${input} became ${chunks.length} files.`);
  return chunks[0];
}

/** A map as the package has it: the sources are files beside it. */
function mapOf({ map }, name) {
  const { sourcesContent, sources, ...rest } = JSON.parse(map.toString());
  const places = sources.map((path) => path.slice(path.indexOf("src/")));
  return JSON.stringify({
    ...rest,
    file: name,
    sources: places.map((path) => (path.startsWith("src/") ? `../${path}` : path)),
  });
}

/** Writes them into a folder beside `src`. */
export async function writeSingleFiles(folder) {
  for (const [file, { entry, alone, without = [] }] of Object.entries(files)) {
    const names = without.length > 0 ? (await namesOf(entry)).filter((name) => !without.includes(name)) : undefined;
    const chunk =
      names === undefined
        ? await chunkOf(join(root, entry))
        : await chunkOf(ENTRY, `export { ${names.join(", ")} } from ${JSON.stringify(join(root, entry))};`, alone);
    const name = `${file}.min.js`;
    const code = chunk.code.replace(/\n?\/\/# sourceMappingURL=.*\s*$/, "");
    writeFileSync(join(root, folder, name), `${code.trimEnd()}\n//# sourceMappingURL=${name}.map\n`);
    writeFileSync(join(root, folder, `${name}.map`), mapOf(chunk, name));
  }
}

if (process.argv[1] === import.meta.filename) await writeSingleFiles("dist");
