// Compiles and runs the programs in the documentation's pages: every block of TypeScript is one, and of JavaScript each that
// is followed by what it prints. Where a block of text follows, it is what the program prints, but for the last digits. The
// script of a page in HTML runs with an empty document, and what it leaves in the body is its output. A program that warns
// has failed.
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { format } from "node:util";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = join(root, "build/docs/programs");

/** The programs of a page, each with the text it should print, if the page says. */
function programsOf(page) {
  const text = readFileSync(join(root, "docs", `${page}.md`), "utf8");
  const blocks = text.matchAll(/^```(\w+)\n([\s\S]*?)^```$\s*(?:^```text\n([\s\S]*?)^```$)?/gm);
  const found = [...blocks].flatMap(([, language, code, due]) => {
    if (language === "ts") return [{ code, due, inPage: false }];
    // Of JavaScript those that say what they print; their types are not checked.
    if (language === "js" && due !== undefined) return [{ code: `// @ts-nocheck\n${code}`, due, inPage: false }];
    if (language !== "html") return [];
    const script = code.match(/<script type="module">\n([\s\S]*?)<\/script>/);
    if (script === null) throw new Error(`docs/${page}.md: a block of HTML has no module to run.`);
    return [{ code: script[1], due, inPage: true }];
  });
  return found.map((program, i) => ({
    ...program,
    place: `docs/${page}.md, program ${i + 1}`,
    name: `${page}-${i + 1}`,
  }));
}

/** Words are the same, numbers up to what another build of the kernels explains, and spaces do not count. */
function alike(printed, due) {
  const [words, others] = [printed, due].map((text) => text.trim().split(/[\s,]+/));
  const close = (a, b) => a === b || Math.abs(a - b) <= 1e-2 * Math.max(Math.abs(a), 1e-1);
  return words.length === others.length && words.every((word, i) => close(word, others[i]));
}

/** What a program prints. @throws Error for one that warns, or its own */
async function outputOf({ name, inPage }) {
  const [lines, warnings] = [[], []];
  const { log, warn } = console;
  console.log = (...values) => lines.push(format(...values));
  console.warn = (...values) => warnings.push(format(...values));
  const body = { textContent: "" };
  if (inPage) globalThis.document = { body };
  try {
    await import(pathToFileURL(join(folder, "out", `${name}.js`)));
  } finally {
    Object.assign(console, { log, warn });
    delete globalThis.document;
  }
  if (warnings.length > 0) throw new Error(`it warns: ${warnings.join("\n")}`);
  return inPage ? body.textContent : lines.join("\n");
}

const pages = readdirSync(join(root, "docs")).filter((file) => file.endsWith(".md"));
const programs = pages.flatMap((file) => programsOf(file.slice(0, -3)));
if (programs.length === 0) throw new Error("The documentation has no programs.");
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
for (const { name, code } of programs) writeFileSync(join(folder, `${name}.ts`), `${code}\nexport {};\n`);

// As strict as projects are, and without the repository's own settings.
const compilerOptions = {
  strict: true,
  module: "nodenext",
  target: "es2022",
  lib: ["es2023", "dom"],
  types: ["node"],
  typeRoots: [join(root, "node_modules/@types")],
  skipLibCheck: true,
  rootDir: ".",
  outDir: "out",
};
writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
const failures = [];
const tsc = join(root, "node_modules/typescript/bin/tsc");
const compiled = spawnSync(process.execPath, [tsc, "-p", folder], { cwd: folder, encoding: "utf8" });
if (compiled.status !== 0) failures.push(`Types:\n${compiled.stdout}${compiled.stderr}`);
for (const program of programs) {
  try {
    const printed = await outputOf(program);
    if (program.due !== undefined && !alike(printed, program.due)) {
      failures.push(`${program.place} prints\n${printed}\ninstead of\n${program.due}`);
    }
  } catch (error) {
    failures.push(`${program.place}: ${error.stack}`);
  }
}
for (const failure of failures) console.error(failure);
console.log(`${programs.length} programs of the documentation, ${failures.length} failures`);
process.exitCode = failures.length === 0 ? 0 : 1;
