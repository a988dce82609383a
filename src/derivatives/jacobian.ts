// Derivatives of a network's outputs: the Jacobian, and its products from either side without it.

import { inType, resultArray } from "../array/checks.ts";
import { gatherStrided } from "../array/einsum.ts";
import { isPlainArray } from "../array/entries.ts";
import { type ArrayLike, asArray, NDArray, sameShape, shapeText, zeros } from "../array/ndarray.ts";
import { checkChoice, checkOptions, OptionError, ShapeError } from "../errors.ts";
import {
  allocateFloats,
  bytesPerElement,
  copyIn,
  copyOutTo,
  type DType,
  type Pointer,
  scope,
} from "../kernels/memory.ts";
import type { Network } from "../network/network.ts";
import { checkValues, eachPart, type Part } from "../network/parts.ts";
import { Backward, type Forward, pushForward } from "../network/passes.ts";
import { checkBudget, type MemoryOptions } from "./budget.ts";
import { contractKeep } from "./contractions.ts";
import { pullBack, pulledBackShape, type Variable, variables } from "./pullback.ts";

/** Options of `jacobian`. */
export interface JacobianOptions extends MemoryOptions {
  /** What is varied: the parameters (default), or the inputs. */
  withRespectTo?: Variable;
  /** Where the result goes; a new array if missing. */
  out?: NDArray;
}

/** One unit column for each output: [C, B, C]. */
function unitColumns({ kernels, dtype, batch, graph }: Forward): Pointer {
  const outputs = graph.output.size;
  const columns = allocateFloats(dtype, outputs * batch * outputs);
  const one = allocateFloats(dtype, 1);
  kernels.fill(outputs * batch * outputs, 0, columns);
  kernels.fill(1, 1, one);
  const bytes = bytesPerElement(dtype);
  for (let c = 0; c < outputs; c++) {
    kernels.copyRows(batch, 1, one, 0, columns + (c * batch * outputs + c) * bytes, outputs, false);
  }
  return columns;
}

/**
 * The Jacobian of the outputs for every example: [B, C, P] with respect to the parameters, or [B, C, ...inputs]. One
 * backward pass with C columns; time and memory grow in proportion to B.
 * @throws ShapeError, ValueError for bad inputs; OptionError; MemoryBudgetError if it exceeds the memory budget
 */
export function jacobian(net: Network, x: ArrayLike, options: JacobianOptions = {}): NDArray {
  const where = "jacobian";
  checkOptions(where, options, ["withRespectTo", "memoryBudget", "out"]);
  const { withRespectTo = "parameters" } = options;
  checkChoice(where, "withRespectTo", withRespectTo, variables);
  const inputs = net.readInputs(where, x);
  const outputs = net.graph.output.size;
  const parameters = withRespectTo === "parameters";
  const [batch, ...inputShape] = inputs.shape;
  const shape = [batch, ...net.outputShape, ...(parameters ? [net.parameterCount] : inputShape)];
  checkBudget(where, shape, net, options.memoryBudget, "vjp and jvp give products with the Jacobian without it.");
  const result = resultArray(where, options.out, shape, net.dtype);
  const row = parameters ? net.parameterCount : net.graph.input.size;
  eachPart(net, inputs, outputs, outputs * (row + outputs), (part) => {
    checkValues(where, part);
    const { forward, start, count } = part;
    const backward = new Backward(forward, unitColumns(forward), outputs, withRespectTo);
    const rows = allocateFloats(net.dtype, count * outputs * row);
    const cotangent = parameters ? 0 : backward.cotangent(net.graph.input);
    if (parameters) contractKeep(backward, rows);
    // Columns come first in [C, B, inputs]; examples come first in the result.
    else gatherStrided(forward.kernels, [count, outputs, row], [row, count * row, 1], cotangent, rows);
    copyOutTo(net.dtype, rows, count * outputs * row, result.data, start * outputs * row);
  });
  return result;
}

/** A direction: of the parameters [P], of the inputs [B, ...inputs], or of both at once. */
export type Tangent = ArrayLike | { readonly parameters?: ArrayLike; readonly inputs?: ArrayLike };

function isPair(tangent: Tangent): tangent is { readonly parameters?: ArrayLike; readonly inputs?: ArrayLike } {
  const array = tangent instanceof NDArray || isPlainArray(tangent);
  return !array && !Array.isArray(tangent) && !ArrayBuffer.isView(tangent);
}

/** An array shaped as the network's values for this batch, checked. */
function readShaped(where: string, name: string, values: ArrayLike, shape: readonly number[], dtype: DType): NDArray {
  const result = asArray(values);
  if (!sameShape(result.shape, shape)) {
    throw new ShapeError(`${where}: ${name} must have shape ${shapeText(shape)}, not ${shapeText(result.shape)}.`);
  }
  return inType(where, name, result, dtype);
}

/**
 * Jacobian times a direction, [B, ...outputs]: how the outputs move as the parameters (and inputs) move along it. One
 * pass forward.
 * @param tangent a vector [P], or { parameters: [P], inputs: [B, ...inputs] } with one or both
 * @throws ShapeError, ValueError
 */
export function jvp(net: Network, x: ArrayLike, tangent: Tangent): NDArray {
  const where = "jvp";
  const inputs = net.readInputs(where, x);
  const directions = typeof tangent === "object" && isPair(tangent) ? tangent : { parameters: tangent as ArrayLike };
  checkOptions(where, directions, ["parameters", "inputs"]);
  if (directions.parameters === undefined && directions.inputs === undefined) {
    throw new OptionError("jvp: the tangent has neither parameters nor inputs.");
  }
  const dTheta =
    directions.parameters === undefined ? undefined : net.readVector(where, "the tangent", directions.parameters);
  const dx =
    directions.inputs === undefined
      ? undefined
      : readShaped(where, "the tangent of the inputs", directions.inputs, inputs.shape, net.dtype);
  const result = zeros([inputs.shape[0], ...net.outputShape], { dtype: net.dtype });
  const width = net.graph.input.size;
  const size = net.graph.output.size;
  scope(() => {
    const theta = dTheta === undefined ? 0 : copyIn(net.dtype, dTheta.data);
    eachPart(net, inputs, 1, 0, (part) => {
      checkValues(where, part);
      const { forward, start, count } = part;
      const moving = dx === undefined ? 0 : copyIn(net.dtype, dx.data.subarray(start * width, (start + count) * width));
      copyOutTo(net.dtype, pushForward(forward, theta, moving), count * size, result.data, start * size);
    });
  });
  return result;
}

/**
 * Transposed Jacobian times cotangents, summed over the batch: [P]; or with respect to the inputs, [B, ...inputs].
 * @param cotangent [B, ...outputs]
 * @throws ShapeError, ValueError, OptionError
 */
export function vjp(
  net: Network,
  x: ArrayLike,
  cotangent: ArrayLike,
  options: { withRespectTo?: Variable } = {},
): NDArray {
  const where = "vjp";
  checkOptions(where, options, ["withRespectTo"]);
  const { withRespectTo = "parameters" } = options;
  checkChoice(where, "withRespectTo", withRespectTo, variables);
  const inputs = net.readInputs(where, x);
  const columns = readShaped(where, "the cotangent", cotangent, [inputs.shape[0], ...net.outputShape], net.dtype);
  const size = net.graph.output.size;
  const result = zeros(pulledBackShape(net, inputs, withRespectTo), { dtype: net.dtype });
  const column = ({ start, count }: Part) =>
    copyIn(net.dtype, columns.data.subarray(start * size, (start + count) * size));
  pullBack(where, net, inputs, withRespectTo, column, result);
  return result;
}
