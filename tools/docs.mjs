// Builds the documentation's site into build/docs/site: pictures and programs are run, the table of what there is for each
// layer made by trying it, the API's pages written from the docstrings, every link within the site checked, and its search
// asked and its front page used. `npm run docs -- --dev` serves it while pages are edited.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeApi } from "./docs-api.mjs";
import { checkLinks } from "./docs-links.mjs";
import { checkLive } from "./docs-live.mjs";
import { checkSearch } from "./docs-search.mjs";
import { llmsFull, llmsText } from "./llms.mjs";

process.chdir(join(dirname(fileURLToPath(import.meta.url)), ".."));

const tsc = "node_modules/typescript/bin/tsc";

function run(what, args, options = {}) {
  process.stderr.write(`${what} …\n`);
  execFileSync(process.execPath, args, { stdio: "inherit", ...options });
}

/** The site has dependencies of its own, so that the library's installation stays small. */
function install() {
  const stamp = "docs/node_modules/.laplace-installed";
  const now = createHash("sha256").update(readFileSync("docs/package-lock.json")).digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === now) return;
  process.stderr.write("Installing the site's dependencies …\n");
  execFileSync("npm", ["ci", "--loglevel=error", "--no-audit", "--no-fund"], {
    cwd: "docs",
    stdio: "inherit",
    shell: process.platform === "win32",
  });
  writeFileSync(stamp, now);
}

try {
  run("Preparing", ["tools/prepare.mjs"]);
  install();
  run("Drawing", ["docs/pictures/make.mjs", "docs/generated"]);
  run("Drawing with Observable Plot", ["docs/pictures/plot.mjs", "docs/generated"]);
  run("Compiling the networks of the table of support", [tsc, "-p", "tsconfig.support.json"]);
  run("Trying every operation on every layer", [
    "build/docs/support/test/support/write.js",
    "docs/generated/support.json",
  ]);
  process.stderr.write("Writing the API's pages …\n");
  writeApi();
  const vitepress = "node_modules/vitepress/bin/vitepress.js";
  if (process.argv.includes("--dev")) {
    run("Serving", [vitepress, "dev"], { cwd: "docs" });
  } else {
    run("Running the programs", ["tools/docs-programs.mjs"]);
    rmSync("build/docs/site", { recursive: true, force: true });
    run("Building the site", [vitepress, "build"], { cwd: "docs" });
    writeFileSync("build/docs/site/llms.txt", llmsText());
    writeFileSync("build/docs/site/llms-full.txt", llmsFull());
    const { pages, links } = checkLinks("build/docs/site");
    const questions = await checkSearch("build/docs/site");
    const used = await checkLive("build/docs/site");
    console.log(
      used ? "The front page's band follows mouse, finger and keys." : "NOT TRIED: the front page, without Chromium.",
    );
    console.log(
      `build/docs/site: ${pages} pages, ${links} links, all of them lead somewhere; ${questions} searches find their page.`,
    );
  }
} catch (error) {
  process.stderr.write(`${error.status === undefined ? error.stack : error.message}\n`);
  process.exit(1);
}
