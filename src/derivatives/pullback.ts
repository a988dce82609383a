// One column pulled back over a whole batch: what `gradient` and `vjp` share.

import type { NDArray } from "../array/ndarray.ts";
import { copyOutTo, type Pointer, scope } from "../kernels/memory.ts";
import type { Network } from "../network/network.ts";
import { checkValues, eachPart, type Part } from "../network/parts.ts";
import { Backward } from "../network/passes.ts";
import { GradientSum } from "./totals.ts";

/** What a derivative is taken with respect to. */
export type Variable = "parameters" | "inputs";

export const variables: readonly Variable[] = ["parameters", "inputs"];

/** The shape of one column's derivative: summed over the batch for parameters, [B, ...inputs] for inputs. */
export function pulledBackShape(net: Network, inputs: NDArray, variable: Variable): readonly number[] {
  return variable === "parameters" ? [net.parameterCount] : inputs.shape;
}

/**
 * Pulls a column back and writes the result.
 * @param column the cotangents of a part's outputs, [1, B, ...outputs]
 */
export function pullBack(
  where: string,
  net: Network,
  inputs: NDArray,
  variable: Variable,
  column: (part: Part) => Pointer,
  result: NDArray,
): void {
  scope(() => {
    const sum = variable === "parameters" ? new GradientSum(net.graph, net.dtype) : undefined;
    const extra = sum === undefined ? 0 : GradientSum.numbers(net.graph, net.dtype);
    eachPart(net, inputs, 1, extra, (part) => {
      checkValues(where, part);
      const backward = new Backward(part.forward, column(part), 1, variable);
      if (sum !== undefined) {
        sum.add(backward);
        return;
      }
      const width = net.graph.input.size;
      const cotangent = backward.cotangent(net.graph.input);
      copyOutTo(net.dtype, cotangent, part.count * width, result.data, part.start * width);
    });
    sum?.copyTo(result.data);
  });
}
