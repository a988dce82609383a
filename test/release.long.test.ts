// The release, dry: all but publishing, tagging and pushing, in a repository of its own with what is committed here or would
// be. The checks themselves are left out, because this is one of them.

import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

let folder = "";
const git = (...args: string[]) =>
  execFileSync("git", ["-c", "user.name=test", "-c", "user.email=test@example.com", ...args], {
    cwd: folder,
    encoding: "utf8",
  });
const { version } = JSON.parse(readFileSync("package.json", "utf8"));

/** Changes a file, for as long as `body` takes. */
function altered<T>(path: string, from: string | RegExp, to: string, body: () => T): T {
  const before = readFileSync(join(folder, path), "utf8");
  const after = before.replace(from, to);
  expect(after).not.toBe(before);
  writeFileSync(join(folder, path), after);
  git("commit", "-qam", "altered");
  try {
    return body();
  } finally {
    git("reset", "-q", "--hard", "HEAD~1");
  }
}

function release(...args: string[]) {
  const env = { ...process.env, ACTIONS_ID_TOKEN_REQUEST_URL: undefined };
  const options = { cwd: folder, encoding: "utf8", env } as const;
  return spawnSync(process.execPath, ["tools/release.mjs", ...args], options);
}

beforeAll(() => {
  execFileSync(process.execPath, ["tools/prepare.mjs"], { stdio: "ignore" });
  folder = mkdtempSync(join(tmpdir(), "laplace-ts-release-"));
  const args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const files = execFileSync("git", args, { encoding: "utf8" }).split("\0");
  for (const file of files.filter((name) => name !== "" && existsSync(name))) {
    mkdirSync(join(folder, dirname(file)), { recursive: true });
    cpSync(file, join(folder, file));
  }
  // What is built is built already, so that packing builds nothing.
  for (const built of ["dist", "cli/dist", "models/dist", "cluster/dist", "build", "src/kernels/generated"]) {
    const apart = (from: string) => !/build\/(?:docs|release)/.test(from);
    cpSync(built, join(folder, built), { recursive: true, filter: apart });
  }
  for (const made of ["AGENTS.md", "llms.txt"]) cpSync(made, join(folder, made));
  symlinkSync(join(process.cwd(), "node_modules"), join(folder, "node_modules"), "dir");
  const changelog = readFileSync("CHANGELOG.md", "utf8");
  writeFileSync(join(folder, "CHANGELOG.md"), changelog.replace(/^## .*$/m, `## ${version} (2026-12-24)`));
  git("init", "-q", "--initial-branch=main");
  // The link is not a folder, which .gitignore names.
  writeFileSync(join(folder, ".git/info/exclude"), "node_modules\n");
  git("add", "--all");
  git("commit", "-qm", "all");
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("a dry run packs all and says what would be published, tagged and pushed", { timeout: 120_000 }, () => {
  const { status, stdout, stderr } = release("--dry-run", "--skip-checks");
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const names = ["laplace-ts", "laplace-ts-models", "laplace-ts-cluster", "laplace-ts-cli"];
  const [library, models, machines, commandLine] = names.map((name) => `${name}-${version}.tgz`);
  for (const name of [library, models, machines, commandLine]) {
    expect(stdout).toMatch(new RegExp(`^${name}: \\d+ files, \\d+ kB$`, "m"));
    expect(existsSync(join(folder, "build/release", name))).toBe(true);
  }
  const commands = [...stdout.matchAll(/^would run: (.*)$/gm)].map(([, line]) =>
    line.replaceAll(/\S*\/release\//g, ""),
  );
  expect(commands).toEqual([
    `npm publish ${library} --provenance --access public`,
    `npm publish ${models} --provenance --access public`,
    `npm publish ${machines} --provenance --access public`,
    `npm publish ${commandLine} --provenance --access public`,
    `git tag --annotate v${version} --message v${version}`,
    `git push origin v${version}`,
  ]);
  // Of the changelog, this version's entry.
  expect(stdout).toMatch(/\n- \S/);
  expect(stdout.trimEnd()).toMatch(/is ready\. Nothing was published, tagged or pushed\.$/);
  expect(git("tag")).toBe("");
  expect(git("status", "--porcelain")).toBe("");
});

describe("is refused, with what to do", () => {
  const refusal = (...args: string[]) => {
    const { status, stdout, stderr } = release(...args);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    return stderr;
  };
  const dry = () => refusal("--dry-run", "--skip-checks");

  test("where nothing signs it", () => {
    expect(refusal()).toMatch(/^Provenance is signed by GitHub Actions: .* try --dry-run\.$/m);
  });

  test("without its checks", () => {
    expect(refusal("--skip-checks")).toMatch(/for --dry-run alone/);
    expect(refusal("--dry")).toMatch(/Unknown option/);
  });

  test("of a tree that is not clean", () => {
    writeFileSync(join(folder, "new.txt"), "");
    try {
      expect(dry()).toMatch(/not clean[\s\S]*new\.txt/);
    } finally {
      rmSync(join(folder, "new.txt"));
    }
  });

  test("of another branch", () => {
    git("checkout", "-q", "-b", "other");
    try {
      expect(dry()).toMatch(/branch main, not of other/);
    } finally {
      git("checkout", "-q", "main");
    }
  });

  test("of a version whose tag is on another commit", () => {
    git("tag", `v${version}`);
    try {
      altered("README.md", "#", "# ", () => expect(dry()).toMatch(/on another commit/));
    } finally {
      git("tag", "-d", `v${version}`);
    }
  });

  test.each([
    ["package.json", /"version": "[^"]*"/, '"version": "9.9.9"'],
    ["cli/package.json", /"version": "[^"]*"/, '"version": "9.9.9"'],
    ["cli/package.json", /"laplace-ts": "[^"]*"/, '"laplace-ts": "^9.9.9"'],
    ["package-lock.json", /"version": "[^"]*",\n {6}"license"/, '"version": "9.9.9",\n      "license"'],
    ["src/io/version.ts", /"[^"]*"/, '"9.9.9"'],
    ["CITATION.cff", /^version: .*$/m, "version: 9.9.9"],
  ])("of versions that differ: %s", (path, from, to) => {
    altered(path, from, to, () => expect(dry()).toMatch(/^The versions differ:[\s\S]*9\.9\.9/));
  });

  test.each([
    ["unreleased", `## ${version} (unreleased)`, /says "unreleased" where the date belongs/],
    ["of no such day", `## ${version} (2026-02-30)`, /says "2026-02-30" where the date belongs/],
    ["without a date", `## ${version}`, /begins with/],
    ["of another version", "## 0.0.9 (2026-01-01)", /begins with "## 0\.0\.9/],
    ["empty", `## ${version} (2026-12-24)\n\n## 0.0.9 (2026-01-01)`, /says nothing of/],
  ])("with a changelog that is %s", (_, heading, message) => {
    altered("CHANGELOG.md", /^## .*$/m, heading, () => expect(dry()).toMatch(message));
  });
});
