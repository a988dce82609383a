// Other runtimes, from npm: another Node, Deno, Bun.
import { execFileSync } from "node:child_process";

/** What a program of an npm package, such as node@24, prints. */
export const runOf = (folder, name, ...args) =>
  execFileSync("npx", ["-y", "-p", name, "--", name.split("@")[0], ...args], { cwd: folder, encoding: "utf8" }).trim();

/** A runtime as `runOf` has it, by its arguments; undefined, with a line, where npm cannot install it. */
export function runtime(folder, name) {
  try {
    runOf(folder, name, "--version");
  } catch (error) {
    console.log(`NOT TRIED: ${name}, which npm cannot install here: ${error.message.split("\n")[0]}`);
    return undefined;
  }
  return (...args) => runOf(folder, name, ...args);
}
