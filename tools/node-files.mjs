// Joins the modules of the package for Node, in dist/node/: hundreds of files take several times as long to load as a few. Each
// entry has a file of its own, and all share the rest, so that values and classes of one are those of the others.
import { cpSync } from "node:fs";
import { join, resolve } from "node:path";
import { rolldown } from "rolldown";

const root = resolve(import.meta.dirname, "..");
const entries = ["index", "graph", "mini", "predict", "worker"];
/** What the kernels look for beside them: a module that nothing imports, and files. */
const beside = { wide: "kernels/wide.js", files: ["plain.wasm", "wide.wasm"] };

/** Writes them into a folder that has the kernels' files. */
export async function writeNodeFiles(folder) {
  const at = (path) => join(root, folder, path);
  const bundle = await rolldown({
    input: Object.fromEntries([...entries, "kernels/wide"].map((name) => [name, join(root, `src/${name}.ts`)])),
    platform: "node",
    treeshake: false,
  });
  await bundle.write({
    dir: at("node"),
    // The sources are files of the package.
    sourcemap: true,
    sourcemapExcludeSources: true,
    comments: false,
    entryFileNames: "[name].js",
    chunkFileNames: "[name].js",
    codeSplitting: {
      groups: [
        { name: "kernels/kernels", test: /src\/(errors\.ts|kernels\/(?!wide|selfcheck))/ },
        { name: "shared/library", test: /src\/(?!kernels)\w+\// },
      ],
    },
  });
  await bundle.close();
  for (const name of beside.files) cpSync(at(`kernels/generated/${name}`), at(`node/kernels/generated/${name}`));
}

if (process.argv[1] === import.meta.filename) await writeNodeFiles("dist");
