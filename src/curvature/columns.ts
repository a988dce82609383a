// The columns whose outer products make a curvature, as many at once as memory allows.

import { Random } from "../array/random.ts";
import { allocateFloats, bytesPerElement, type Pointer, scope } from "../kernels/memory.ts";
import type { Columns } from "../likelihood/likelihood.ts";
import type { Outputs } from "../network/outputs.ts";
import type { Part } from "../network/parts.ts";
import { Backward } from "../network/passes.ts";
import type { Plan } from "./accumulate.ts";

/** The number of columns K that are pulled back for each example. */
export function columnCount({ net, likelihood, kind, samples }: Plan): number {
  return kind === "ggn" ? likelihood.rootColumns(net.outputShape) : kind === "monteCarlo" ? samples : 1;
}

/** A stream of draws for each column, so that draws do not depend on how the data are cut. */
export function streamsOf(plan: Plan): Random[] {
  const master = new Random(plan.seed);
  return Array.from({ length: columnCount(plan) }, () => new Random(Math.floor(master.uniform() * 2 ** 32)));
}

/** Some of the columns of a part, [count, B, C], for targets t. */
export function writeColumns(
  plan: Plan,
  f: Outputs,
  t: Pointer,
  { first, count }: Columns,
  randoms: readonly Random[],
): Pointer {
  const { kernels, dtype, batch, outputs } = f;
  const n = batch * outputs;
  const to = allocateFloats(dtype, count * n);
  if (plan.kind === "ggn") {
    plan.likelihood.root(f, { first, count }, to);
  } else {
    for (let k = 0; k < count; k++) {
      plan.likelihood.drawColumn(f, randoms[first + k], to + k * n * bytesPerElement(dtype));
    }
    kernels.affine(count * n, 1 / Math.sqrt(randoms.length), to, 0, to, false);
  }
  plan.likelihood.dropIgnored?.(f, t, count, to);
  return to;
}

/** Pulls all columns of a part back, `most` at once; `visit` hears whether the part's examples were there before. */
export function eachColumns(
  plan: Plan,
  part: Part,
  f: Outputs,
  t: Pointer,
  most: number,
  randoms: readonly Random[],
  visit: (backward: Backward, again: boolean) => void,
): void {
  const total = columnCount(plan);
  for (let first = 0; first < total; first += most) {
    const count = Math.min(most, total - first);
    const columns = { first, count };
    scope(() => {
      const to = writeColumns(plan, f, t, columns, randoms);
      visit(new Backward(part.forward, to, count, plan.selection.reaches), first > 0);
    });
  }
}
