// What this machine's arithmetic is: the build of the kernels, and what they compute. Two machines of the same arithmetic give a
// shard the same bits; relaxed SIMD leaves it to the processor whether a product is rounded before it is added.

import { chain, crossEntropy, dense, gradient, kernels, NDArray, randomNormal, tanh } from "laplace-ts";
import { contentsDigest } from "../store/digest.ts";

/** Where builds are mixed, all machines have this. */
export const MIXED = "mixed";

let known: string | undefined;

/** A word for this machine's arithmetic, such as "relaxed-1f8a09b3c2d4". */
export function arithmetic(): string {
  known ??= `${kernels.info().build}-${fingerprint().slice(0, 12)}`;
  return known;
}

/** The digest of gradients of fixed networks, in both types of numbers. */
function fingerprint(): string {
  const tensors = Object.fromEntries(
    (["float32", "float64"] as const).map((dtype) => {
      const net = chain({ inputs: 37, seed: 1, dtype }, dense(41, tanh), dense(5));
      const y = new NDArray(
        Float64Array.from({ length: 67 }, (_, i) => i % 5),
        [67],
      );
      return [dtype, gradient(net, crossEntropy, { x: randomNormal([67, 37], { seed: 2 }), y })];
    }),
  );
  return contentsDigest({ tensors, metadata: {} });
}
