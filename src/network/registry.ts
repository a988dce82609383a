// Primitives that are defined outside of the library, for files.

import type { Primitive } from "./primitive.ts";

/** By their names. */
export const registered = new Map<string, Primitive<never>>();
