// What holds for the house of a package beside the library: its floors, and the library as everyone has it.

import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { circlesOf, importedNames, importsOf, sources } from "./imports.ts";

/**
 * Tests of the sources in a folder such as cli/src.
 * @param floors rooms from the ground up, as in ARCHITECTURE.md: what stands on one line is side by side, and does not import each other
 */
export function describeHouse(name: string, folder: string, floors: readonly (readonly string[])[]): void {
  const roomOf = (file: string) => file.split("/")[2];
  const floorOf = (file: string) => floors.findIndex((rooms) => rooms.includes(roomOf(file)));
  const files = sources(folder);

  describe(name, () => {
    test.each(files)("%s imports from floors below, and from its own room", (file) => {
      expect(floorOf(file)).toBeGreaterThanOrEqual(0);
      const elsewhere = importsOf(file).filter((path) => roomOf(path) !== roomOf(file));
      expect(elsewhere.filter((path) => floorOf(path) >= floorOf(file))).toEqual([]);
    });

    // The library is used as everyone uses it: by its public names.
    test.each(files)("%s takes the library as a package", (file) => {
      expect(
        importedNames(file).filter((name) => /^laplace-ts\/(?!(?:graph|executor)$)|\.\.\/src\/|\/dist\//.test(name)),
      ).toEqual([]);
      expect(importsOf(file).filter((path) => !path.startsWith(`${folder}/`))).toEqual([]);
    });

    test("nothing goes round in a circle, types included", () => {
      expect(circlesOf(files)).toEqual([]);
    });

    test("every file can be read in one sitting", () => {
      const long = files.filter((file) => readFileSync(file, "utf8").split("\n").length > 400);
      expect(long).toEqual([]);
    });

    test("every room exists, and ARCHITECTURE.md has them in this order", () => {
      expect(readdirSync(folder).sort()).toEqual(floors.flat().sort());
      const order = floors.map((rooms) => rooms.map((room) => room.replace(/\.ts$/, "")).join(", ")).join(" < ");
      expect(readFileSync("ARCHITECTURE.md", "utf8").replaceAll(/[`/]/g, "").replace(/\s+/g, " ")).toContain(order);
    });
  });
}
