// The tests that take long: fits of whole tables, real workers that are killed, a release's dry run, memory of large problems.
import { defineConfig, mergeConfig } from "vitest/config";
import { shared } from "./vitest.config.ts";

export default mergeConfig(
  shared,
  defineConfig({
    test: {
      include: ["test/**/*.long.test.ts", "cli/test/**/*.long.test.ts"],
      reporters: process.env.CI ? ["default", ["json", { outputFile: "build/test-results-long.json" }]] : ["default"],
    },
  }),
);
