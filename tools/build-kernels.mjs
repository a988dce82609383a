// Compiles src/kernels/assembly/ to WebAssembly and writes, into src/kernels/generated/,
//   assembly.ts  an instance of every generic kernel `export function name<T>(...)` for float32 and float64,
//   wasm.ts      the module's bytes as base64 text (so that Node, browsers and bundlers load it alike),
//   types.ts     the kernels' signatures as TypeScript sees them.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import asc from "assemblyscript/asc";

const assembly = "src/kernels/assembly";
const generated = "src/kernels/generated";
const notice = "// Written by tools/build-kernels.mjs. Not to be edited.\n";

function signatures() {
  const found = [];
  for (const file of readdirSync(assembly).sort()) {
    if (!file.endsWith(".ts")) continue;
    const text = readFileSync(join(assembly, file), "utf8");
    for (const [, name, list, result] of text.matchAll(/^export function (\w+)<T>\(([^)]*)\): (\w+) \{/gm)) {
      const parameters = list.split(",").map((part) => part.trim());
      if (parameters.at(-1) === "") parameters.pop();
      found.push({ module: file.slice(0, -3), name, parameters, result });
    }
  }
  return found;
}

function instances(kernels) {
  const lines = [notice];
  for (const { module, name } of kernels) lines.push(`import { ${name} } from "../assembly/${module}";\n`);
  lines.push("\nexport function heapBase(): usize {\n  return __heap_base;\n}\n");
  for (const { name, parameters, result } of kernels) {
    const values = parameters.map((parameter) => parameter.split(":")[0]).join(", ");
    for (const type of ["f32", "f64"]) {
      const call = `${result === "void" ? "" : "return "}${name}<${type}>(${values});`;
      lines.push(`\nexport function ${name}_${type}(${parameters.join(", ")}): ${result} {\n  ${call}\n}\n`);
    }
  }
  return lines.join("");
}

function types(kernels) {
  const script = (type) => (type === "bool" ? "boolean" : type === "void" ? "void" : "number");
  const lines = kernels.map(({ name, parameters, result }) => {
    const list = parameters.map((parameter) => {
      const [label, type] = parameter.split(":").map((part) => part.trim());
      return `${label}: ${script(type)}`;
    });
    return `  ${name}(${list.join(", ")}): ${script(result)};\n`;
  });
  return `${notice}\n/** The kernels for one element type. Lengths and strides are in elements, pointers in bytes. */\nexport interface Kernels {\n${lines.join("")}}\n`;
}

/** Compiles the kernels; throws with the compiler's messages where it refuses them. */
export async function buildKernels() {
  mkdirSync(generated, { recursive: true });
  const kernels = signatures();
  writeFileSync(join(generated, "assembly.ts"), instances(kernels));
  const options = "-O3 --runtime stub --noAssert --importMemory --enable simd --use abort=".split(" ");
  const wasm = join(generated, "kernels.wasm");
  const { error, stderr } = await asc.main([join(generated, "assembly.ts"), ...options, "-o", wasm]);
  if (error) throw new Error(`The kernels do not compile.\n${stderr.toString()}`);
  const base64 = readFileSync(wasm).toString("base64");
  writeFileSync(join(generated, "wasm.ts"), `${notice}export const simd: string =\n  "${base64}";\n`);
  writeFileSync(join(generated, "types.ts"), types(kernels));
}
