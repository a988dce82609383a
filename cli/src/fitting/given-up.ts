// What is said where no candidate is left: which were given up, where, and why.

import { type NotPositiveDefiniteError, ValueError } from "laplace-ts";

/** Candidates that are named; the others are counted. */
const MOST_NAMED = 3;

/** Why candidates were given up: of each the first reason. */
export class GivenUp {
  readonly #reasons = new Map<string, string>();

  /** @param where which rows it was to be fitted to @param error of its curvature; undefined where it was fitted, and could not predict */
  add(name: string, where: string, error?: NotPositiveDefiniteError): void {
    if (this.#reasons.has(name)) return;
    const why =
      error === undefined
        ? "its curvature is so near to singular that it predicts nothing"
        : `its curvature is not positive definite: pivot ${error.index} is ${Number(error.pivot.toPrecision(3))}`;
    this.#reasons.set(name, `${name} (${where}: ${why})`);
  }

  /** The error where none is left. */
  error(): ValueError {
    const said = [...this.#reasons.values()];
    const more = said.length > MOST_NAMED ? `; and ${said.length - MOST_NAMED} more` : "";
    return new ValueError(
      `fit: no candidate can be fitted. Given up: ${said.slice(0, MOST_NAMED).join("; ")}${more}. ` +
        "Likely causes: weights, targets or inputs so large, or rows or columns so alike, that the curvature is singular.",
    );
  }
}
