// Every test of the library with memory that moves at every allocation: see test/moving.ts.
import { defineConfig } from "vitest/config";
import { projectsOf, shared } from "./vitest.config.ts";

// What does not compute in this process is left out.
const others = [
  "test/{advice,advice-names,architecture,docs,package,scale-simulation,size,words}.test.ts",
  "test/array/passing.test.ts",
  "test/kernels/threads.test.ts",
];

export default defineConfig({
  ...shared,
  test: {
    ...shared.test,
    setupFiles: ["test/moving.ts", "test/setup.ts"],
    // A view that is held too long shows at once, whatever the numbers: few random ones do.
    env: { LAPLACE_TS_FEW_RUNS: "1" },
    // A memory that an earlier file made large would make each move slow.
    projects: projectsOf(["sums", "rules", "posteriors"], ["test/**/*.test.ts"], others, true),
    testTimeout: 600_000,
    reporters: process.env.CI ? ["default", ["json", { outputFile: "build/test-results-moving.json" }]] : ["default"],
  },
});
