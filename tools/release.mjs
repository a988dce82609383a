// Releases the packages: looks whether the version is ready, checks and packs everything, publishes what was packed with
// its provenance, tags the commit and pushes the tag.
//
//   node tools/release.mjs              in GitHub Actions, which provenance is signed by: .github/workflows/release.yml
//   node tools/release.mjs --dry-run    anywhere: all but publish, tag and push, whose commands are printed
//
// `--skip-checks`, with `--dry-run` alone, leaves .ci/run out: the tests, which are a part of it, do the rest.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

const root = resolve(import.meta.dirname, "..");
const read = (path) => readFileSync(join(root, path), "utf8");
const run = (program, args, options = {}) => execFileSync(program, args, { cwd: root, encoding: "utf8", ...options });
/** What a program prints, without the end of its last line. */
const said = (program, ...args) => run(program, args, { stdio: ["ignore", "pipe", "pipe"] }).trimEnd();

/** Something that keeps the version from being released, in words for who releases it. */
class NotReady extends Error {}

function demand(holds, message) {
  if (!holds) throw new NotReady(message);
}

/** The version, which is the same everywhere. @throws NotReady */
function agreedVersion() {
  const paths = [
    "package.json",
    "cli/package.json",
    "models/package.json",
    "cluster/package.json",
    "package-lock.json",
  ];
  const [library, commandLine, models, cluster, lock] = paths.map((path) => JSON.parse(read(path)));
  const found = {
    "package.json": library.version,
    "cli/package.json": commandLine.version,
    "cli/package.json, its laplace-ts": commandLine.dependencies[library.name],
    "cli/package.json, its laplace-ts-models": commandLine.dependencies[models.name],
    "models/package.json": models.version,
    "models/package.json, its laplace-ts": models.dependencies[library.name],
    "cli/package.json, its laplace-ts-cluster": commandLine.peerDependencies[cluster.name],
    "cluster/package.json": cluster.version,
    "cluster/package.json, its laplace-ts": cluster.dependencies[library.name],
    "package-lock.json": lock.packages[""].version,
    "package-lock.json, cli": lock.packages.cli.version,
    "package-lock.json, models": lock.packages.models.version,
    "package-lock.json, cluster": lock.packages.cluster.version,
    "src/io/version.ts": read("src/io/version.ts").match(/version = "([^"]*)"/)?.[1],
    "CITATION.cff": read("CITATION.cff").match(/^version: (.*)$/m)?.[1],
  };
  const lines = Object.entries(found).map(([where, version]) => `  ${where}: ${version}`);
  demand(new Set(Object.values(found)).size === 1, `The versions differ:\n${lines.join("\n")}`);
  demand(/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(library.version), `"${library.version}" is not a version.`);
  return library.version;
}

