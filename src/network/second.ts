// The tangent of a pullback: how the cotangents of one column change when parameters move (Pearlmutter 1994). Each rule is
// applied to the cotangents' own tangents, and each second rule to the cotangents at the tangents of values. A bilinear primitive's
// second rule is its pullback, run on a pass whose values are tangents.

import { LaplaceError } from "../errors.ts";
import { allocateFloats, bytesPerElement, type Pointer } from "../kernels/memory.ts";
import type { Graph } from "./graph.ts";
import type { Site } from "./parameters.ts";
import { type Backward, tangentsOf } from "./passes.ts";
import type { CotangentPass, Node, SecondPass } from "./primitive.ts";
import { secondRuleOf } from "./second-rules.ts";
import { labelOf } from "./summary.ts";

/** Where the tangents of values and of cotangents lie, by the nodes' numbers. */
export interface SecondValues {
  /** 0 for what is zero. */
  readonly tangents: readonly Pointer[];
  /** Of every node that has cotangents. */
  readonly cotangents: readonly Pointer[];
}

/** @param what needs it, if not the exact Hessian @throws LaplaceError naming the first layer that has no second rule */
export function checkSecondRules(where: string, { nodes }: Graph, what?: string): void {
  for (const node of nodes) {
    const { order, name } = node.primitive;
    if (order !== "general" || !node.dependsOnParameters || secondRuleOf(node.primitive) !== undefined) continue;
    throw new LaplaceError(
      `${where}: "${labelOf(node)}" has no second derivatives, which ${what ?? "the exact Hessian"} needs: the primitive "${name}" was defined without a rule \`second\` (of elementwiseRules: \`bend\`). Define it with one${what === undefined ? ', or take curvature: "ggn"' : ""}.`,
    );
  }
}

/**
 * Pushes a direction of the parameters through a forward pass and a pullback of one column.
 * @param direction [P] @param moving the sites whose parameters move
 * @param curve writes how the column on the outputs changes with them, given their tangent
 */
export function pushThrough(
  backward: Backward,
  direction: Pointer,
  moving: ReadonlySet<Site>,
  curve: (tangent: Pointer, to: Pointer) => void,
): SecondValues {
  const { forward, graph, dtype, batch, kernels } = backward;
  const { nodes, output } = graph;
  const tangents = tangentsOf(forward, direction, 0, moving);
  const cotangents = new Array<Pointer>(output.id + 1).fill(0);
  const fresh = (node: Node) => {
    const at = allocateFloats(dtype, batch * node.size);
    cotangents[node.id] = at;
    return at;
  };
  const contribute: CotangentPass["contribute"] = (input, write) => {
    if (backward.cotangent(input) === 0) return;
    const known = cotangents[input.id];
    if (known !== 0) write(known, true);
    else write(fresh(input), false);
  };
  const top = fresh(output);
  if (tangents[output.id] === 0) kernels.fill(batch * output.size, 0, top);
  else curve(tangents[output.id], top);
  const bytes = bytesPerElement(dtype);
  const common = {
    ...{ kernels, dtype, batch, columns: 1, training: forward.training, contribute },
    buffer: forward.buffer.bind(forward),
  };
  const first: CotangentPass = {
    ...common,
    value: (node) => forward.value(node),
    parameter: (parameter) => forward.parameter(parameter),
    cotangent: (node) => cotangents[node.id],
  };
  const second: SecondPass = {
    ...first,
    cotangent: (node) => backward.cotangent(node),
    tangent: (node) => tangents[node.id],
    parameterTangent: (parameter) => direction + parameter.offset * bytes,
  };
  const moved: CotangentPass = {
    ...second,
    value: (node) => tangents[node.id],
    parameter: second.parameterTangent,
  };
  for (let i = nodes.length - 1; i > 0; i--) {
    const node = nodes[i];
    if (cotangents[node.id] === 0) continue;
    const { primitive, site } = node;
    primitive.pullback(node, first);
    if (primitive.order === "general") secondRuleOf(primitive)?.(node, second);
    else if (primitive.order === "bilinear" && site !== undefined) {
      const scaled = site.kind === "linear" || site.scale !== undefined;
      if (scaled && moving.has(site)) primitive.pullback(node, moved);
    } else if (primitive.order === "bilinear") {
      // What arrives at one factor is what the other is.
      const [a, b] = node.inputs;
      const other = (input: Node) => (input === a ? b : a);
      primitive.pullback(node, {
        ...moved,
        contribute: (input, write) => tangents[other(input).id] !== 0 && contribute(input, write),
      });
    }
  }
  return { tangents, cotangents };
}
