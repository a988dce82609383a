// The builds of the kernels that this runtime takes: a suite of kernel tests runs on each.

import { afterAll, beforeAll, describe } from "vitest";
import { type KernelBuild, kernels, useBuild } from "../../src/kernels/kernels.ts";

function available(build: KernelBuild): boolean {
  const active = kernels.info().build;
  try {
    useBuild(build);
    return true;
  } catch {
    return false;
  } finally {
    useBuild(active);
  }
}

/** Runs a suite on every build; one that the runtime does not take (relaxed and wide on Node 20) is skipped by that name. */
export function describeBuilds(name: string, suite: () => void): void {
  for (const build of ["simd", "relaxed", "wide"] as const) {
    const here = available(build);
    describe.skipIf(!here)(`${name}, build "${build}"${here ? "" : ": this runtime does not take it"}`, () => {
      const active = kernels.info().build;
      beforeAll(() => useBuild(build));
      afterAll(() => useBuild(active));
      suite();
    });
  }
}
