// What is asked of the loss over all data at one point of the weights, one thing after the other: its value, where a step may lead; its
// gradient; its curvature; products with its Hessian. Of small data all of these share one forward pass and one pullback, which stay in the
// kernels' memory until the point is left.

import { zeros } from "../array/ndarray.ts";
import { lossGradient, weighted } from "../derivatives/cotangents.ts";
import { hessianOfPart, hessianProduct, type PartHessian } from "../derivatives/second.ts";
import { ValueError } from "../errors.ts";
import { type Kernels, kernelsFor } from "../kernels/kernels.ts";
import {
  allocateFloats,
  beginStack,
  bytesPerElement,
  copyIn,
  copyOut,
  copyTo,
  endStack,
  giveBlock,
  onStack,
  type Pointer,
  type ScopeStack,
  scope,
  takeBlock,
} from "../kernels/memory.ts";
import { inPieces, reporting, type Steps } from "../kernels/steps.ts";
import { type Cut, cutOf } from "../network/cut.ts";
import type { Site } from "../network/parameters.ts";
import { Backward, checkValues, Forward } from "../network/passes.ts";
import { holdInScope, none, type Part, type Pull, pullBack, runInParts, type TargetedBatch } from "../network/run.ts";
import type { Curvature } from "../structures/curvature.ts";
import { spread } from "../structures/selection.ts";
import { curvaturePull, cutOfPass } from "./accumulate.ts";
import { expansion, passOf, slopePull, totalLoss } from "./expansion.ts";
import type { Plan } from "./plan.ts";
import { productInSteps } from "./products.ts";

/** A point: the network must have its weights while something is asked. */
export interface Point {
  /** Σ_n ℓ_n, at unit noise. */
  readonly loss: number;
  /** Its gradient in the selected weights, [S]. */
  slope(): Steps<Float64Array>;
  /** The plan's curvature. */
  curvature(): Steps<Curvature>;
  /** The product of the exact Hessian, of the second plan, with a direction [S]. */
  product(direction: Float64Array): Steps<Float64Array>;
  /** Gives back what it holds. */
  leave(): void;
}

/**
 * What goes to a point: the plan's network as it is then. The plan's structure goes through the data once.
 * @param exact the plan of the exact Hessian, of the same network and weights
 */
export function pointsOf(where: string, plan: Plan, exact: Plan | undefined, batch: TargetedBatch) {
  const examples = batch.inputs.shape[0];
  const pulls = () => [slopePull(plan, examples), ...(exact === undefined ? [] : [productPull(exact)])];
  const uncut = { model: plan.net, columns: 1, least: 1, view: undefined, targeted: true, pulls };
  const cut = cutOfPass(passOf(plan), examples);
  // What is quick with its curvature is without.
  const stays = cut.length >= examples && (cut.quick || isOneQuick(cutOf(uncut, examples), examples));
  /** @throws ValueError for values of the network that are not finite */
  return function* (): Steps<Point> {
    return stays ? new Kept(where, plan, exact, batch) : yield* passing(where, plan, exact, batch);
  };
}

const isOneQuick = ({ quick, length }: Cut, examples: number) => quick && length >= examples;

const gradientOf = ({ likelihood }: Plan) => weighted(lossGradient(likelihood, 1), 1);

/** One product, to be measured. */
function productPull(exact: Plan): Pull<Steps<unknown>> {
  const { net, likelihood, selection } = exact;
  const direction = new Float64Array(net.parameterCount);
  const contraction = hessianProduct(likelihood, net, direction, zeros([1]), selection.siteList);
  return { columns: gradientOf(exact), contraction: contraction as never, target: selection.reaches };
}

/** Where each thing is a pass of its own through the data. */
function* passing(where: string, plan: Plan, exact: Plan | undefined, batch: TargetedBatch): Steps<Point> {
  const { inputs } = batch;
  const cut = cutOfPass(passOf(plan), inputs.shape[0]);
  function* through<Result>(pull: Pull<Steps<Result>>): Steps<Result> {
    const [result] = yield* reporting(runInParts(where, plan.net, [batch], cut, [pull] as const), () => undefined);
    return result as Result;
  }
  const total = totalLoss(plan);
  const contraction = {
    begin: total.begin,
    // biome-ignore lint/correctness/useYield: as the others
    *finish(): Steps<number> {
      return total.finish();
    },
  };
  const loss = yield* through({ columns: none, contraction, target: "parameters" });
  let slope: Float64Array | undefined;
  return {
    loss,
    *slope() {
      slope ??= (yield* through(slopePull(plan, inputs.shape[0]))).gradient;
      return slope;
    },
    *curvature() {
      const found = yield* expansion(where, plan, batch);
      slope = found.gradient;
      return found.curvature;
    },
    product: (direction) => productInSteps(where, exact as Plan, [batch], spread(plan.selection, direction)),
    leave() {},
  };
}

/** One part, whose passes stay. */
class Kept implements Point {
  readonly loss: number;
  readonly #where: string;
  readonly #plan: Plan;
  readonly #exact: Plan | undefined;
  readonly #stack: ScopeStack = beginStack();
  readonly #part: Part;
  readonly #sites: ReadonlySet<Site>;
  readonly #blocks: { readonly at: Pointer; readonly bytes: number }[] = [];
  #backward: Backward | undefined;
  #hessian: PartHessian | undefined;
  #slope: Float64Array | undefined;

