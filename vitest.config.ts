import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { defineConfig } from "vitest/config";

/** What all runs share. */
export const shared = defineConfig({
  plugins: [
    {
      // What tests take from the examples runs on the sources, too.
      name: "examples-on-sources",
      enforce: "pre",
      resolveId: (source, importer) =>
        source === "laplace-ts" && importer?.startsWith(resolve("examples")) ? resolve("src/index.ts") : undefined,
    },
  ],
  test: {
    setupFiles: ["test/setup.ts"],
    testTimeout: 60_000,
    // By default one core is left to watch, which nobody does here.
    maxWorkers: "100%",
    reporters: process.env.CI ? ["default", ["json", { outputFile: "build/test-results.json" }]] : ["default"],
  },
});

// Starting a process and loading the library takes most files longer than their tests. Those of these folders share a process,
// but for what changes the world around it or counts the bytes of all its memory.
const folders = "array data evaluation io linalg losses network posterior structures training".split(" ");
const needsItsOwn = /\bvi\.|memoryUse|bytesInUse|peak\.ts|observeMemory|setClock|setThreads/;
const together = folders
  .flatMap((folder) => readdirSync(`test/${folder}`, { recursive: true }).map((name) => `test/${folder}/${name}`))
  .filter(
    (file) =>
      file.endsWith(".test.ts") && !file.endsWith(".long.test.ts") && !needsItsOwn.test(readFileSync(file, "utf8")),
  );

export default defineConfig({
  ...shared,
  test: {
    ...shared.test,
    projects: [
      { extends: true, test: { name: "together", include: together, isolate: false } },
      {
        extends: true,
        test: {
          name: "alone",
          include: ["test/**/*.test.ts", "cli/test/**/*.test.ts", "models/test/*.test.ts"],
          exclude: [...together, "**/*.long.test.ts"],
        },
      },
    ],
  },
});
