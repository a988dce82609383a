// Derivatives of a network's outputs: the Jacobian, and its products from either side without it.

import { inType, resultArray } from "../array/arguments.ts";
import { isPlainArray } from "../array/entries.ts";
import { type ArrayLike, asArray, NDArray, sameShape, shapeText, zeros } from "../array/ndarray.ts";
import { checkChoice, checkOptions, OptionError, ShapeError } from "../errors.ts";
import { bringOut, copyIn, copyTo, type DType, type Pointer } from "../kernels/memory.ts";
import { asynchronously, type BurstOptions, type ExamplesReport, type InBursts } from "../kernels/steps.ts";
import { nodeNumbers } from "../network/graph.ts";
import { checkIsNetwork, type Network } from "../network/network.ts";
import { pushForward } from "../network/passes.ts";
import { type Contraction, none, type Run, run, runInSteps } from "../network/run.ts";
import { checkBudget, type MemoryOptions } from "./budget.ts";
import { given, unit } from "./cotangents.ts";
import { keep, pulledBackShape, sumOrInputs, type Variable, variables } from "./results.ts";

/** Options of `jacobian`. */
export interface JacobianOptions extends MemoryOptions {
  /** What is varied: the parameters (default), or the inputs. */
  withRespectTo?: Variable;
  /** Where the result goes; a new array if missing. */
  out?: NDArray;
}

/**
 * The Jacobian of the outputs for every example: [B, C, P] with respect to the parameters, or [B, C, ...inputs]. One
 * backward pass with C columns; time and memory grow in proportion to B.
 * @throws ShapeError, ValueError for bad inputs; OptionError; MemoryBudgetError if it exceeds the memory budget
 */
export function jacobian(net: Network, x: ArrayLike, options: JacobianOptions = {}): NDArray {
  return run(...jacobianRun(net, x, options));
}

/** `jacobian` in bursts, with turns of the event loop between them. @throws as `jacobian`; the signal's reason */
export async function jacobianAsync(
  net: Network,
  x: ArrayLike,
  options: InBursts<JacobianOptions> = {},
): Promise<NDArray> {
  return asynchronously("jacobian", options, (rest) => runInSteps(...jacobianRun(net, x, rest)));
}

function jacobianRun(net: Network, x: ArrayLike, options: JacobianOptions): Run<NDArray> {
  const where = "jacobian";
  checkOptions(where, options, ["withRespectTo", "memoryBudget", "out"]);
  const { withRespectTo = "parameters" } = options;
  checkChoice(where, "withRespectTo", withRespectTo, variables);
  checkIsNetwork(where, net);
  const inputs = net.readInputs(where, x);
  const [batch, ...inputShape] = inputs.shape;
  const varied = withRespectTo === "parameters" ? [net.parameterCount] : inputShape;
  const shape = [batch, ...net.outputShape, ...varied];
  checkBudget(where, shape, net, options.memoryBudget, "vjp and jvp give products with the Jacobian without it.");
  const result = resultArray(where, options.out, shape, net.dtype);
  return [where, net, [{ inputs }], unit(), keep(net, result, withRespectTo), withRespectTo];
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
  return run(...jvpRun(net, x, tangent));
}

/** `jvp` in bursts. @throws as `jvp`; the signal's reason */
export async function jvpAsync(
  net: Network,
  x: ArrayLike,
  tangent: Tangent,
  options: BurstOptions<ExamplesReport> = {},
): Promise<NDArray> {
  return asynchronously("jvp", options, () => runInSteps(...jvpRun(net, x, tangent)));
}

function jvpRun(net: Network, x: ArrayLike, tangent: Tangent): Run<NDArray> {
  const where = "jvp";
  checkIsNetwork(where, net);
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
  return [where, net, [{ inputs }], none, pushed(net, dTheta, dx, result), "parameters"];
}

/** What a direction of the parameters, of the inputs or of both makes of the outputs: a pass forward, no column. */
function pushed(
  { graph, dtype }: Network,
  dTheta: NDArray | undefined,
  dx: NDArray | undefined,
  result: NDArray,
): Contraction<NDArray> {
  const [width, size] = [graph.input.size, graph.output.size];
  let theta: Pointer = 0;
  return {
    // A tangent of every value.
    scratch: nodeNumbers(graph.nodes),
    open(hold) {
      if (dTheta === undefined) return;
      theta = hold(dtype, dTheta.size);
      copyTo(dtype, theta, dTheta.data);
    },
    begin({ forward, start, count }) {
      const moving = dx === undefined ? 0 : copyIn(dtype, dx.data.subarray(start * width, (start + count) * width));
      bringOut(dtype, pushForward(forward, theta, moving), count * size, result.data, start * size);
    },
    finish: () => result,
  };
}

/** Options of `vjp`. */
export interface VjpOptions {
  /** What is varied: the parameters (default), or the inputs. */
  withRespectTo?: Variable;
}

/**
 * Transposed Jacobian times cotangents, summed over the batch: [P]; or with respect to the inputs, [B, ...inputs].
 * @param cotangent [B, ...outputs]
 * @throws ShapeError, ValueError, OptionError
 */
export function vjp(net: Network, x: ArrayLike, cotangent: ArrayLike, options: VjpOptions = {}): NDArray {
  return run(...vjpRun(net, x, cotangent, options));
}

/** `vjp` in bursts. @throws as `vjp`; the signal's reason */
export async function vjpAsync(
  net: Network,
  x: ArrayLike,
  cotangent: ArrayLike,
  options: InBursts<VjpOptions> = {},
): Promise<NDArray> {
  return asynchronously("vjp", options, (rest) => runInSteps(...vjpRun(net, x, cotangent, rest)));
}

function vjpRun(net: Network, x: ArrayLike, cotangent: ArrayLike, options: VjpOptions): Run<NDArray> {
  const where = "vjp";
  checkOptions(where, options, ["withRespectTo"]);
  const { withRespectTo = "parameters" } = options;
  checkChoice(where, "withRespectTo", withRespectTo, variables);
  checkIsNetwork(where, net);
  const inputs = net.readInputs(where, x);
  const targets = readShaped(where, "the cotangent", cotangent, [inputs.shape[0], ...net.outputShape], net.dtype);
  const result = zeros(pulledBackShape(net, inputs, withRespectTo), { dtype: net.dtype });
  const contraction = sumOrInputs(net, result, withRespectTo, inputs.shape[0]);
  return [where, net, [{ inputs, targets }], given, contraction, withRespectTo];
}