  constructor(where: string, plan: Plan, exact: Plan | undefined, { inputs, targets, weights }: TargetedBatch) {
    this.#where = where;
    this.#plan = plan;
    this.#exact = exact;
    this.#sites = new Set(plan.selection.siteList);
    const { graph, dtype, parameters, buffers } = plan.net;
    const [count] = inputs.shape;
    try {
      [this.#part, this.loss] = onStack(this.#stack, () => {
        const own = { buffers: copyIn(dtype, buffers.data) };
        const x = copyIn(dtype, inputs.data);
        const forward = new Forward(graph, dtype, copyIn(dtype, parameters.data), x, count, own);
        checkValues(where, forward, 0);
        forward.kernels = this.#kernels(forward);
        const part = {
          ...{ forward, start: 0, count, shape: graph.output.shape },
          targets: copyIn(dtype, targets.data),
          weights: weights?.data as Float64Array | undefined,
        };
        const total = totalLoss(plan);
        scope(() => total.begin(part));
        return [part, total.finish()] as const;
      });
    } catch (error) {
      this.leave();
      throw error;
    }
  }

  /** The loss's own column, pulled back. */
  get #gradient(): Backward {
    if (this.#backward !== undefined) return this.#backward;
    const { forward, count } = this.#part;
    return onStack(this.#stack, () => {
      const column = allocateFloats(forward.dtype, count * forward.graph.output.size);
      gradientOf(this.#plan).write(this.#part, { first: 0, count: 1 }, column);
      this.#backward = new Backward(forward, column, 1, this.#plan.selection.reaches);
      this.#backward.kernels = forward.kernels;
      return this.#backward;
    });
  }

  *slope(): Steps<Float64Array> {
    if (this.#slope !== undefined) return this.#slope;
    const backward = this.#gradient;
    const { contraction } = slopePull(this.#plan, this.#part.count);
    onStack(this.#stack, () => {
      contraction.open?.(holdInScope);
      scope(() => contraction.add?.(backward, 0));
    });
    this.#slope = (yield* contraction.finish()).gradient;
    return this.#slope;
  }

  *curvature(): Steps<Curvature> {
    const { count } = this.#part;
    const pass = passOf(this.#plan);
    const cut = cutOfPass(pass, count);
    const pull = curvaturePull(this.#where, pass, cut, 0, () => count);
    onStack(this.#stack, () => {
      pull.columns.open?.(holdInScope);
      pull.contraction.open?.(holdInScope);
    });
    if (cut.quick) onStack(this.#stack, () => scope(() => pullBack(this.#part, pull)));
    // The same values, with kernels that write down what they are asked for.
    else yield* inPieces(() => pullBack({ ...this.#part, forward: sameValues(this.#part.forward) }, pull));
    return (yield* pull.contraction.finish()).curvature;
  }

  *product(direction: Float64Array): Steps<Float64Array> {
    const { selection, net } = this.#plan;
    const { parameterCount } = net;
    const backward = this.#gradient;
    return onStack(this.#stack, () => {
      this.#hessian ??= hessianOfPart((this.#exact as Plan).likelihood, this.#part, backward);
      const { dtype, kernels } = backward;
      const times = this.#hessian.times;
      return scope(() => {
        const [v, product]: Pointer[] = [allocateFloats(dtype, parameterCount), allocateFloats(dtype, parameterCount)];
        copyTo(dtype, v, spread(selection, direction));
        kernels.fill(parameterCount, 0, product);
        times(v, this.#sites, selection.siteList, product);
        return selection.take(copyOut(dtype, product, parameterCount));
      });
    });
  }

  leave(): void {
    endStack(this.#stack);
    for (const { at, bytes } of this.#blocks.splice(0)) giveBlock(at, bytes);
  }

  /**
   * The kernels, with the slopes of nodes' values computed once. They lie in blocks, because scopes end in which they are asked for
   * first. What is computed of memory that comes and goes is not kept.
   */
  #kernels(forward: Forward): Kernels {
    const { graph, dtype } = forward;
    const kernels = kernelsFor(dtype);
    const known = new Map<number, Pointer>();
    const values = new Set(graph.nodes.map((node) => forward.value(node)));
    const activationDerivative: Kernels["activationDerivative"] = (code, n, x, y, to, alpha) => {
      const key = code * 2 ** 32 + y;
      let at = known.get(key);
      if (at === undefined && values.has(y)) {
        const bytes = n * bytesPerElement(dtype);
        at = takeBlock(bytes);
        this.#blocks.push({ at, bytes });
        known.set(key, at);
        kernels.activationDerivative(code, n, x, y, at, alpha);
      }
      if (at === undefined) kernels.activationDerivative(code, n, x, y, to, alpha);
      else kernels.copyRows(1, n, at, n, to, n, false);
    };
    return Object.assign(Object.create(kernels) as Kernels, { activationDerivative });
  }
}

function sameValues(forward: Forward): Forward {
  const { graph, dtype, theta, batch } = forward;
  return new Forward(graph, dtype, theta, forward.value(graph.input), batch, {
    kept: { forward, changes: () => false },
  });
}

/** What `go` gives; undefined where values are not finite. */
export function* finite<Result>(go: () => Steps<Result>): Steps<Result | undefined> {
  try {
    return yield* go();
  } catch (error) {
    if (error instanceof ValueError) return undefined;
    throw error;
  }
}
