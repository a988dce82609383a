import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { structures } from "../src/structures/curvature.ts";
import { circlesOf, importedNames, importsOf, sources } from "./imports.ts";

// From the ground up, as in ARCHITECTURE.md: a folder imports from those before it and from itself.
const floors = [
  "errors.ts",
  "kernels",
  "shards",
  "array",
  "linalg",
  "data",
  "network",
  "losses",
  "likelihood",
  "derivatives",
  "structures",
  "curvature",
  "posterior",
  "training",
  "prediction",
  "evaluation",
  "search",
  "diagnosis",
  "laplace",
  "io",
  "remote",
  "index.ts",
  "node.ts",
  "graph.ts",
  "mini.ts",
  "predict.ts",
  "worker.ts",
  "executor.ts",
];

const floorOf = (path: string) => floors.indexOf(path.split("/")[1]);
const files = sources("src");

describe("the house", () => {
  test.each(files)("%s imports nothing from a floor above", (file) => {
    expect(floorOf(file)).toBeGreaterThanOrEqual(0);
    for (const path of importsOf(file))
      expect(floorOf(path), `${file} imports ${path}`).toBeLessThanOrEqual(floorOf(file));
  });

  // Types included: what imports itself by way of others can be neither read nor moved alone.
  test("no circle of imports", () => {
    expect(circlesOf(files)).toEqual([]);
  });

  test.each(files)("%s imports no package", (file) => {
    expect(importedNames(file).filter((name) => !name.startsWith("."))).toEqual([]);
  });

  test.each(files)("%s can be read in one sitting", (file) => {
    expect(readFileSync(file, "utf8").split("\n").length).toBeLessThanOrEqual(400);
  });

  // A likelihood answers questions, so that a new one is a file: only its own folder knows it by name.
  const others = [...files, ...sources("cli/src")].filter((file) => floorOf(file) !== floors.indexOf("likelihood"));
  test.each(others)("%s asks no likelihood for its name", (file) => {
    const text = readFileSync(file, "utf8").replace(/^import .*$/gm, "");
    expect(text).not.toMatch(/["'](?:gaussian|heteroscedastic|categorical|bernoulli|poisson)["']/);
    expect(text).not.toMatch(/likelihood\.name [!=]==/);
  });

  // Views of the kernels' memory are detached when it grows: only who lends them, or knows that it is shared, has any.
  test.each(files)("%s keeps no view of the kernels' memory", (file) => {
    const text = readFileSync(file, "utf8");
    const may = (name: string, ...where: string[]) => {
      if (!where.some((path) => file.endsWith(join("src", path))))
        expect(text).not.toMatch(new RegExp(`\\b${name}\\b`));
    };
    may("theMemory", "kernels/heap.ts", "kernels/memory.ts", "kernels/kernels.ts", "kernels/threads.ts");
    may("sharedView", "kernels/memory.ts", "array/ndarray.ts");
    may("WebAssembly\\.Memory", "kernels/heap.ts", "kernels/kernels.ts");
  });

  test.each(files)("%s asks no primitive for its name", (file) => {
    expect(readFileSync(file, "utf8")).not.toMatch(/primitive\.name [!=]==? "/);
  });

  // Everything asks a structure's row of the table, so that another is one folder and one row.
  // laplace-ts/mini and laplace-ts/predict give them as values.
  const values = ["src/mini.ts", "src/predict.ts"];
  const elsewhere = files.filter((file) => !file.startsWith("src/structures/") && !values.includes(file));
  test.each(elsewhere)("%s asks for no structure's name", (file) => {
    const text = readFileSync(file, "utf8");
    const name = `"(?:${structures.join("|")})"`;
    expect(text).not.toMatch(new RegExp(`[!=]==? ${name}|${name} [!=]==?|case ${name}:`));
    expect(text).not.toMatch(/structures\/(?!table)\w+\/|\b(?:instanceof|as) \w+Curvature\b/);
  });

  test("every floor of ARCHITECTURE.md exists, and no other", () => {
    expect(readdirSync("src").sort()).toEqual(floors.toSorted());
    const plan = readFileSync("ARCHITECTURE.md", "utf8");
    for (const floor of floors) expect(plan).toContain(`src/${floor}`);
  });
});

describe("the public surface", () => {
  const index = ["index", "graph", "mini", "predict"].map((entry) => readFileSync(`src/${entry}.ts`, "utf8")).join("");
  const exported = [...index.matchAll(/export (?:type )?\{([^}]*)\} from "\.\/([^"]+)"/g)].flatMap(([, names, file]) =>
    names.split(",").flatMap((name) => {
      const [plain] = name.replace("type ", "").trim().split(" as ");
      return plain === "" ? [] : [[plain, file] as const];
    }),
  );

  test.each(exported)("%s has a docstring", (name, file) => {
    const text = readFileSync(join("src", file), "utf8");
    const declaration = new RegExp(
      `\\*/\\nexport (?:declare |abstract |async )?(?:function\\*?|class|const|interface|type) ${name}\\b`,
    );
    expect(text).toMatch(declaration);
  });
});
