// The columns whose outer products make a curvature.

import { Random } from "../array/random.ts";
import { lossGradient } from "../derivatives/columns.ts";
import { bytesPerElement } from "../kernels/memory.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import { outputsOf } from "../network/outputs.ts";
import type { Columns } from "../network/run.ts";
import type { Plan } from "./plan.ts";

/** Those of a plan. */
export function columnsOf({ kind, likelihood, samples, seed }: Plan): Columns {
  if (kind === "ggn") return roots(likelihood);
  return kind === "monteCarlo" ? drawn(likelihood, samples, seed) : lossGradient(likelihood, 1);
}

/** Λ^½ */
function roots(likelihood: Likelihood): Columns {
  return {
    count: (shape) => likelihood.rootColumns(shape),
    write(part, which, to) {
      const f = outputsOf(part);
      likelihood.root(f, which, to);
      likelihood.dropIgnored?.(f, part.targets, which.count, to);
    },
  };
}

/** Gradients at targets drawn from the likelihood. A stream of draws for each, so that they do not depend on how the data are cut. */
function drawn(likelihood: Likelihood, samples: number, seed: number): Columns {
  const master = new Random(seed);
  const streams = Array.from({ length: samples }, () => new Random(Math.floor(master.uniform() * 2 ** 32)));
  return {
    count: () => samples,
    write(part, { first, count }, to) {
      const f = outputsOf(part);
      const n = f.batch * f.outputs;
      for (let k = 0; k < count; k++) {
        likelihood.drawColumn(f, streams[first + k], to + k * n * bytesPerElement(f.dtype));
      }
      f.kernels.affine(count * n, 1 / Math.sqrt(samples), to, 0, to, false);
      likelihood.dropIgnored?.(f, part.targets, count, to);
    },
  };
}
