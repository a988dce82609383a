// What registries and their pages show of the packages: what the manifests say, and the READMEs, which are read far from the
// repository. What they show runs in tools/test-package.mjs, from the packed tarballs.

import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";

// Does nothing where the build is up to date.
beforeAll(() => execFileSync(process.execPath, ["tools/prepare.mjs"], { stdio: "ignore" }), 300_000);

const read = (path: string) => readFileSync(path, "utf8");
const manifest = (folder: string) => JSON.parse(read(`${folder}/package.json`));

const home = "https://laplace-ts.github.io/laplace-ts/";
const source = "https://github.com/laplace-ts/laplace-ts";

describe.each([".", "cli", "models", "cluster", "docs"])("%s/package.json", (folder) => {
  const found = manifest(folder);

  test("says where the project lives", () => {
    expect(found.homepage.startsWith(home)).toBe(true);
    expect(found.bugs).toBe(`${source}/issues`);
    expect(found.license).toBe("MIT");
    const directory = folder === "." ? {} : { directory: folder };
    expect(found.repository).toEqual({ type: "git", url: `git+${source}.git`, ...directory });
  });

  test.skipIf(found.private)("has what a search finds it by, and its licence", () => {
    expect(found.description.length).toBeGreaterThan(30);
    expect(found.keywords.length).toBeGreaterThan(9);
    expect(found.keywords).toEqual([...new Set(found.keywords)].sort());
    expect(found.keywords).toContain("uncertainty");
    expect(read(`${folder}/LICENSE`)).toBe(read("LICENSE"));
  });
});

test.each(["cli", "models", "cluster"])("%s is of the library's version, and depends on exactly that", (folder) => {
  const [library, other] = [manifest("."), manifest(folder)];
  expect(other.version).toBe(library.version);
  expect(other.dependencies[library.name]).toBe(library.version);
  if (folder !== "cli") return;
  expect(other.dependencies[manifest("models").name]).toBe(library.version);
  expect(other.peerDependencies[manifest("cluster").name]).toBe(library.version);
});

test("no package of the lock file runs a script when it is installed", () => {
  const { packages } = JSON.parse(read("package-lock.json")) as {
    packages: Record<string, { hasInstallScript?: true }>;
  };
  const scripts = Object.keys(packages).filter((path) => packages[path].hasInstallScript);
  // Optional, and off: its built addon is a package of its own.
  expect(scripts).toEqual(["node_modules/msgpackr-extract"]);
  expect(read(".npmrc").split("\n")).toContain("ignore-scripts=true");
});

test("AGENTS.md and llms.txt are made, and name every page of the documentation", () => {
  const pages = readdirSync("docs").filter((name) => name.endsWith(".md") && name !== "index.md");
  expect(pages.length).toBeGreaterThan(20);
  for (const text of ["AGENTS.md", "llms.txt"].map(read)) {
    expect(text).not.toMatch(/undefined|: $/m);
    for (const page of pages) expect(text).toContain(`](${home}${page.replace(/md$/, "html")}): `);
  }
  // A program to begin with, and how to add to it.
  for (const part of ["```ts\nimport {", "npm test", "## Add a structure"]) expect(read("AGENTS.md")).toContain(part);
  expect(read(".gitignore")).toMatch(/^\/AGENTS\.md\n\/llms\.txt$/m);
});

test("who cites it cites this version", () => {
  const citation = read("CITATION.cff");
  const field = (name: string) => citation.match(new RegExp(`^${name}: (.*)$`, "m"))?.[1];
  const { version, license } = manifest(".");
  expect([field("version"), field("license"), field("repository-code"), field("url")]).toEqual([
    version,
    license,
    source,
    home,
  ]);
});

/** The places of a page that a link may lead to, as the site names them. */
function placesOf(markdown: string): string[] {
  const headings = [...markdown.replace(/^```[\s\S]*?^```$/gm, "").matchAll(/^#+ (.*)$/gm)].map(([, text]) => text);
  return headings.map((text) =>
    text
      .toLowerCase()
      .replace(/[^\p{L}\p{N}]+/gu, "-")
      .replace(/^-|-$/g, ""),
  );
}

/** What a link of a README leads to is in the tarball, or at an address whose file is here. */
function expectTarget(link: string, packed: readonly string[]): void {
  if (link.startsWith(home)) {
    const [page, place] = link.slice(home.length).split("#");
    const file = `docs/${(page || "index.html").replace(/\.html$/, ".md")}`;
    expect(existsSync(file), link).toBe(true);
    if (place !== undefined) expect(placesOf(read(file))).toContain(place);
  } else if (link.startsWith(source)) {
    const [, path = "."] = link.slice(source.length).match(/^(?:\/blob\/main\/(.+))?$/) ?? [undefined, link];
    expect(existsSync(path), link).toBe(true);
  } else if (!link.startsWith("https://")) {
    expect(packed).toContain(link);
  }
}

describe.each([".", "cli", "models", "cluster"])("%s/README.md, as the package's page shows it", (folder) => {
  const readme = read(join(folder, "README.md"));
  const json = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: folder,
    encoding: "utf8",
  });
  const packed: string[] = JSON.parse(json)[0].files.map(({ path }: { path: string }) => path);

  test("is a page or two, and packed", () => {
    expect(readme.split("\n").length).toBeLessThan(130);
    expect(packed).toEqual(expect.arrayContaining(["README.md", "LICENSE", "package.json"]));
  });

  test("has links and pictures that lead somewhere from anywhere", () => {
    const links = [...readme.matchAll(/(!?)\[[^\]]*\]\(([^)]+)\)/g)];
    expect(links.length).toBeGreaterThan(2);
    for (const [, picture, link] of links) {
      // Only pictures are shown by the page itself; other files of a tarball have no address there.
      if (picture === "") expect(link).toMatch(/^https:\/\//);
      expectTarget(link, packed);
    }
  });
});

test.each([
  [`${home}nothing.html`],
  [`${home}start.html#nothing`],
  [`${source}/blob/main/nothing.md`],
  [`${source}/tree/main/docs`],
  ["docs/nothing.svg"],
])("a link to %s would be noticed", (link) => {
  expect(() => expectTarget(link, ["README.md"])).toThrow();
});
