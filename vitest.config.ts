import { resolve } from "node:path";
import { defineConfig } from "vitest/config";

export default defineConfig({
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
    include: ["test/**/*.test.ts", "cli/test/**/*.test.ts"],
    setupFiles: ["test/setup.ts"],
    testTimeout: 60_000,
    // By default one core is left to watch, which nobody does here.
    maxWorkers: "100%",
    reporters: process.env.CI ? ["default", ["json", { outputFile: "build/test-results.json" }]] : ["default"],
  },
});
