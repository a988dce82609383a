// Losses of one example, by the formulas of torch's documentation, as numbers that carry their gradient.

import type { Loss } from "../../src/index.ts";
import { binaryCrossEntropy, crossEntropy, mse } from "../../src/index.ts";
import { type Dual, exp, log, minus, scaled, shifted, sum, times } from "./dual.ts";

/** The elements of an example's loss: one for each output, or one in all for `crossEntropy`. */
export type ReferenceLoss = (outputs: readonly Dual[], targets: readonly number[]) => Dual[];

/** (f − y)² */
const squaredErrors: ReferenceLoss = (f, y) =>
  f.map((output, i) => times(shifted(output, -y[i]), shifted(output, -y[i])));

/** Σ y (log Σ exp f − f), for probabilities y */
const crossEntropies: ReferenceLoss = (f, y) => {
  const logSum = log(sum(f.map(exp)));
  return [sum(f.map((output, i) => scaled(minus(logSum, output), y[i])))];
};

/** −y log σ(f) − (1 − y) log(1 − σ(f)) = y log(1 + exp(−f)) + (1 − y) log(1 + exp f) */
const binaryCrossEntropies: ReferenceLoss = (f, y) =>
  f.map((output, i) => {
    const ifOne = log(shifted(exp(scaled(output, -1)), 1));
    const ifZero = log(shifted(exp(output), 1));
    return sum([scaled(ifOne, y[i]), scaled(ifZero, 1 - y[i])]);
  });

export interface LossCase {
  readonly name: string;
  readonly loss: Loss;
  readonly elements: ReferenceLoss;
}

export const lossCases = {
  mse: { name: "mse", loss: mse, elements: squaredErrors },
  crossEntropy: { name: "crossEntropy", loss: crossEntropy, elements: crossEntropies },
  binaryCrossEntropy: { name: "binaryCrossEntropy", loss: binaryCrossEntropy, elements: binaryCrossEntropies },
} as const satisfies Record<string, LossCase>;
