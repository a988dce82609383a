// The one error of this package, which lists everything that keeps a file from being a network.

import { LaplaceError } from "laplace-ts";

/** Something in a file that cannot become a part of a network. */
export interface Problem {
  /** The operator's name, such as "NonMaxSuppression"; "" where it is the file itself. */
  readonly operator: string;
  /** The node's name, or that of its first output. */
  readonly node: string;
  /** Why, in words. */
  readonly why: string;
}

/** A model's file that cannot be read as a network. `problems` has all that stands in the way, not the first alone. */
export class ModelError extends LaplaceError {
  override name: string = "ModelError";
  readonly problems: readonly Problem[];

  constructor(where: string, problems: readonly Problem[], more = "") {
    const shown = problems.slice(0, 50).map(({ operator, node, why }) => {
      return operator === "" ? why : `${operator} (node "${node}"): ${why}`;
    });
    const rest = problems.length > shown.length ? ` And ${problems.length - shown.length} more.` : "";
    super(`${where}: ${shown.join(" ")}${rest}${more}`);
    this.problems = problems;
  }
}

/** What one node cannot do; caught where problems are listed. */
export class Unsupported extends Error {}

/** Throws it. */
export function unsupported(why: string): never {
  throw new Unsupported(why);
}
