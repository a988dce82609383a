// The candidates for a table, and the choice among them by rows that they have not seen: each with the scale of its
// uncertainty that predicts these rows best.

import { defaultHidden, type NetworkSettings } from "./network.ts";
import type { Recipe } from "./recipe.ts";

/** A way to fit a table. */
export interface Candidate {
  readonly name: string;
  readonly recipe: Recipe;
  /** The network in a line, and why its posterior has its structure. */
  readonly network: string;
  readonly structureReason: string;
}

/** The candidate that was chosen, and its scale; and what was found of each. */
export interface Choice {
  readonly candidate: number;
  readonly scale: number;
  /** Mean −log p of each candidate at its best scale; infinite for those that were given up. */
  readonly losses: readonly number[];
}

/** Losses of rows in parts: of each candidate, part by part, at each scale; undefined where it was given up before. */
export type Losses = readonly (readonly (readonly Float64Array[] | undefined)[])[];

/** Standard errors by which a scale may be behind the best one, and be taken because it is nearer to the evidence's own. */
const NO_WORSE = 0.25;

/**
 * Chooses a candidate and its scale by the rows of all parts, or of all but one: the candidate that is best at its best scale, and
 * of its scales the first that is hardly worse. So uncertainty about rows unlike these is given up for a gain alone.
 */
export function choose(losses: Losses, scales: readonly number[], without = -1): Choice {
  let best = { candidate: 0, scale: 1, loss: Number.POSITIVE_INFINITY };
  const each = losses.map((parts, candidate) => {
    const own = parts.filter((_, part) => part !== without);
    if (own.some((part) => part === undefined)) return Number.POSITIVE_INFINITY;
    const all = scales.map((_, s) => own.flatMap((part) => Array.from(part?.[s] ?? [])));
    const means = all.map((values) => values.reduce((sum, loss) => sum + loss / values.length, 0));
    const loss = Math.min(...means);
    if (loss < best.loss) best = { candidate, scale: scales[firstOf(all, means, means.indexOf(loss))], loss };
    return loss;
  });
  return { candidate: best.candidate, scale: best.scale, losses: each };
}

/** The first scale that is no more than a part of the standard error behind the best. */
function firstOf(all: readonly (readonly number[])[], means: readonly number[], best: number): number {
  return all.findIndex((values, s) => {
    const excess = means[s] - means[best];
    const square = values.reduce((sum, loss, i) => sum + (loss - all[best][i] - excess) ** 2, 0);
    return excess <= (NO_WORSE * Math.sqrt(square)) / values.length;
  });
}

/** Standard errors by which a candidate must be behind to be given up, and nats per row. */
const [CLEARLY, FAR_BEHIND] = [4, 0.05];

/** Whether the first part's rows say that a candidate is hopeless. */
export function hopeless(losses: Losses, candidate: number): boolean {
  const first = losses.map(([part]) => part && bestOf(part));
  const [own, others] = [first[candidate], first.filter((part) => part !== undefined)];
  if (own === undefined) return true;
  return others.some((other) => {
    const n = own.length;
    const mean = own.reduce((sum, loss, i) => sum + (loss - other[i]) / n, 0);
    const square = own.reduce((sum, loss, i) => sum + (loss - other[i] - mean) ** 2, 0);
    return mean > FAR_BEHIND && mean > (CLEARLY * Math.sqrt(square)) / n;
  });
}

function bestOf(scales: readonly Float64Array[]): Float64Array {
  const totals = scales.map((losses) => losses.reduce((sum, loss) => sum + loss, 0));
  return scales[totals.indexOf(Math.min(...totals))];
}

/** The wide network, of any table. */
const WIDE = [64, 64] as const;

/** A candidate's network and how it begins. */
export interface Idea {
  readonly name: string;
  readonly hidden: readonly number[];
  readonly activation: NetworkSettings["activation"];
  readonly first: number;
}

/**
 * 1 / variance of the weights at first, of networks that are given or narrow, and of wide ones. With a strong prior the network is
 * constant, and the evidence of a constant asks for a still stronger prior: 50 ended at the mean in one of seven tables.
 */
const [FIRST, FIRST_WIDE] = [5, 1];

/** The candidates for so many rows: those asked for, or a linear model, a narrow smooth network and a wide one with kinks. */
export function ideasFor(rows: number, { hidden, activation }: Pick<NetworkSettings, "hidden" | "activation">): Idea[] {
  if (hidden !== undefined) return [{ name: "the network", hidden, activation, first: FIRST }];
  return [
    { name: "a linear model", hidden: [], activation, first: FIRST },
    { name: "a narrow network", hidden: defaultHidden(rows), activation, first: FIRST },
    { name: "a wide network", hidden: WIDE, activation: "relu", first: FIRST_WIDE },
  ];
}
