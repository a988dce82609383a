// What the packages' READMEs show, as they are in the packed tarballs: programs print what stands below them, commands run
// one after the other, the summary of a table is the command line's, and pictures and files are there.
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");

/** The programs of a page, each with the text that follows it, if one does. */
export function programsOf(page) {
  const blocks = page.matchAll(/^```ts\n([\s\S]*?)^```$\s*(?:^```text\n([\s\S]*?)^```$)?/gm);
  return [...blocks].map(([, code, printed]) => ({ code, printed }));
}

/**
 * Whether two texts agree but for spaces, how lists are printed, and the last digits: Chromium may run another build of the
 * kernels than Node.
 */
export function alike(text, other) {
  const [words, others] = [text, other].map((one) => one.split(/[\s,[\]{}'"]+/).filter((word) => word !== ""));
  const close = (a, b) => a === b || Math.abs(a - b) <= 1e-3 * Math.max(Math.abs(a), 1e-2);
  return words.length === others.length && words.every((word, i) => close(word, others[i]));
}

/** Scripts of a clone, which a tarball does not have; the whole check runs them. */
const ofClones = /^npm (?:start|test)\b/;

/** Runs the commands of a page in a folder with a table of its own. @throws Error for one that fails */
function runCommands(page, folder, run) {
  const shown = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].flatMap(([, lines]) => lines.trim().split("\n"));
  const commands = shown.map((line) => line.replace(/\s+#.*$/, "")).filter((line) => !ofClones.test(line));
  if (commands.length === 0) throw new Error("A README shows no command that can run.");
  const table = readFileSync(join(root, "examples/data/airquality.csv"), "utf8").replace("Ozone", "price");
  for (const name of ["data.csv", "new.csv"]) writeFileSync(join(folder, name), table);
  for (const line of commands) {
    const [program, ...args] = line.split(" ");
    if (program !== "npx") throw new Error(`A README shows a command that is not tried: ${line}`);
    // What is installed, and nothing from a registry.
    run("npx", ["--no-install", ...args], { cwd: folder });
  }
  return commands.length;
}

/** The pictures and files of a page are in its package. @throws Error */
function findFiles(page, from) {
  for (const [, picture, link] of page.matchAll(/(!?)\[[^\]]*\]\(([^)\s]+)\)/g)) {
    if (link.startsWith("https://")) continue;
    if (!existsSync(join(from, link))) throw new Error(`${from}: the README's ${link} is not in the tarball.`);
    if (picture !== "" && !/^<svg[^>]* xmlns=/.test(readFileSync(join(from, link), "utf8"))) {
      throw new Error(`${from}: ${link} is not a picture that stands alone.`);
    }
  }
}

/** Tests both, installed in `folder`. @param run runs a program in it and gives what it prints */
export function testReadmes(folder, run) {
  const packages = ["laplace-ts", "laplace-ts-cli"].map((name) => join(folder, "node_modules", name));
  const pages = packages.map((from) => readFileSync(join(from, "README.md"), "utf8"));
  const commands = pages.map((page, i) => {
    const own = join(folder, `readme${i}`);
    mkdirSync(own);
    findFiles(page, packages[i]);
    return runCommands(page, own, run);
  });

  const [, page] = pages;
  const [, summary] = page.match(/^```text\n([\s\S]*?)^```$/m) ?? [];
  copyFileSync(join(root, "examples/data/airquality.csv"), join(folder, "readme1/airquality.csv"));
  const fit = ["--no-install", "laplace", "fit", "airquality.csv", "--target", "Ozone"];
  const printed = run("npx", fit, { cwd: join(folder, "readme1") });
  if (!alike(printed, summary)) throw new Error(`cli/README.md shows another summary than\n${printed}`);

  // Both packages suit each other, and what they depend on.
  const listed = execFileSync("npm", ["ls", "--json", "--omit=dev"], { cwd: folder, encoding: "utf8" });
  if ("problems" in JSON.parse(listed)) throw new Error(`npm ls finds problems: ${listed}`);
  return `${commands.join(" and ")} commands of the READMEs run, their pictures and files are in the tarballs`;
}
