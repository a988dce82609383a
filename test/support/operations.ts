// What the library is asked for of every layer: the columns of the table of support.

import {
  curvatureOf,
  curvatureOperator,
  gaussian,
  gradient,
  jacobian,
  jvp,
  LaplaceError,
  laplace,
  mse,
  perSampleGradientNorms,
  perSampleGradients,
  type Structure,
  solver,
  vjp,
} from "../../src/index.ts";
import { type Subject, subjectOf } from "../reference/subject.ts";
import type { SupportCase } from "./cases.ts";

interface Operation {
  readonly name: string;
  run(subject: Subject): unknown;
}

const curvature = (name: string, structure: Structure, sharing: "expand" | "reduce" = "expand"): Operation => ({
  name,
  run({ net, x, y }) {
    for (const kind of ["ggn", "empiricalFisher"] as const) {
      const own = { points: x, solver: solver() };
      curvatureOf(net, gaussian(), { x, y }, { structure, curvature: kind, sharing, ...own });
    }
  },
});

export const operations: readonly Operation[] = [
  { name: "gradient", run: ({ net, x, y }) => gradient(net, mse, { x, y }) },
  {
    name: "per-sample gradients",
    run: ({ net, x, y }) => [perSampleGradients(net, mse, { x, y }), perSampleGradientNorms(net, mse, { x, y })],
  },
  { name: "Jacobian", run: ({ net, x }) => [jacobian(net, x), vjp(net, x, net.forward(x))] },
  { name: "jvp", run: ({ net, x, theta }) => jvp(net, x, theta) },
  {
    name: "with respect to inputs",
    run({ net, x, y }) {
      const inputs = { withRespectTo: "inputs" } as const;
      gradient(net, mse, { x, y }, inputs);
      jacobian(net, x, inputs);
      vjp(net, x, net.forward(x), inputs);
      jvp(net, x, { inputs: x });
    },
  },
  curvature("diagonal", "diagonal"),
  curvature("full", "full"),
  curvature("KFAC expand", "kronecker"),
  curvature("KFAC reduce", "kronecker", "reduce"),
  curvature("EKFAC expand", "ekfac"),
  curvature("EKFAC reduce", "ekfac", "reduce"),
  curvature("KFOC", "kfoc"),
  curvature("low rank", "lowRank"),
  curvature("functional", "functional"),
  {
    name: "operator",
    run({ net, x, y, theta }) {
      const options = { structure: "operator", solver: solver() } as const;
      curvatureOf(net, gaussian(), { x, y }, options).times(theta);
      curvatureOperator(net, gaussian(), { x, y }).times(theta);
    },
  },
  {
    name: "Hessian",
    run: ({ net, x, y }) => curvatureOf(net, gaussian(), { x, y }, { structure: "diagonal", curvature: "hessian" }),
  },
  {
    name: "prediction",
    async run({ net, x, y }) {
      const options = { likelihood: gaussian(), points: x, checks: false };
      for (const structure of ["full", "diagonal", "kronecker", "ekfac", "kfoc", "lowRank", "functional"] as const) {
        const posterior = await laplace(net, { ...options, structure }).fit({ x, y });
        posterior.predict(x);
      }
    },
  },
];

/** A case's network, with parameters and data. */
export function subjectOfCase({ blocks, inputs, vocabulary }: SupportCase): Subject {
  return subjectOf(blocks, inputs, { batch: 3, seed: 5, ...(vocabulary !== undefined && { vocabulary }) });
}

/** For each operation true, or the error that says why it is not there. */
export async function supportOf(subject: Subject): Promise<(true | LaplaceError)[]> {
  const found: (true | LaplaceError)[] = [];
  for (const { run } of operations) {
    try {
      await run(subject);
      found.push(true);
    } catch (error) {
      // Anything else is a defect, not a gap.
      if (!(error instanceof LaplaceError)) throw error;
      found.push(error);
    }
  }
  return found;
}
