// The tests that take long: whole tables, examples, real workers that are killed, a release's dry run, thousands of altered files,
// memory of large problems and to the byte, and every case of the contract.
import { defineConfig } from "vitest/config";
import { shared } from "./vitest.config.ts";

export default defineConfig({
  ...shared,
  test: {
    ...shared.test,
    env: { LAPLACE_TS_EVERY_CASE: "1" },
    testTimeout: 300_000,
    include: [
      "test/**/*.long.test.ts",
      "cli/test/**/*.long.test.ts",
      "models/test/*.long.test.ts",
      "test/derivatives/random-networks.test.ts",
      "test/laplace/contract/*.test.ts",
      "test/laplace/oracles.test.ts",
      "test/io/posteriors.test.ts",
      "test/network/layers/models.test.ts",
    ],
    reporters: process.env.CI ? ["default", ["json", { outputFile: "build/test-results-long.json" }]] : ["default"],
  },
});
