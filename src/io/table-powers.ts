// Probabilities of classes raised to a power, by functions that are equal to the bit in every runtime.

import { portableExp, portableLog } from "../array/portable.ts";
import type { TableEncoding } from "../data/encoding.ts";
import { ValueError, valueText } from "../errors.ts";

/** @throws ValueError for a power that is not above 0, or one of a model of numbers */
export function checkPower(power: number, { target }: TableEncoding): void {
  if (!(typeof power === "number" && power > 0 && power < Number.POSITIVE_INFINITY)) {
    throw new ValueError(`tableModel: probabilityPower must be a number above 0, not ${valueText(power)}.`);
  }
  if (power !== 1 && target.kind === "number") {
    throw new ValueError("tableModel: the model predicts numbers, which have no probabilityPower; it must be 1.");
  }
}

/** p^s / Σ p^s of each row, and its logarithms. @param logs of p, [rows · classes] */
export function toPower(
  logs: Float64Array,
  classes: number,
  power: number,
): { readonly mean: Float64Array; readonly logs: Float64Array } {
  const raised = new Float64Array(logs.length);
  for (let at = 0; at < logs.length; at += classes) {
    let most = Number.NEGATIVE_INFINITY;
    for (let c = 0; c < classes; c++) most = Math.max(most, logs[at + c]);
    let sum = 0;
    for (let c = 0; c < classes; c++) sum += portableExp(power * (logs[at + c] - most));
    const total = portableLog(sum);
    for (let c = 0; c < classes; c++) raised[at + c] = Math.min(0, power * (logs[at + c] - most) - total);
  }
  return { mean: raised.map(portableExp), logs: raised };
}
