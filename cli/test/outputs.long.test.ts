// Outputs that end before they are whole: full disks; Ctrl-C.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { laplace, unfinished } from "./laplace.ts";
import { at, cli, fitArgs, folder, model, predictions, shell, source } from "./outputs.ts";

describe("a disk that is full", () => {
  test("standard output that is cut in its last write", () => {
    // Blocks of 1024 bytes: the file may have 8192 bytes of about 18,000.
    const cut = shell(`ulimit -f 8; ${cli} predict "$MODEL" "$DATA" > ${at("cut.csv")}`);
    expect(cut.code).toBe(1);
    expect(cut.stderr).toContain("standard output: the file is too large");
    for (const command of [
      `predict "$MODEL" "$DATA"`,
      `evaluate "$MODEL" "$DATA"`,
      `evaluate --json "$MODEL" "$DATA"`,
      `inspect "$MODEL"`,
      `inspect --json "$MODEL"`,
      `fit "$DATA" -t y --rounds 1 --epochs 4 --hidden 4 --folds 2 --no-report -o ${at("f.st")}`,
      `--help`,
      `--version`,
      `predict --help`,
    ]) {
      const full = shell(`${cli} ${command} > /dev/full`);
      expect({ command, ...full }).toEqual({
        command,
        code: 1,
        stdout: "",
        stderr: "error: standard output: the disk is full\n",
      });
    }
  }, 60_000);

  test("a file: the old one stays, and no part of the new one", () => {
    writeFileSync(at("kept.csv"), "old");
    const before = readdirSync(folder).sort();
    const run = shell(`ulimit -f 8; ${cli} predict "$MODEL" "$DATA" -o ${at("kept.csv")}`);
    expect(run.code).toBe(1);
    expect(run.stderr).toContain(`${at("kept.csv")}: the file is too large`);
    expect(readFileSync(at("kept.csv"), "utf8")).toBe("old");
    // The report does not fit, so that the model, which does, is not there either.
    const fit = shell(
      `ulimit -f 40; ${cli} fit "$DATA" -t y --rounds 1 --epochs 4 --hidden 4 -o ${at("small.st")} -r ${at("large.html")}`,
    );
    expect(fit.code).toBe(1);
    expect(fit.stderr).toContain(`${at("large.html")}: the file is too large`);
    expect(readdirSync(folder).sort()).toEqual(before);
  });

  test("messages that cannot be written do not end the work", () => {
    const run = shell(`${cli} predict "$MODEL" "$DATA" -o ${at("quiet.csv")} 2> /dev/full`);
    expect(run.code).toBe(0);
    expect(readFileSync(at("quiet.csv"), "utf8")).toBe(predictions());
    expect(shell(`${cli} predict "$MODEL" ${at("missing.csv")} 2> /dev/full`).code).toBe(1);
  });
});

describe("Ctrl-C until the last moment", () => {
  // The signal comes within the call of the system that is named, the n-th of its kind on an unfinished file.
  const interruptAt = (call: string, n: number) => {
    const file = at(`interrupt-${call}-${n}.mjs`);
    writeFileSync(
      file,
      `import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
const { ${call}: original } = fs;
let calls = 0;
fs.${call} = (...args) => {
  const ours = "${call}" !== "openSync" || String(args[0]).endsWith(".tmp");
  if (ours && ++calls === ${n}) process.kill(process.pid, "SIGINT");
  return original(...args);
};
syncBuiltinESMExports();
`,
    );
    return { NODE_OPTIONS: `--import=${file}` };
  };

  test.each([
    ["openSync", 1],
    ["fsyncSync", 1],
    ["openSync", 2],
    ["fsyncSync", 2],
  ])("fit: in %s, number %i", async (call, n) => {
    writeFileSync(at("old.st"), "old model");
    writeFileSync(at("old.html"), "old report");
    const env = interruptAt(call, n);
    const run = await laplace(fitArgs(source, "-o", at("old.st"), "-r", at("old.html")), { env });
    expect(run.code).toBe(130);
    expect(readFileSync(at("old.st"), "utf8")).toBe("old model");
    expect(readFileSync(at("old.html"), "utf8")).toBe("old report");
    expect(unfinished(folder)).toEqual([]);
  });

  test.each(["openSync", "fsyncSync"])("predict: in %s", async (call) => {
    writeFileSync(at("old.csv"), "old");
    const run = await laplace(["predict", model, source, "-o", at("old.csv")], { env: interruptAt(call, 1) });
    expect(run.code).toBe(130);
    expect(readFileSync(at("old.csv"), "utf8")).toBe("old");
    expect(unfinished(folder)).toEqual([]);
  });

  test("while it waits for the reader of a pipe", () => {
    const script = `mkfifo ${at("nobody")}; ${cli} predict "$MODEL" "$DATA" -o ${at("nobody")} & pid=$!; sleep 2; kill -HUP $pid; wait $pid`;
    expect(shell(script).code).toBe(129);
  });
});
