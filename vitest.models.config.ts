// Networks that PyTorch exports, against PyTorch and onnxruntime-web. Needs Debian's python3-torch.
import { defineConfig, mergeConfig } from "vitest/config";
import { shared } from "./vitest.config.ts";

export default mergeConfig(
  shared,
  defineConfig({
    test: {
      include: ["models/test/pytorch/*.test.ts"],
      reporters: process.env.CI ? ["default", ["json", { outputFile: "build/test-results-models.json" }]] : ["default"],
    },
  }),
);
