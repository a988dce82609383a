import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitepress";
import { search } from "./search.mjs";

const here = (path) => new URL(path, import.meta.url);
const { repository, version } = JSON.parse(readFileSync(here("../../package.json"), "utf8"));
const repositoryUrl = repository.url.replace(/^git\+|\.git$/g, "");

// Written with the API's pages, so that the sidebar lists what there is.
const apiSidebar = here("../api/sidebar.json");

const page = (text, link) => ({ text, link });
const guide = [
  {
    text: "Begin",
    items: [
      page("Start in two minutes", "/start"),
      page("Gallery", "/gallery"),
      page("The idea in pictures", "/idea"),
      page("Draw a band", "/drawing"),
      page("Networks and training", "/networks"),
      page("What works on which layer", "/support"),
    ],
  },
  {
    text: "Methods",
    items: [
      page("Likelihoods", "/likelihoods"),
      page("Curvature", "/curvature"),
      page("Structures", "/structures"),
      page("Which weights", "/weights"),
      page("Prior, noise, evidence", "/evidence"),
      page("Training by the evidence", "/training-by-evidence"),
      page("Predictions", "/predictions"),
      page("Derivatives", "/derivatives"),
      page("Arrays and linear algebra", "/arrays"),
    ],
  },
  {
    text: "Trust",
    items: [
      page("Evaluation", "/evaluation"),
      page("Conformal prediction", "/conformal"),
      page("Diagnosis", "/diagnosis"),
      page("Where to look next", "/where-to-look"),
    ],
  },
  {
    text: "Where it runs",
    items: [
      page("Vite", "/vite"),
      page("Pages that do not block", "/pages-that-do-not-block"),
      page("Workers", "/workers"),
      page("Import maps, no bundler", "/import-maps"),
      page("Size and loading", "/size"),
      page("Deno", "/deno"),
      page("Bun", "/bun"),
      page("Content security policy", "/csp"),
    ],
  },
  {
    text: "In use",
    items: [
      page("The command line", "/command-line"),
      page("Files", "/files"),
      page("Models from elsewhere", "/models"),
      page("PyTorch checkpoints", "/pytorch"),
      page("Many machines", "/scale"),
      page("Performance and memory", "/performance"),
      page("Benchmarks", "/benchmarks"),
      page("Benchmarks of tables", "/benchmarks-tables"),
    ],
  },
  {
    text: "From other libraries",
    items: [page("Compatibility", "/compatibility"), page("Migration", "/migration")],
  },
];

export default defineConfig({
  title: "laplace-ts",
  description: "Bayesian deep learning in TypeScript",
  lang: "en",
  head: [["link", { rel: "icon", href: `${process.env.DOCS_BASE ?? "/"}favicon.svg`, type: "image/svg+xml" }]],
  // Relative to wherever the site is served from.
  base: process.env.DOCS_BASE ?? "/",
  srcExclude: ["node_modules/**"],
  outDir: "../build/docs/site",
  cacheDir: "../build/docs/cache",
  // The library as it was just built: the front page runs it.
  vite: { resolve: { alias: [{ find: /^laplace-ts$/, replacement: fileURLToPath(here("../../dist/index.js")) }] } },
  themeConfig: {
    nav: [
      page("Start", "/start"),
      page("Gallery", "/gallery"),
      {
        ...page("Methods", "/likelihoods"),
        activeMatch: "^/(likelihoods|curvature|structures|weights|evidence|training-by-evidence|predictions)",
      },
      { ...page("API", "/api/"), activeMatch: "^/api/" },
      page(`v${version}`, `${repositoryUrl}/blob/main/CHANGELOG.md`),
    ],
    sidebar: {
      "/api/": existsSync(apiSidebar) ? JSON.parse(readFileSync(apiSidebar, "utf8")) : [],
      "/": guide,
    },
    outline: [2, 3],
    search,
    socialLinks: [{ icon: "github", link: repositoryUrl, ariaLabel: "The repository" }],
    editLink: { pattern: `${repositoryUrl}/edit/main/docs/:path`, text: "Edit this page" },
  },
});
