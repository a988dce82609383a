import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { defineConfig } from "vitest/config";

/** By which packages' modules are found: what is kept of modules is of the places where they were. */
const exportsHash = createHash("sha256");
for (const name of ["package.json", "models/package.json", "cluster/package.json", "cli/package.json"])
  exportsHash.update(readFileSync(name));

const sources: Readonly<Record<string, string>> = {
  "laplace-ts": "src/index.ts",
  "laplace-ts/executor": "src/executor.ts",
};

/** What all runs share. */
export const shared = defineConfig({
  plugins: [
    {
      // What tests take from the examples and from the cluster runs on the sources, too.
      name: "packages-on-sources",
      enforce: "pre",
      resolveId: (source, importer) =>
        Object.hasOwn(sources, source) &&
        ["examples", "cluster/src", "cluster/test"].some((folder) => importer?.startsWith(resolve(folder)))
          ? resolve(sources[source])
          : undefined,
    },
  ],
  test: {
    setupFiles: ["test/setup.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // By default one core is left to watch, which nobody does here.
    maxWorkers: "100%",
    experimental: {
      fsModuleCache: true,
      fsModuleCachePath: `node_modules/.vitest-modules/${exportsHash.digest("hex").slice(0, 12)}`,
    },
    reporters: process.env.CI ? ["default", ["json", { outputFile: "build/test-results.json" }]] : ["default"],
  },
});

// Starting a process and loading the library takes most files longer than their tests. Those of the folders of a project share two
// processes, but for what changes the world around it or counts the bytes of all its memory.
const folders = {
  sums: "test/array test/data test/evaluation test/io test/linalg test/losses test/network test/posterior test/structures test/training",
  rules: "test/curvature test/derivatives test/kernels test/likelihood test/prediction test/remote test/shards",
  posteriors: "test test/diagnosis test/laplace test/search",
  packages: "cli/test models/test cluster/test",
};
const needsItsOwn = /plainFunction|\bvi\.|memoryUse|bytesInUse|peak\.ts|observeMemory|setClock|setThreads/;
const filesOf = (some: string) =>
  some
    .split(" ")
    .flatMap((folder) => readdirSync(folder, { recursive: folder !== "test" }).map((name) => `${folder}/${name}`))
    .filter(
      (file) =>
        file.endsWith(".test.ts") &&
        !file.includes("/pytorch/") &&
        !file.includes("/machines/") &&
        !file.includes("/manifests/") &&
        !file.endsWith(".long.test.ts") &&
        !needsItsOwn.test(readFileSync(file, "utf8")),
    );

/** Files that share processes unless they are `isolate`d, and `include` but for them and what is left out. */
export function projectsOf(
  names: readonly (keyof typeof folders)[],
  include: string[],
  exclude: string[] = [],
  isolate = false,
) {
  const together = names.map((name) => ({ name, files: filesOf(folders[name]) }));
  return [
    ...together.map(({ name, files }) => ({
      extends: true as const,
      test: { name, include: files, exclude, isolate },
    })),
    {
      extends: true as const,
      test: {
        name: "alone",
        include,
        exclude: [...together.flatMap(({ files }) => files), "**/*.long.test.ts", "node_modules/**", ...exclude],
      },
    },
  ];
}

export default defineConfig({
  ...shared,
  test: {
    ...shared.test,
    projects: projectsOf(
      ["sums", "rules", "posteriors", "packages"],
      ["test/**/*.test.ts", "cli/test/**/*.test.ts", "models/test/*.test.ts", "cluster/test/*.test.ts"],
    ),
  },
});
