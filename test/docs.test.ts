// The documentation: its lists name what there is. Its programs are run, and its links
// followed, as the site is built: `npm run docs`.

import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import * as models from "laplace-ts-models";
import { beforeAll, describe, expect, test } from "vitest";
import * as library from "../src/index.ts";

// Does nothing where the build is up to date.
beforeAll(() => execFileSync(process.execPath, ["tools/prepare.mjs"], { stdio: "ignore" }), 300_000);

interface Row {
  readonly feature: string;
  readonly laplaceRedux: string | null;
  readonly laplaceTorch: string | null;
  readonly ours: string | null;
  readonly status: "yes" | "differs" | "no";
  readonly note?: string;
  /** Exports, and members of them, that `ours` uses. */
  readonly names: readonly string[];
  /** A file and a test in it that shows the row to be true. */
  readonly test?: string;
}

describe("compatibility.json", () => {
  const sections: { section: string; rows: Row[] }[] = JSON.parse(readFileSync("docs/compatibility.json", "utf8"));
  const rows = sections.flatMap((section) => section.rows);

  test("names what the library exports, as it is typed", () => {
    const names = [...new Set(rows.flatMap((row) => row.names))];
    expect(names.length).toBeGreaterThan(30);
    const types = names.map((name) => {
      const [top, ...members] = name.split(".");
      // A class that is exported is its instances here; a function or an object is its own type.
      const home = top in models ? "models" : "library";
      const type =
        (top in library || top in models) && members.length === 0 ? `typeof ${home}.${top}` : `${home}.${top}`;
      return `export type ${name.replaceAll(".", "_")}_ = ${type}${members.map((member) => `["${member}"]`).join("")};`;
    });
    const folder = "build/docs/names";
    mkdirSync(folder, { recursive: true });
    const imports = `import type * as library from "laplace-ts";\nimport type * as models from "laplace-ts-models";\n`;
    writeFileSync(join(folder, "names.ts"), `${imports}${types.join("\n")}\n`);
    const compilerOptions = {
      strict: true,
      noEmit: true,
      module: "nodenext",
      lib: ["es2023", "dom"],
      skipLibCheck: true,
    };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["names.ts"] }));
    const { stdout } = spawnSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", folder], {
      encoding: "utf8",
    });
    expect(stdout).toBe("");
  });

  test.each(rows.map((row) => [row.feature, row] as const))("%s", (_, row) => {
    expect(["yes", "differs", "no"]).toContain(row.status);
    if (row.status === "no") {
      expect({ ours: row.ours, names: row.names, test: row.test }).toEqual({ ours: null, names: [], test: undefined });
      return;
    }
    if (row.status === "differs") expect(row.note).toBeTruthy();
    expect(row.names.length).toBeGreaterThan(0);
    // The call that is shown is about the names that are checked.
    const shown = `${row.ours} ${row.note}`;
    const seen = row.names.filter((name) => shown.includes(name.split(".").at(-1) as string));
    expect(seen.length).toBeGreaterThan(0);
    const [file, title] = (row.test as string).split(" › ");
    expect(existsSync(file), file).toBe(true);
    expect(readFileSync(file, "utf8")).toContain(title);
  });
});

describe("the page of the command line", () => {
  const page = readFileSync("docs/command-line.md", "utf8");
  const program = resolve("cli/laplace.js");
  const laplace = (args: readonly string[], cwd = ".") =>
    spawnSync(process.execPath, [program, ...args], { cwd, encoding: "utf8" });
  const commands = [...laplace(["--help"]).stdout.matchAll(/^ {2}(\w+) .*\[options\]/gm)].map(([, name]) => name);

  test("names every command and every option, and no others", () => {
    expect(commands.length).toBeGreaterThan(5);
    for (const command of commands) expect(page).toMatch(new RegExp(`^## .*\\b${command}\\b`, "m"));
    const listed = commands.flatMap((command) => laplace([command, "--help"]).stdout.match(/^ .*?--[\w-]+/gm) ?? []);
    const options = new Set(listed.map((line) => line.slice(line.indexOf("--"))));
    const named = new Set([...page.matchAll(/`(--[\w-]+)/g)].map(([, name]) => name));
    expect([...named].sort()).toEqual([...options].sort());
  });
});

describe("the README", () => {
  const readme = readFileSync("README.md", "utf8");

  test("shows on its first screen what it is for", () => {
    const screen = readme.split("\n").slice(0, 40).join("\n");
    for (const part of ["npm start", "npm test", "docs/public/band.svg", "npx laplace-ts-cli fit"]) {
      expect(screen).toContain(part);
    }
    // The three lines are those of the program below, which the test of the package runs.
    const lines = (screen.match(/```js\n([\s\S]*?)```/)?.[1] ?? "").trim().split("\n");
    expect(lines).toHaveLength(3);
    const programs = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code);
    const words = (line: string) => line.replace(/\s*\/\/.*$/, "").replace(/, functionVariance/, "");
    const three = programs.filter((code) => lines.every((line) => code.split("\n").map(words).includes(line)));
    expect(three.length).toBeGreaterThan(0);
  });
});

/** Links in Markdown to files of the repository. */
const pages = [
  "README.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  ...readdirSync("docs").map((name) => `docs/${name}`),
].filter((name) => name.endsWith(".md"));
test.each(pages)("%s: links and paths lead to files", (page) => {
  const text = readFileSync(page, "utf8").replace(/^```[\s\S]*?^```$/gm, "");
  for (const [, link] of text.matchAll(/\]\(([^)\s#]+)[^)]*\)/g)) {
    if (/^https:\/\//.test(link)) continue;
    // The API's pages are made when the site is built, which checks them.
    if (link.startsWith("./api/")) continue;
    const path = join(dirname(page), link);
    expect([path, `${path}.md`].some(existsSync), `${page} links to ${link}`).toBe(true);
  }
  for (const [, path] of text.matchAll(/`((?:src|test|examples|tools|docs|bench|cli)\/[\w./-]*\w)`/g)) {
    expect(existsSync(path), `${page} names ${path}`).toBe(true);
  }
});
