import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { circlesOf, importedNames, importsOf, sources } from "../../test/imports.ts";

// From the ground up, as in ARCHITECTURE.md: what stands on one line is side by side, and does not import each other.
const floors = [
  ["errors.ts", "turn.ts"],
  ["model"],
  ["table", "fitting", "report", "output"],
  ["commands"],
  ["program.ts"],
  ["main.ts"],
];

const roomOf = (file: string) => file.split("/")[2];
const floorOf = (file: string) => floors.findIndex((rooms) => rooms.includes(roomOf(file)));
const files = sources("cli/src");

describe("the command line's house", () => {
  test.each(files)("%s imports from floors below, and from its own room", (file) => {
    expect(floorOf(file)).toBeGreaterThanOrEqual(0);
    const elsewhere = importsOf(file).filter((path) => roomOf(path) !== roomOf(file));
    expect(elsewhere.filter((path) => floorOf(path) >= floorOf(file))).toEqual([]);
  });

  // The library is used as everyone uses it: by its public names.
  test.each(files)("%s takes the library as a package", (file) => {
    expect(importedNames(file).filter((name) => /^laplace-ts\/(?!graph$)|\.\.\/src\/|\/dist\//.test(name))).toEqual([]);
    expect(importsOf(file).filter((path) => !path.startsWith("cli/src/"))).toEqual([]);
  });

  test("nothing goes round in a circle, types included", () => {
    expect(circlesOf(files)).toEqual([]);
  });

  test("a circle would be found, and two ways to one file are not one", () => {
    const graph: Record<string, string[]> = { a: ["b", "c"], b: ["d"], c: ["d"], d: [], e: ["f"], f: ["g"], g: ["f"] };
    expect(circlesOf(Object.keys(graph), (file) => graph[file])).toEqual([["f", "g", "f"]]);
  });

  test("every room exists, and ARCHITECTURE.md has them in this order", () => {
    expect(readdirSync("cli/src").sort()).toEqual(floors.flat().sort());
    const order = floors.map((rooms) => rooms.map((room) => room.replace(/\.ts$/, "")).join(", ")).join(" < ");
    expect(readFileSync("ARCHITECTURE.md", "utf8").replaceAll(/[`/]/g, "").replace(/\s+/g, " ")).toContain(order);
  });
});
