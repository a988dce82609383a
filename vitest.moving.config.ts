// Every test of the library with memory that moves at every allocation: see test/moving.ts.
import { defineConfig, mergeConfig } from "vitest/config";
import { shared } from "./vitest.config.ts";

const merged = mergeConfig(
  shared,
  defineConfig({
    test: {
      // What does not compute in this process is left out, and what starts workers: Node's own need SharedArrayBuffer.
      exclude: [
        "test/architecture.test.ts",
        "test/docs.test.ts",
        "test/array/passing.test.ts",
        "**/*.long.test.ts",
        "node_modules/**",
      ],
      testTimeout: 600_000,
      reporters: process.env.CI ? ["default", ["json", { outputFile: "build/test-results-moving.json" }]] : ["default"],
    },
  }),
);

export default {
  ...merged,
  test: { ...merged.test, include: ["test/**/*.test.ts"], setupFiles: ["test/moving.ts", "test/setup.ts"] },
};
