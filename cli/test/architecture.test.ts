import { expect, test } from "vitest";
import { describeHouse } from "../../test/house.ts";
import { circlesOf } from "../../test/imports.ts";

describeHouse("the command line's house", "cli/src", [
  ["descriptors.ts", "errors.ts", "turn.ts"],
  ["model"],
  ["table", "fitting", "report", "output"],
  ["commands"],
  ["program.ts"],
  ["main.ts"],
]);

test("a circle would be found, and two ways to one file are not one", () => {
  const graph: Record<string, string[]> = { a: ["b", "c"], b: ["d"], c: ["d"], d: [], e: ["f"], f: ["g"], g: ["f"] };
  expect(circlesOf(Object.keys(graph), (file) => graph[file])).toEqual([["f", "g", "f"]]);
});
