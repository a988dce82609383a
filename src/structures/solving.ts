// Brings what works by products into a program.

import { bring, type Made } from "./operator/made.ts";
import { operatorPrecision } from "./operator/precision.ts";

/** @param keep keeps the data of a fit */
export function bringProducts(keep: Made["keep"]): void {
  bring({ keep, precision: operatorPrecision });
}
