// What registries and their pages show of the packages.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

const read = (path: string) => readFileSync(path, "utf8");
const manifest = (folder: string) => JSON.parse(read(`${folder}/package.json`));

const home = "https://laplace-ts.github.io/laplace-ts/";
const source = "https://github.com/laplace-ts/laplace-ts";

describe.each([".", "cli", "docs"])("%s/package.json", (folder) => {
  const found = manifest(folder);

  test("says where the project lives", () => {
    expect(found.homepage.startsWith(home)).toBe(true);
    expect(found.bugs).toBe(`${source}/issues`);
    expect(found.license).toBe("MIT");
    const directory = folder === "." ? {} : { directory: folder };
    expect(found.repository).toEqual({ type: "git", url: `git+${source}.git`, ...directory });
  });

  test.skipIf(found.private)("has what a search finds it by, and its licence", () => {
    expect(found.description.length).toBeGreaterThan(30);
    expect(found.keywords.length).toBeGreaterThan(9);
    expect(found.keywords).toEqual([...new Set(found.keywords)].sort());
    expect(found.keywords).toContain("uncertainty");
    expect(read(`${folder}/LICENSE`)).toBe(read("LICENSE"));
  });
});

test("the command line is of the library's version, and depends on exactly that", () => {
  const [library, commandLine] = [manifest("."), manifest("cli")];
  expect(commandLine.version).toBe(library.version);
  expect(commandLine.dependencies[library.name]).toBe(library.version);
});
