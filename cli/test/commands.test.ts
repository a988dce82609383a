// What the command line promises: exit codes, one JSON object, streams, and no half files.

import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { inProcess, laplace, tables, unfinished, workFolder } from "./laplace.ts";

const folder = workFolder();
const at = (name: string) => join(folder, name);
const airquality = join(tables, "airquality.csv");
const quick = ["--epochs", "4", "--rounds", "1", "--folds", "2", "--hidden", "4", "--no-report"];
const model = at("model.safetensors");

test("fit writes a model from standard input", async () => {
  const input = readFileSync(airquality);
  const run = await laplace(["fit", "-", "-t", "Ozone", "-o", model, ...quick], { input });
  expect(run.code).toBe(0);
  expect(run.stdout).toContain("regression");
  expect(run.stdout).toContain("37 dropped");
  // Nothing but results where nobody watches.
  expect(run.stderr).toBe("");
});

describe("exit codes", () => {
  const lines = (text: string) => text.trim().split("\n");
  const cases: readonly (readonly [string, readonly string[], number, RegExp])[] = [
    ["help", ["--help"], 0, /^$/],
    ["the version", ["--version"], 0, /^$/],
    ["the version after a command", ["fit", "--version"], 0, /^$/],
    ["the version after a command's command", ["merge", "fit", "-V"], 0, /^$/],
    ["an unknown command", ["fitt"], 2, /unknown command/],
    ["an unknown option", ["fit", airquality, "-t", "Ozone", "--epoch", "3"], 2, /unknown option/],
    ["no target", ["fit", airquality], 2, /--target/],
    ["a target that is not there", ["fit", airquality, "-t", "ozone"], 2, /no column "ozone"/],
    ["a column to ignore that is not there", ["fit", airquality, "-t", "Ozone", "--ignore", "X"], 2, /no column "X"/],
    [
      "options that exclude each other",
      ["fit", airquality, "-t", "Ozone", "--folds", "3", "--test-fraction", "0.1"],
      2,
      /not both/,
    ],
    ["what is not a number", ["fit", airquality, "-t", "Ozone", "--seed", "x"], 2, /integer/],
    ["no such table", ["fit", at("none.csv"), "-t", "y"], 1, /none\.csv: there is no such file/],
    ["a folder without a table", ["fit", "cli/src/output", "-t", "y"], 1, /cli\/src\/output has no file of a table/],
    [
      "a folder that is not there",
      ["fit", airquality, "-t", "Ozone", "-o", at("no/m.safetensors")],
      1,
      /no such file or folder/,
    ],
    ["a table for a model", ["inspect", airquality], 3, /malformed.* A model is a file that laplace fit wrote/],
    ["no such model", ["inspect", at("none.safetensors")], 1, /none\.safetensors/],
    [
      "a table without the columns",
      ["predict", model, join(tables, "iris.csv")],
      1,
      /no columns "Date", "Solar.R", "Wind", "Temp"/,
    ],
    ["a table without the target", ["evaluate", model, at("unlabelled.csv")], 1, /no column "Ozone"/],
    ["both on standard output", ["predict", model, airquality, "--json"], 2, /-o file/],
    [
      "a memory budget that nothing fits",
      ["fit", airquality, "-t", "Ozone", "--memory-budget", "1KB"],
      1,
      /memory budget/,
    ],
  ];
  // One for each code as its users run it; the others without the cost of a process.
  const whole = ["help", "an unknown command", "no such table", "a table for a model"];
  test.each(cases)("%s", async (name, args, code, message) => {
    writeFileSync(at("unlabelled.csv"), "Date,Solar.R,Wind,Temp\n1973-05-01,190,7.4,67\n");
    const run = await (whole.includes(name) ? laplace : inProcess)(args);
    expect(run.stderr).toMatch(message);
    expect(run.code).toBe(code);
    // An error says what is wrong without a trace of the program's insides.
    expect(run.stderr).not.toMatch(/ at .*\.js:/);
    if (code > 0) expect(lines(run.stderr).length).toBeLessThanOrEqual(4);
  });

  test("a model cut short is refused with the reason", async () => {
    writeFileSync(at("short.safetensors"), readFileSync(model).subarray(0, -10));
    const run = await laplace(["predict", at("short.safetensors"), airquality]);
    expect(run).toMatchObject({ code: 3, stdout: "" });
    expect(run.stderr).toContain("truncated");
  });
});

describe("rows that cannot be read", () => {
  const table =
    "Date,Solar.R,Wind,Temp\n1973-05-01,190,7.4,67\n1973-05-02,x,8,72\n1973-05-03,1,2\n1973-05-04,313,11.5,62\n";

  test("stop with the line", async () => {
    const run = await laplace(["predict", model, "-", "-o", at("stopped.csv")], { input: table });
    expect(run.code).toBe(1);
    expect(run.stderr).toMatch(/line \d: /);
    expect(existsSync(at("stopped.csv"))).toBe(false);
    expect(unfinished(folder)).toEqual([]);
  });

  test("are skipped when asked", async () => {
    const run = await laplace(["predict", model, "-", "--on-error", "skip"], { input: table });
    expect(run.code).toBe(0);
    expect(run.stdout.trim().split("\n").length).toBe(3);
    expect(run.stderr).toContain('line 3: the column "Solar.R" has "x", which is not a number');
    expect(run.stderr).toContain("line 4: the row has 3 cells, the header 4");
  });
});

