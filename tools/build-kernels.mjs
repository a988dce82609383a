// Compiles src/kernels/assembly/ to WebAssembly and writes, into src/kernels/generated/,
//   assembly.ts  an instance for float32 and one for float64 of every generic kernel `export function name<T>(...)`
//                whose comment is not marked @internal,
//   plain.wasm   the plain build; the relaxed one is made of it when it is loaded,
//   wide.wasm    the kernels of the tile, with a wider one, for Node alone,
//   bytes.ts     the plain build, packed, as base64 text, and the module that unpacks it, for pages and bundles: the kernels
//                of every program, and parts that some programs need, beside each other, for gzip's window; where the
//                package's files are beside the program, in Node, plain.wasm is read, which has all,
//   types.ts     the kernels' signatures as TypeScript sees them.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import asc from "assemblyscript/asc";
import { pack } from "./pack.mjs";
import { plainSimd } from "./plain-simd.mjs";

const assembly = "src/kernels/assembly";
const generated = "src/kernels/generated";
const notice = "// Written by tools/build-kernels.mjs. Not to be edited.\n";

const declaration = /\/\*\*((?:[^*]|\*(?!\/))*)\*\/\nexport function (\w+)(<T>)?\(([^)]*)\): (\w+) \{/g;

/** The kernels that the tile makes. What keeps something between two calls is not among them: builds change between calls. */
const ofTiles = ({ name }) =>
  /^(gemmt?|syrk|cholesky|solveForward|solveBackward|rowGrams|weightedGramRows)$/.test(name);

/** Which kernels are in which part, by file and name; all programs have the rest. */
const parts = {
  eigh: ({ module }) => module.startsWith("eigh/"),
  jacobi: ({ module }) => module === "float64/jacobi",
  layers: ({ module, name }) => ["images", "normalise", "winograd"].includes(module) || name.startsWith("softmax"),
  classes: ({ name }) => /rossEntropy$|^spreadColumns$|^weightedGramRows$/.test(name),
  training: ({ module, name }) => module === "optimisers" || ["squaredError", "scaledDifference"].includes(name),
};
/** Where a part's static data lie, of its place in the list: the first bytes are those of what every program has. */
const DATA = 4096;

/** Every kernel: generic functions, and float64 ones in the folders beneath. */
function signatures() {
  const found = [];
  for (const file of readdirSync(assembly, { recursive: true }).sort()) {
    if (!file.endsWith(".ts")) continue;
    const text = readFileSync(join(assembly, file), "utf8");
    for (const [, comment, name, generic, list, result] of text.matchAll(declaration)) {
      const inFolder = file.includes("/") || file.includes("\\");
      if (comment.includes("@internal") || (generic === undefined && !inFolder)) continue;
      const parameters = list.split(",").map((part) => part.trim());
      if (parameters.at(-1) === "") parameters.pop();
      const module = file.slice(0, -3).replaceAll("\\", "/");
      const [part] = Object.entries(parts).find(([, has]) => has({ module, name })) ?? [];
      found.push({ module, name, parameters, result, part, types: generic === undefined ? ["f64"] : ["f32", "f64"] });
    }
  }
  return found;
}

/** @param part whether they work in the memory that another module has laid out */
function instances(kernels, part = false) {
  const lines = [notice];
  for (const { module, name } of kernels) lines.push(`import { ${name} } from "../assembly/${module}";\n`);
  lines.push(`\nexport { ${part ? "" : "scratchBytes, "}setScratch } from "../assembly/gemm";\n`);
  if (!part) lines.push("\nexport function heapBase(): usize {\n  return __heap_base;\n}\n");
  for (const { name, parameters, result, types } of kernels) {
    const values = parameters.map((parameter) => parameter.split(":")[0]).join(", ");
    for (const type of types) {
      const call = `${result === "void" ? "" : "return "}${name}${types.length > 1 ? `<${type}>` : ""}(${values});`;
      const list = parameters.join(", ").replaceAll(": T", `: ${type}`);
      lines.push(`\nexport function ${name}_${type}(${list}): ${result} {\n  ${call}\n}\n`);
    }
  }
  return lines.join("");
}

function types(kernels) {
  const script = (type) => (type === "bool" ? "boolean" : type === "void" ? "void" : "number");
  const members = (which) =>
    kernels
      .filter(which)
      .map(({ name, parameters, result }) => {
        const list = parameters.map((parameter) => {
          const [label, type] = parameter.split(":").map((part) => part.trim());
          return `${label}: ${script(type)}`;
        });
        return `  ${name}(${list.join(", ")}): ${script(result)};\n`;
      })
      .join("");
  return `${notice}
/** The kernels for one element type. Lengths and strides are in elements, pointers in bytes. */
export interface Kernels {
${members(({ types, part }) => types.length === 2 && part === undefined)}}

/** Those for float64, which has some of its own. */
export interface Float64Kernels extends Kernels {
${members(({ types, part }) => types.length === 1 && part === undefined)}}
${Object.keys(parts)
  .map(
    (name) => `
/** The part "${name}". */
export interface ${interfaceOf(name)} {
${members(({ part }) => part === name)}}
`,
  )
  .join("")}
/** Those of the tile, which the wide build has. */
export type TileKernels = Pick<
  AllKernels,
${kernels
  .filter(ofTiles)
  .map(({ name }) => `  | "${name}"\n`)
  .join("")}>;

/** All of float64. */
export interface AllKernels extends Float64Kernels, ${Object.keys(parts).map(interfaceOf).join(", ")} {}
`;
}

const interfaceOf = (name) => `${name[0].toUpperCase()}${name.slice(1)}Kernels`;

/** Compiles files of the assembly into a module. */
async function compile(files, to, options, readFile) {
  const { error, stderr } = await asc.main([...files, "-o", to, ...options.split(" ")], { readFile });
  if (error) throw new Error(`The kernels do not compile.\n${stderr.toString()}`);
}

const options =
  "-O3 --converge --runtime stub --noAssert --importMemory --maximumMemory 65536 --use abort= --enable simd --enable relaxed-simd";

/** gemm.ts with the product of another module. */
const foreignGemm =
  () => `${readFileSync(join(assembly, "gemm.ts"), "utf8").replace("export function gemm<T>", "function own<T>")}
${["f32", "f64"]
  .map(
    (type) => `
@external("env", "gemm_${type}")
declare function gemm_${type}(
  batch: usize, m: usize, n: usize, k: usize, a: usize, sa: usize, ra: usize, ca: usize,
  b: usize, sb: usize, rb: usize, cb: usize, c: usize, sc: usize, rc: usize, alpha: ${type}, add: bool,
): void;
`,
  )
  .join("")}
@inline
export function gemm<T>(
  batch: usize, m: usize, n: usize, k: usize, a: usize, sa: usize, ra: usize, ca: usize,
  b: usize, sb: usize, rb: usize, cb: usize, c: usize, sc: usize, rc: usize, alpha: T, add: bool,
): void {
  if (sizeof<T>() == 4) gemm_f32(batch, m, n, k, a, sa, ra, ca, b, sb, rb, cb, c, sc, rc, <f32>alpha, add);
  else gemm_f64(batch, m, n, k, a, sa, ra, ca, b, sb, rb, cb, c, sc, rc, <f64>alpha, add);
}
`;

/** Some of the kernels as a module, in plain operations. @param place of a part among the others; 0 is what every program has */
async function moduleOf(name, kernels, place) {
  const file = join(generated, `${name}.assembly.ts`);
  const wasm = join(generated, `${name}.relaxed.wasm`);
  writeFileSync(file, instances(kernels, place > 0));
  await compile([file], wasm, `${options}${place > 0 ? ` --memoryBase ${place * DATA}` : ""}`, (path, base = ".") => {
    if (place > 0 && path.endsWith("/gemm.ts")) return foreignGemm();
    const whole = join(base, path);
    return existsSync(whole) ? readFileSync(whole, "utf8") : null;
  });
  const module = plainSimd(readFileSync(wasm));
  for (const one of [file, wasm]) rmSync(one);
  const memory = new WebAssembly.Memory({ initial: 64, maximum: 65536 });
  new WebAssembly.Instance(new WebAssembly.Module(module.plain), { env: { memory, gemm_f32() {}, gemm_f64() {} } });
  if (new Uint8Array(memory.buffer).some((byte, i) => byte !== 0 && Math.floor(i / DATA) !== place)) {
    throw new Error(`The static data of the kernels of "${name}" have no room.`);
  }
  return module;
}

const text = (module) => Buffer.from(module).toString("base64");

/** A module as a text of the library. @param more of its properties */
const textOf = (name, { plain, fused }, packed, more = "") => `
/** ${name === "common" ? "The kernels of every program" : `Those of the part "${name}"`}. */
export const ${name}: ${more === "" ? "Text" : "Part"} = {
${more}  size: ${plain.length},
  fused: ${fused},
  packed:
    "${text(packed)}",
};
`;

async function writeTexts(kernels) {
  const { plain: whole } = plainSimd(readFileSync(join(generated, "relaxed.wasm")));
  writeFileSync(join(generated, "plain.wasm"), whole);
  const common = await moduleOf(
    "common",
    kernels.filter(({ part }) => part === undefined),
    0,
  );
  const modules = [];
  for (const [i, name] of Object.keys(parts).entries()) {
    const own = kernels.filter(({ part }) => part === name);
    modules.push({ name, first: own[0].name, ...(await moduleOf(name, own, i + 1)) });
  }
  const others = modules.map(({ plain }) => plain);
  const [packed, ...packedParts] = pack(common.plain, others);
  // Probabilities, two results, and what the second is packed into.
  const most = Math.max(...others.map(({ length }, i) => length + packedParts[i].length), packed.length);
  const pages = Math.ceil((80_000 + common.plain.length + most) / 65536);
  const unpacker = join(generated, "unpack.wasm");
  await compile([join(assembly, "unpack.ts")], unpacker, `-Oz --runtime stub --noAssert --initialMemory ${pages}`);
  const lines = [
    `${notice}
/** A packed module. */
export interface Text {
  /** Its bytes when it is unpacked. */
  readonly size: number;
  /** Operations that are fused in the relaxed build. */
  readonly fused: number;
  /** The plain build, packed, as base64 text. */
  readonly packed: string;
}

/** A part of the kernels, with the name of one of them. */
export interface Part extends Text {
  readonly first: string;
}

/** The bytes of the file that has all kernels. */
export const whole = ${whole.length};

/** The module that unpacks. */
export const unpacker = {
  module:
    "${text(readFileSync(unpacker))}",
};
`,
    textOf("common", common, packed),
    ...modules.map(({ name, first, ...module }, i) => textOf(name, module, packedParts[i], `  first: "${first}",\n`)),
  ];
  writeFileSync(join(generated, "bytes.ts"), lines.join(""));
}

/** Kernels with tile-wide.ts in the place of tile.ts. */
async function writeWide(kernels) {
  const file = join(generated, "wide.assembly.ts");
  const wasm = join(generated, "wide.wasm");
  writeFileSync(file, instances(kernels));
  await compile([file], wasm, options, (name, base = ".") => {
    const path = join(base, name.replace(/\btile\.ts$/, "tile-wide.ts"));
    return existsSync(path) ? readFileSync(path, "utf8") : null;
  });
  rmSync(file);
  const memory = new WebAssembly.Memory({ initial: 64, maximum: 65536 });
  // The runtime of the builder may lack relaxed SIMD: its bytes are those of the plain build elsewhere.
  new WebAssembly.Instance(new WebAssembly.Module(plainSimd(readFileSync(wasm)).plain), { env: { memory } });
  if (new Uint8Array(memory.buffer).some((byte) => byte !== 0)) {
    throw new Error("The wide kernels have static data, which would lie where others have theirs.");
  }
}

/** Compiles the kernels; throws with the compiler's messages where it refuses them. */
export async function buildKernels() {
  mkdirSync(generated, { recursive: true });
  const kernels = signatures();
  writeFileSync(join(generated, "assembly.ts"), instances(kernels));
  await compile([join(generated, "assembly.ts")], join(generated, "relaxed.wasm"), options);
  await writeWide(kernels.filter(ofTiles));
  await writeTexts(kernels);
  writeFileSync(join(generated, "types.ts"), types(kernels));
}
