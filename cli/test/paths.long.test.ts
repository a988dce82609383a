// Where outputs go: paths that are inputs, links, devices or pipes.

import {
  chmodSync,
  copyFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { inProcess } from "./laplace.ts";
import { at, cli, faults, fitArgs, folder, model, predictions, shell, source } from "./outputs.ts";

describe("an output that is an input or another output is refused", () => {
  const cases: [string, string, (d: string, m: string) => string[]][] = [
    ["the data as the model", "the data and the model", (d) => fitArgs(d, "-o", d, "--no-report")],
    ["the data as the report", "the data and the report", (d) => fitArgs(d, "-o", at("new.st"), "-r", d)],
    ["through a symbolic link", "the data and the model", (d) => fitArgs(d, "-o", `${d}.link`, "--no-report")],
    ["the link as the data", "the data and the model", (d) => fitArgs(`${d}.link`, "-o", d, "--no-report")],
    [
      "through another folder",
      "the data and the predictions",
      (d, m) => ["predict", m, d, "-o", `${folder}/../${folder.split("/").at(-1)}/${d.split("/").at(-1)}`],
    ],
    ["the model as the predictions", "the model and the predictions", (d, m) => ["predict", m, d, "-o", m]],
    ["one new file twice", "the model and the report", (d) => fitArgs(d, "-o", at("same"), "-r", at("same"))],
    [
      "one new file, written in two ways",
      "the model and the report",
      (d) => fitArgs(d, "-o", at("same"), "-r", `${folder}/./same`),
    ],
  ];
  test.each(cases)("%s", async (name, message, args) => {
    const [d, m] = [at(`${name}.csv`), at(`${name}.st`)];
    copyFileSync(source, d);
    copyFileSync(model, m);
    symlinkSync(resolve(d), `${d}.link`);
    const before = readdirSync(folder).sort();
    const run = await inProcess(args(d, m));
    expect(run.stderr).toContain(message);
    expect(run.code).toBe(2);
    expect(readFileSync(d)).toEqual(readFileSync(source));
    expect(readFileSync(m)).toEqual(readFileSync(model));
    expect(readdirSync(folder).sort()).toEqual(before);
  });

  test("standard input and output count too", () => {
    copyFileSync(source, at("in.csv"));
    const both = shell(`${cli} predict "$MODEL" - -o ${at("in.csv")} < ${at("in.csv")}`);
    expect(both).toMatchObject({ code: 2, stdout: "" });
    expect(both.stderr).toContain("the data and the predictions");
    const appended = shell(`${cli} predict "$MODEL" ${at("in.csv")} >> ${at("in.csv")}`);
    expect(appended.code).toBe(2);
    expect(appended.stderr).toContain("the data and the predictions");
    const summary = shell(`${cli} fit "$DATA" -t y -o ${at("out.txt")} --no-report > ${at("out.txt")}`);
    expect(summary.code).toBe(2);
    expect(summary.stderr).toContain("the summary goes to standard output");
    const log = shell(`${cli} predict "$MODEL" "$DATA" -o ${at("log.txt")} 2> ${at("log.txt")}`);
    expect(log.code).toBe(2);
    expect(readFileSync(at("log.txt"), "utf8")).toContain("standard error and the predictions");
    expect(readFileSync(at("in.csv"))).toEqual(readFileSync(source));
  });

  test.each([
    [["-o", "/dev/stdout"], "the model needs a file"],
    [["-o", "-"], "the model needs a file"],
    [["-r", "-", "-o", at("x.st")], "the report needs a file"],
  ])("a model or report on standard output: %s", async (more, message) => {
    const run = await inProcess(fitArgs(source, ...more));
    expect(run.code).toBe(2);
    expect(run.stderr).toContain(message);
  });
});

describe("what a path leads to is kept", () => {
  test("a symbolic link stays one, and its file is new", async () => {
    mkdirSync(at("real"));
    writeFileSync(at("real/p.csv"), "old");
    symlinkSync("real/p.csv", at("link.csv"));
    symlinkSync("real/later.csv", at("dangling.csv"));
    for (const [link, file] of [
      ["link.csv", "real/p.csv"],
      ["dangling.csv", "real/later.csv"],
    ]) {
      expect((await inProcess(["predict", model, source, "-o", at(link)])).code).toBe(0);
      expect(readlinkSync(at(link))).toBe(file);
      expect(readFileSync(at(file), "utf8")).toBe(predictions());
    }
    symlinkSync("circle", at("circle"));
    const circle = await inProcess(["predict", model, source, "-o", at("circle")]);
    expect(circle.code).toBe(1);
    expect(circle.stderr).toContain("circle");
  });

  test("the mode of a file", async () => {
    for (const mode of [0o600, 0o640, 0o755]) {
      writeFileSync(at("mode.csv"), "old");
      chmodSync(at("mode.csv"), mode);
      expect((await inProcess(["predict", model, source, "-o", at("mode.csv")])).code).toBe(0);
      expect(statSync(at("mode.csv")).mode & 0o777).toBe(mode);
    }
    const fresh = shell(`umask 027; ${cli} predict "$MODEL" "$DATA" -o ${at("fresh.csv")}`);
    expect(fresh.code).toBe(0);
    expect(statSync(at("fresh.csv")).mode & 0o777).toBe(0o640);
  });

  test("hard links, folders, and names that are too long are refused", async () => {
    writeFileSync(at("one.csv"), "old");
    linkSync(at("one.csv"), at("two.csv"));
    const linked = await inProcess(["predict", model, source, "-o", at("two.csv")]);
    expect(linked.code).toBe(2);
    expect(linked.stderr).toContain("has 2 names (hard links)");
    expect(readFileSync(at("one.csv"), "utf8")).toBe("old");
    const directory = await inProcess(["predict", model, source, "-o", folder]);
    expect(directory.code).toBe(1);
    expect(directory.stderr).toContain("it is a folder");
    const missing = await inProcess(["predict", model, source, "-o", at("nowhere/p.csv")]);
    expect(missing.code).toBe(1);
    expect(missing.stderr).toContain("there is no such file or folder");
    const under = await inProcess(["predict", model, source, "-o", at("one.csv/p.csv")]);
    expect(under.code).toBe(1);
    const longest = "p".repeat(251);
    expect((await inProcess(["predict", model, source, "-o", at(`${longest}.csv`)])).code).toBe(0);
    const long = await inProcess(["predict", model, source, "-o", at(`${longest}pp.csv`)]);
    expect(long.code).toBe(1);
    expect(long.stderr).toContain("the name is too long");
  });

  test("a pipe is written to, whenever its reader comes", () => {
    const pipe = at("pipe");
    const script = `mkfifo ${pipe}; (sleep 0.7; cat ${pipe} > ${at("piped.csv")}) & ${cli} predict "$MODEL" "$DATA" -o ${pipe}; code=$?; wait; exit $code`;
    expect(shell(script).code).toBe(0);
    expect(lstatSync(pipe).isFIFO()).toBe(true);
    expect(readFileSync(at("piped.csv"), "utf8")).toBe(predictions());
    // Longer than a pipe holds, to a reader that is slow.
    const many = `head -1 "$DATA" > ${at("many.csv")}; for i in $(seq 40); do tail -n +2 "$DATA"; done >> ${at("many.csv")}`;
    const slow = shell(
      `${many}; (sleep 0.5; cat ${pipe} | wc -l) & ${cli} predict "$MODEL" ${at("many.csv")} -o ${pipe}; code=$?; wait; exit $code`,
    );
    expect(slow).toMatchObject({ code: 0, stdout: "8001\n" });
    const substituted = shell(`${cli} predict "$MODEL" "$DATA" -o >(cat > ${at("sub.csv")}) && sleep 0.5`);
    expect(substituted.code).toBe(0);
    expect(readFileSync(at("sub.csv"), "utf8")).toBe(predictions());
  });

  test("/dev/null takes both files of a fit, /dev/stdout is standard output", async () => {
    const run = await inProcess(fitArgs(source, "-o", "/dev/null", "-r", "/dev/null"));
    expect(run.code).toBe(0);
    expect(statSync("/dev/null").isCharacterDevice()).toBe(true);
    const out = shell(`echo before > ${at("o.csv")}; ${cli} predict "$MODEL" "$DATA" -o /dev/stdout >> ${at("o.csv")}`);
    expect(out.code).toBe(0);
    expect(readFileSync(at("o.csv"), "utf8")).toBe(`before\n${predictions()}`);
    const json = await inProcess(["predict", model, source, "--json", "-o", "/dev/stdout"]);
    expect(json.code).toBe(2);
  });
});

describe("options that name columns", () => {
  const wide = at("wide.csv");
  const rows = Array.from({ length: 40 }, (_, i) => [i % 7, i % 5, i % 3, (i * i) % 11, i % 2, (i % 7) + (i % 5)]);
  writeFileSync(wide, `${["v,w,x,z,p,y", ...rows.map((row) => row.join())].join("\n")}\n`);
  const commas = join(faults, "ignore-given-twice/comma-name.csv");
  const fit = (data: string, ...more: string[]) =>
    inProcess(fitArgs(data, "-o", at("o.st"), "--no-report", "--json", ...more));
  const kindsOf = (stdout: string): Record<string, string> =>
    Object.fromEntries(
      JSON.parse(stdout).columns.map(({ name, kind }: { name: string; kind: string }) => [name, kind]),
    );

  test.each([
    ["given twice", wide, ["--ignore", "v", "--ignore", "w"], { v: "ignored", w: "ignored", x: "number" }],
    ["between commas", wide, ["--ignore", "v, w"], { v: "ignored", w: "ignored", x: "number" }],
    ["both", wide, ["--ignore", "v,p", "--ignore=w"], { v: "ignored", w: "ignored", p: "ignored", x: "number" }],
    ["categories too", wide, ["--category", "v", "--category", "w,x"], { v: "category", w: "category", x: "category" }],
    ["a name with a comma", commas, ["--ignore", "a, b"], { "a, b": "ignored", z: "number" }],
    ["such a name in quotes", commas, ["--ignore", '"a, b"'], { "a, b": "ignored", z: "number" }],
  ] as const)("%s", async (_, data, more, expected) => {
    expect(kindsOf((await fit(data, ...more)).stdout)).toMatchObject(expected);
  });

  test("two options that name the same column are refused", async () => {
    const run = await fit(commas, "--ignore", '"a, b",z', "--category", "z");
    expect(run.code).toBe(2);
    expect(run.stderr).toContain('--ignore and --category both name the column "z"');
  });

  test("a column that is not there is named", async () => {
    const run = await fit(wide, "--ignore", "v,nothing");
    expect(run.code).toBe(2);
    expect(run.stderr).toContain('--ignore: there is no column "nothing". The columns are v, w, x, z, p, y.');
  });
});