test("what is far is flagged", async () => {
  const input = "Date,Solar.R,Wind,Temp\n1973-06-01,190,7.4,67\n1973-06-01,190,7.4,670\n1999-06-01,190,7.4,67\n";
  const { stdout } = await laplace(["predict", model, "-"], { input });
  expect(
    stdout
      .trim()
      .split("\n")
      .slice(1)
      .map((line) => line.split(",").slice(-2)),
  ).toEqual([
    ["false", ""],
    ["true", "Temp"],
    ["true", "Date"],
  ]);
  const said = await laplace(["predict", model, "-", "-o", at("far.csv")], { input });
  expect(said.stderr).toContain('2 far from the training data (by unusual values: "Temp" 1, "Date" 1)');
});

test("Parquet predicts as CSV does", async () => {
  const [csv, parquet] = await Promise.all(
    [airquality, "cli/test/airquality.parquet"].map((data) => laplace(["predict", model, data])),
  );
  const added = ({ stdout }: { stdout: string }) =>
    stdout
      .trim()
      .split("\n")
      .map((line) => line.split(",").slice(-7).join());
  expect(added(parquet)).toEqual(added(csv));
  const piped = await laplace(["predict", model, "-"], { input: readFileSync("cli/test/airquality.parquet") });
  expect(piped.code).toBe(1);
  expect(piped.stderr).toContain("give the file's name");
});

test("columns that are there already get a prefix, and delimiters stay", async () => {
  const input = 'Date;Solar.R;Wind;Temp;far\r\n1973-06-01;190;7.4;67;"a;b ""c"""\r\n';
  const { stdout } = await laplace(["predict", model, "-"], { input });
  const [header, row] = stdout.trim().split("\n");
  expect(header).toBe(
    "Date;Solar.R;Wind;Temp;far;laplace_mean;laplace_sd;laplace_lower90;laplace_upper90;laplace_epistemic_share;laplace_far;laplace_far_columns",
  );
  expect(row).toContain('"a;b ""c"""');
});

describe("interrupted", () => {
  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)(
    "%s leaves no file",
    async (signal, code) => {
      const before = readdirSync(folder).sort();
      const kill = { signal, when: () => unfinished(folder).length > 0 };
      // Long enough that the file is there before it is whole.
      const input = `${"Date,Solar.R,Wind,Temp\n"}${"1973-06-01,190,7.4,67\n".repeat(300_000)}`;
      const run = await laplace(["predict", model, "-", "-o", at("interrupted.csv")], { input, kill });
      expect(run.code).toBe(code);
      expect(readdirSync(folder).sort()).toEqual(before);
    },
    60_000,
  );

  test("while fitting, there is no file either", async () => {
    const before = readdirSync(folder).sort();
    const start = Date.now();
    const kill = { signal: "SIGINT", when: () => Date.now() - start > 1500 } as const;
    const args = [
      "fit",
      join(tables, "diabetes.csv"),
      "-t",
      "progression",
      "-o",
      at("f.safetensors"),
      "--epochs",
      "100000",
    ];
    const run = await laplace(args, { kill });
    // On a busy machine the signal comes before the program listens, and ends it all the same.
    expect([130, null]).toContain(run.code);
    expect(readdirSync(folder).sort()).toEqual(before);
  }, 60_000);
});

test("a reader that leaves ends it quietly", async () => {
  const child = spawn(process.execPath, ["cli/laplace.js", "predict", model, "-"]);
  let stderr = "";
  child.stderr.on("data", (text) => {
    stderr += text;
  });
  child.stdin.on("error", () => {});
  child.stdin.write("Date,Solar.R,Wind,Temp\n");
  child.stdin.end("1973-06-01,190,7.4,67\n".repeat(100_000));
  child.stdout.once("data", () => child.stdout.destroy());
  const code = await new Promise((resolve) => child.on("close", resolve));
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
}, 60_000);

test("colours are left out when NO_COLOR says so", async () => {
  const styled = "\u001b[";
  const plain = await laplace(["inspect", model], { env: { NO_COLOR: "1", FORCE_COLOR: "1" } });
  expect(plain.stdout).not.toContain(styled);
  const forced = await laplace(["inspect", model], { env: { NO_COLOR: "", FORCE_COLOR: "1" } });
  expect(forced.stdout).toContain(styled);
});

test("a delimiter that was not found, a header with one too many and a target that says nothing are named", async () => {
  const said = async (text: string) => {
    writeFileSync(at("odd.csv"), text);
    return (await inProcess(["fit", at("odd.csv"), "-t", "y", "-o", at("odd.st"), "--no-report"])).stderr;
  };
  expect(await said("x:y\n1:2\n3:4\n")).toContain("is the delimiter right (--delimiter)?");
  expect(await said("x,y,\n1,2\n3,4\n5,6\n")).toContain("take off the delimiter at its end");
  expect(await said(`x,y\n${Array.from({ length: 20 }, (_, i) => `${i * i},NA`).join("\n")}\n`)).toContain(
    'has no values: every cell is empty or "NA"',
  );
});

test("options of one value are refused where they are given twice, lists add up", async () => {
  const twice = async (...args: string[]) => (await inProcess(args)).stderr;
  expect(await twice("predict", "m", "d", "-o", "a", "--output", "b")).toContain("--output is given twice");
  expect(await twice("fit", "d", "-t", "a", "--target=b")).toContain("--target is given twice");
  expect(await twice("fit", "d", "--seed", "1", "--seed", "1")).toContain("--seed is given twice");
  expect(await twice("evaluate", "m", "d", "--skip", "1", "--skip", "2")).toContain("--skip is given twice");
  expect(await twice("fit", "d", "-r", "a", "--no-report")).toContain("give --report or --no-report, not both");
  expect(await twice("predict", "m", "d", "--no-header", "--header")).toContain("not both");
  expect(await twice("predict", "m", "d", "--json", "--json", "-o", "p")).toContain("no such file");
  expect(await twice("fit", "d", "--ignore", "a", "--ignore", "b", "--na", "x", "--na", "y")).toContain("no such file");
});
