// Networks that PyTorch exports, against PyTorch and onnxruntime-web. Needs Debian's python3-torch.
import { defineConfig } from "vitest/config";
import { shared } from "./vitest.config.ts";

export default defineConfig({
  ...shared,
  test: {
    ...shared.test,
    include: ["models/test/pytorch/*.test.ts"],
    reporters: process.env.CI ? ["default", ["json", { outputFile: "build/test-results-models.json" }]] : ["default"],
  },
});
