// A network of blocks with random parameters and data, for checks against the reference.

import { array, type DType, type NDArray, type Network, Random } from "../../src/index.ts";
import { numbers } from "./draw.ts";
import { type Block, build } from "./network.ts";

export interface Subject {
  readonly blocks: readonly Block[];
  readonly inputShape: readonly number[];
  readonly net: Network;
  readonly theta: readonly number[];
  /** Inputs, a row for each example. */
  readonly rows: readonly (readonly number[])[];
  readonly x: NDArray;
  readonly y: NDArray;
  /** Whether inputs are tokens, which have no derivatives. */
  readonly tokens: boolean;
  readonly random: Random;
}

interface SubjectOptions {
  readonly batch?: number;
  readonly seed?: number;
  readonly dtype?: DType;
  /** Inputs are tokens below this. */
  readonly vocabulary?: number;
}

export function subjectOf(
  blocks: readonly Block[],
  inputShape: readonly number[],
  { batch = 2, seed = 1, dtype = "float64", vocabulary }: SubjectOptions = {},
): Subject {
  // Frequencies that are frozen have derivatives all the same.
  const net = build(blocks, inputShape, dtype).unfreeze();
  const random = new Random(seed);
  const theta = numbers(random, net.parameterCount, dtype, 0.7);
  net.setParameters(theta);
  const { size } = net.graph.input;
  const rows = Array.from({ length: batch }, () =>
    vocabulary === undefined
      ? numbers(random, size, dtype)
      : Array.from({ length: size }, () => random.integer(vocabulary)),
  );
  const targets = numbers(random, batch * net.graph.output.size, dtype);
  const x = array(rows.flat(), { shape: [batch, ...inputShape] });
  const y = array(targets, { shape: [batch, ...net.outputShape] });
  return { blocks, inputShape, net, theta, rows, x, y, tokens: vocabulary !== undefined, random };
}
