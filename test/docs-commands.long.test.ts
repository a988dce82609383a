// The pages of the command line and of models from elsewhere show commands that work.

import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";

const pages = ["command-line", "models"].map((name) => readFileSync(`docs/${name}.md`, "utf8")).join("\n");
const laplace = (args: readonly string[], cwd: string) =>
  spawnSync(process.execPath, [resolve("cli/laplace.js"), ...args], { cwd, encoding: "utf8" });

test("one after the other", { timeout: 300_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "laplace-ts-command-line-"));
  try {
    cpSync("examples/data", join(folder, "examples/data"), { recursive: true });
    const shown = [...pages.matchAll(/^```sh\n([\s\S]*?)^```$/gm)]
      .flatMap(([, lines]) => lines.trim().split("\n"))
      .filter((line) => !line.startsWith("npm install "));
    expect(shown.length).toBeGreaterThan(3);
    for (const line of shown) {
      const [name, ...args] = line.split(" ");
      expect(name).toBe("laplace");
      // It takes two models and rows that neither learned from: here the same model twice, and any rows.
      const two = args[0] === "compare" ? ["a.safetensors", "b.safetensors", "rows.csv"] : [];
      for (const [i, file] of two.entries()) {
        cpSync(join(folder, i < 2 ? "model.safetensors" : "examples/data/airquality.csv"), join(folder, file));
      }
      const { status, stderr } = laplace(args, folder);
      expect({ line, status, stderr: status === 0 ? "" : stderr }).toEqual({ line, status: 0, stderr: "" });
      for (const file of two) rmSync(join(folder, file));
    }
    const written = [
      "model.safetensors",
      "ozone.csv",
      "ozone.safetensors",
      "parts",
      "posterior.safetensors",
      "predictions.csv",
      "report.html",
      "with-uncertainty.onnx",
    ];
    expect(readdirSync(folder).sort()).toEqual(["examples", ...written]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
