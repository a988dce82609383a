// Joins the modules of the package for Node, in dist/node/: hundreds of files take several times as long to load as a few. Each
// entry has a file of its own, and all share the rest, so that values and classes of one are those of the others.
import { join, resolve } from "node:path";
import { rolldown } from "rolldown";

const root = resolve(import.meta.dirname, "..");
const entries = {
  index: "node",
  ...Object.fromEntries(["graph", "mini", "predict", "worker", "executor"].map((name) => [name, name])),
};
/** A module that nothing imports, which the kernels look for beside them, as for their files. */
const beside = "kernels/wide";

/** Writes them into a folder of `folder`, all but the kernels' files. */
export async function writeNodeFiles(folder) {
  const bundle = await rolldown({
    input: Object.fromEntries(
      Object.entries({ ...entries, [beside]: beside }).map(([name, file]) => [name, join(root, `src/${file}.ts`)]),
    ),
    platform: "node",
    treeshake: false,
  });
  await bundle.write({
    dir: join(root, folder, "node"),
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
}