/** What the changelog says of a version, without its heading. @throws NotReady */
function notesOf(version) {
  const [heading, ...lines] = (read("CHANGELOG.md").split(/^## /m)[1] ?? "").split("\n");
  const [, name, date] = heading.match(/^(\S+) \((.*)\)$/) ?? [];
  const how = `CHANGELOG.md must begin with "## ${version} (${new Date().toISOString().slice(0, 10)})"`;
  demand(name === version, `${how}, the version and the date, but begins with "## ${heading}".`);
  const day = /^\d{4}-\d{2}-\d{2}$/.test(date) ? new Date(`${date}T00:00:00Z`) : undefined;
  const real = day !== undefined && !Number.isNaN(day.getTime()) && day.toISOString().startsWith(date);
  demand(real, `${how}, but says "${date}" where the date belongs.`);
  const notes = lines.join("\n").trim();
  demand(notes !== "", `CHANGELOG.md says nothing of ${version}.`);
  return notes;
}

/** The commit is what was looked at, and has no tag of another. @throws NotReady */
function checkRepository(tag) {
  const changed = said("git", "status", "--porcelain");
  demand(changed === "", `The tree is not clean: commit or remove what changed.\n${changed}`);
  const branch = said("git", "rev-parse", "--abbrev-ref", "HEAD");
  demand(branch === "main", `Releases are made of the branch main, not of ${branch}.`);
  if (said("git", "tag", "--list", tag) === "") return;
  const same = said("git", "rev-list", "-n", "1", tag) === said("git", "rev-parse", "HEAD");
  demand(same, `The tag ${tag} is on another commit: this version was released. Raise it.`);
}

/** Packs a package, and looks at what is in it. @throws NotReady */
function pack(folder, to, version) {
  const args = ["pack", "--ignore-scripts=false", "--json", "--loglevel=error", "--pack-destination", to];
  // npm's own words are shown where it fails.
  const [packed] = JSON.parse(run("npm", args, { cwd: join(root, folder), stdio: ["ignore", "pipe", "pipe"] }));
  const files = packed.files.map(({ path }) => path);
  for (const needed of ["package.json", "README.md", "LICENSE"]) {
    demand(files.includes(needed), `${packed.filename} has no ${needed}.`);
  }
  const odd = files.filter((path) => /(^|\/)(?:node_modules|test|\.[^/]+)(\/|$)|\.tsx?(?<!\.d\.ts)$/.test(path));
  // Sources of source maps are meant.
  const meant = (path) =>
    path.startsWith("src/") && JSON.parse(read(join(folder, "package.json"))).files.includes("src");
  demand(odd.every(meant), `${packed.filename} has files that do not belong there: ${odd.join(", ")}`);
  demand(packed.version === version, `${packed.filename} is of ${packed.version}.`);
  return { ...packed, path: join(to, packed.filename) };
}

/** Whether the registry has this very tarball, from a release that was interrupted. @throws NotReady for another */
function isPublished({ name, version, integrity }) {
  let found;
  try {
    found = said("npm", "view", `${name}@${version}`, "dist.integrity");
  } catch {
    return false; // no such package
  }
  demand(
    found === "" || found === integrity,
    `${name}@${version} is published already, and is another. Raise the version.`,
  );
  return found !== "";
}

function release({ dryRun, skipChecks }) {
  demand(dryRun || !skipChecks, "--skip-checks is for --dry-run alone.");
  const version = agreedVersion();
  const tag = `v${version}`;
  const notes = notesOf(version);
  checkRepository(tag);
  const signed = process.env.ACTIONS_ID_TOKEN_REQUEST_URL !== undefined;
  demand(
    dryRun || signed,
    "Provenance is signed by GitHub Actions: start the workflow release there, or try --dry-run.",
  );
  console.log(`${version}, of ${said("git", "rev-parse", "--short", "HEAD")}:\n\n${notes}\n`);

  if (!skipChecks) run(".ci/run", [], { stdio: "inherit" });
  const to = join(root, "build/release");
  rmSync(to, { recursive: true, force: true });
  mkdirSync(to, { recursive: true });
  // The library first: the others depend on this very version.
  const packages = [".", "models", "cluster", "cli"].map((folder) => pack(folder, to, version));
  for (const { filename, files, size } of packages) {
    console.log(`${filename}: ${files.length} files, ${(size / 1000).toFixed(0)} kB`);
  }
  checkRepository(tag); // what was checked and packed is still what is committed

  const perform = (program, ...args) => {
    console.log(`${dryRun ? "would run" : "runs"}: ${[program, ...args].join(" ").split("\n")[0]}`);
    if (!dryRun) run(program, args, { stdio: "inherit" });
  };
  for (const one of packages) {
    if (!dryRun && isPublished(one)) console.log(`${one.filename} is published already`);
    else perform("npm", "publish", one.path, "--provenance", "--access", "public");
  }
  if (said("git", "tag", "--list", tag) === "")
    perform("git", "tag", "--annotate", tag, "--message", `${tag}\n\n${notes}`);
  perform("git", "push", "origin", tag);
  console.log(dryRun ? `${version} is ready. Nothing was published, tagged or pushed.` : `${version} is released.`);
}

try {
  const options = { "dry-run": { type: "boolean" }, "skip-checks": { type: "boolean" } };
  const { values } = parseArgs({ options });
  release({ dryRun: values["dry-run"] ?? false, skipChecks: values["skip-checks"] ?? false });
} catch (error) {
  console.error(error instanceof NotReady || error.code?.startsWith("ERR_PARSE_ARGS") ? error.message : error.stack);
  process.exitCode = 1;
}
