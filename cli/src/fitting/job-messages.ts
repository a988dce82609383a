// Jobs and outcomes as messages between threads.

import { loadPosterior, NDArray, savePosterior } from "laplace-ts";
import type { Numbers } from "../model/rows.ts";
import type { Job, Outcome, Recipe } from "./jobs.ts";
import { learningOfClasses } from "./network.ts";

/** An array in a message. */
const packed = ({ data, shape }: NDArray) => ({ data, shape });
const unpacked = ({ data, shape }: ReturnType<typeof packed>) => new NDArray(data, shape);

/** A job in a message: how its target is learned goes by the number of classes. */
export function jobMessage({ recipe: { learning, ...recipe }, numbers, ...rest }: Job) {
  const { x, y, weights, ...others } = numbers;
  return {
    ...rest,
    recipe: { ...recipe, classes: learning.classes },
    numbers: { ...others, x: packed(x), y: packed(y), ...(weights && { weights: packed(weights) }) },
  };
}

export function readJob({ recipe, numbers, ...rest }: ReturnType<typeof jobMessage>): Job {
  const { classes, ...own } = recipe;
  const { x, y, weights, ...others } = numbers;
  const read: Numbers = {
    ...others,
    x: unpacked(x),
    y: unpacked(y),
    ...(weights && { weights: unpacked(weights) }),
  };
  return { ...rest, recipe: { ...own, learning: learningOfClasses(classes) } as Recipe, numbers: read };
}

/** An outcome in a message. */
export function outcomeMessage({ posterior, ...rest }: Outcome) {
  return { ...rest, posterior: savePosterior(posterior) };
}

export function readOutcome({ posterior, ...rest }: ReturnType<typeof outcomeMessage>): Outcome {
  return { ...rest, posterior: loadPosterior(posterior) };
}

/** What a thread says of a job. */
export type Said =
  | { readonly share: number }
  | { readonly outcome: ReturnType<typeof outcomeMessage> }
  | { readonly failed: true };
