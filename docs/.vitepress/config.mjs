import { existsSync, readFileSync } from "node:fs";
import { defineConfig } from "vitepress";

// Written with the API's pages, so that the sidebar lists what there is.
const apiSidebar = new URL("../api/sidebar.json", import.meta.url);

const page = (text, link) => ({ text, link });
const guide = [
  {
    text: "Begin",
    items: [
      page("What it is", "/"),
      page("Start in two minutes", "/start"),
      page("The idea in pictures", "/idea"),
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
    ],
  },
  {
    text: "In use",
    items: [
      page("The command line", "/command-line"),
      page("Files", "/files"),
      page("Workers", "/workers"),
      page("Performance and memory", "/performance"),
      page("Benchmarks", "/benchmarks"),
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
  // Relative to wherever the site is served from.
  base: process.env.DOCS_BASE ?? "/",
  srcExclude: ["node_modules/**"],
  outDir: "../build/docs/site",
  cacheDir: "../build/docs/cache",
  themeConfig: {
    nav: [page("Start", "/start"), page("Methods", "/likelihoods"), page("API", "/api/")],
    sidebar: {
      "/api/": existsSync(apiSidebar) ? JSON.parse(readFileSync(apiSidebar, "utf8")) : [],
      "/": guide,
    },
    outline: [2, 3],
    search: { provider: "local" },
  },
});
