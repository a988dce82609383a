// The columns of Λ^½.

import { outputsOf } from "../network/part-outputs.ts";
import type { Columns } from "../network/run.ts";
import type { Likelihood } from "./likelihood.ts";

/** Λ^½ of each example; 0 at targets that are ignored. */
export function roots(likelihood: Likelihood): Columns {
  return {
    count: (shape) => likelihood.rootColumns(shape),
    write(part, which, to) {
      const f = outputsOf(part);
      likelihood.root(f, which, to, part.targets);
      likelihood.dropIgnored?.(f, part.targets, which.count, to);
    },
  };
}
