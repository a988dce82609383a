// How many rows a curvature will have, where that is known before the data are gone through.

import { type Data, isDataset } from "../../data/batches.ts";
import { readDataset } from "../../data/dataset.ts";
import { DataLoader } from "../../data/loader.ts";
import { roots } from "../../likelihood/roots.ts";
import type { SizedPlan } from "../structure.ts";
import { sketchSize } from "./sketch.ts";

/** Arrays of a sketch's size that are there at once at most, while the eigenvalues are found: its own, the directions, and products. */
const ARRAYS = 8;

/** The number of examples of data in arrays; Infinity where that is not known. @throws ShapeError, ValueError */
export function lengthOf(where: string, data: Data): number {
  if (data instanceof DataLoader) return data.data.x.shape[0];
  // Of data that lie elsewhere.
  const { far, examples } = data as { readonly far?: unknown; readonly examples?: number };
  if (far !== undefined && examples !== undefined) return examples;
  if (Array.isArray(data)) return data.reduce((sum, batch) => sum + readDataset(where, batch).x.shape[0], 0);
  return typeof data !== "function" && isDataset(data) ? readDataset(where, data).x.shape[0] : Number.POSITIVE_INFINITY;
}

/**
 * Gives plans the number of their rows, where all of them are to be kept: as far as a sketch of them fits into so many bytes; and says
 * of others that the data may be gone through again.
 */
export const rowsWithin =
  (budget: number) =>
  <Plan extends SizedPlan>(plan: Plan, examples: number, again = true): Plan => {
    const { kind, likelihood, net, samples, rank, selection } = plan;
    if (kind === "hessian") return plan;
    const drawn = kind === "monteCarlo" ? samples : 1;
    const rows = examples * (kind === "ggn" ? roots(likelihood).count(net.outputShape) : drawn);
    const { size } = selection;
    const [wide, b] = [sketchSize(rank, size, rows), sketchSize(rank, size)];
    // A fit that goes without them is not refused.
    const fits = (count: number) => 8 * ARRAYS * count * size <= budget;
    if (wide > b && fits(wide)) return { ...plan, rows };
    return again && b < size && rows > b && fits(b) ? { ...plan, rows: "again" } : plan;
  };
