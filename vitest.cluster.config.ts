// Fits over machines: a real queue, real workers that are killed. Needs Debian's redis-server.
import { defineConfig } from "vitest/config";
import { shared } from "./vitest.config.ts";

export default defineConfig({
  ...shared,
  test: {
    ...shared.test,
    include: ["cluster/test/machines/*.test.ts", "cluster/test/manifests/*.test.ts"],
    testTimeout: 300_000,
    reporters: process.env.CI ? ["default", ["json", { outputFile: "build/test-results-cluster.json" }]] : ["default"],
  },
});
