// Compiles src/kernels/assembly/ to WebAssembly and writes, into src/kernels/generated/,
//   assembly.ts  an instance for float32 and one for float64 of every generic kernel `export function name<T>(...)`
//                whose comment is not marked @internal,
//   plain.wasm   the plain build; the relaxed one is made of it when it is loaded,
//   wide.wasm    a build for Node alone,
//   bytes.ts     the plain build, packed, as base64 text, and the module that unpacks it, for pages and bundles; where
//                the package's files are beside the program, in Node, plain.wasm is read,
//   types.ts     the kernels' signatures as TypeScript sees them.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import asc from "assemblyscript/asc";
import { pack } from "./pack.mjs";
import { plainSimd } from "./plain-simd.mjs";

const assembly = "src/kernels/assembly";
const generated = "src/kernels/generated";
const notice = "// Written by tools/build-kernels.mjs. Not to be edited.\n";

const declaration = /\/\*\*((?:[^*]|\*(?!\/))*)\*\/\nexport function (\w+)(<T>)?\(([^)]*)\): (\w+) \{/g;

/** The builds of the same source. "wide" has tile-wide.ts in the place of tile.ts. */
const builds = {
  relaxed: { wide: false },
  wide: { wide: true },
};

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
      found.push({ module, name, parameters, result, types: generic === undefined ? ["f64"] : ["f32", "f64"] });
    }
  }
  return found;
}

function instances(kernels) {
  const lines = [notice];
  for (const { module, name } of kernels) lines.push(`import { ${name} } from "../assembly/${module}";\n`);
  lines.push('\nexport { scratchBytes, setScratch } from "../assembly/gemm";\n');
  lines.push("\nexport function heapBase(): usize {\n  return __heap_base;\n}\n");
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
  const members = (count) =>
    kernels
      .filter(({ types }) => types.length === count)
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
${members(2)}}

/** Those for float64, which has some of its own. */
export interface Float64Kernels extends Kernels {
${members(1)}}
`;
}

/** Compiles files of the assembly into a module. */
async function compile(files, to, options, readFile) {
  const { error, stderr } = await asc.main([...files, "-o", to, ...options.split(" ")], { readFile });
  if (error) throw new Error(`The kernels do not compile.\n${stderr.toString()}`);
}

async function bytes() {
  const { plain, fused } = plainSimd(readFileSync(join(generated, "relaxed.wasm")));
  writeFileSync(join(generated, "plain.wasm"), plain);
  const packed = pack(plain);
  // The result, what is packed, and 19,000 probabilities.
  const pages = Math.ceil((plain.length + packed.length + 80_000) / 65536);
  const unpacker = join(generated, "unpack.wasm");
  const options = `-Oz --runtime stub --noAssert --initialMemory ${pages}`;
  await compile([join(assembly, "unpack.ts")], unpacker, options);
  const text = (module) => Buffer.from(module).toString("base64");
  return `${notice}
/** The bytes of the plain build. */
export const size = ${plain.length};

/** Operations that are fused in the relaxed build. */
export const fused = ${fused};

/** The module that unpacks. */
export const unpacker: string =
  "${text(readFileSync(unpacker))}";

/** The plain build, packed. */
export const packed: string =
  "${text(packed)}";
`;
}

/** Compiles the kernels; throws with the compiler's messages where it refuses them. */
export async function buildKernels() {
  mkdirSync(generated, { recursive: true });
  const kernels = signatures();
  writeFileSync(join(generated, "assembly.ts"), instances(kernels));
  for (const [build, { wide }] of Object.entries(builds)) {
    const wasm = join(generated, `${build}.wasm`);
    const readFile = (name, base = ".") => {
      const path = join(base, wide ? name.replace(/\btile\.ts$/, "tile-wide.ts") : name);
      return existsSync(path) ? readFileSync(path, "utf8") : null;
    };
    const options =
      "-O3 --converge --runtime stub --noAssert --importMemory --maximumMemory 65536 --use abort= --enable simd --enable relaxed-simd";
    await compile([join(generated, "assembly.ts")], wasm, options, readFile);
  }
  writeFileSync(join(generated, "bytes.ts"), await bytes());
  writeFileSync(join(generated, "types.ts"), types(kernels));
}
