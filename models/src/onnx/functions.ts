// Functions of a model's own, as PyTorch's newer exporter and onnxscript write them: each call is replaced by the function's nodes.

import type { Attribute, OnnxFunction, OnnxGraph, OnnxNode } from "./file.ts";

/** More nodes than any network has, functions written out. */
const MOST_NODES = 2 ** 16;
/** More calls within calls than any exporter writes. */
const MOST_DEPTH = 32;

const keyOf = (domain: string, name: string, overload: string) => JSON.stringify([domain, name, overload]);

/** The graph without calls of functions. @throws RangeError for functions that call themselves, or make too many nodes */
export function withoutCalls(graph: OnnxGraph, functions: readonly OnnxFunction[]): OnnxGraph {
  if (functions.length === 0) return graph;
  const known = new Map(functions.map((one) => [keyOf(one.domain, one.name, one.overload), one]));
  let [calls, count] = [0, 0];

  /** Nodes with every call written out. */
  const written = (nodes: readonly OnnxNode[], depth: number): OnnxNode[] =>
    nodes.flatMap((node) => {
      if (++count > MOST_NODES) throw new RangeError(`its functions make more than ${MOST_NODES} nodes`);
      const of = known.get(keyOf(node.domain, node.op, node.overload));
      if (of === undefined) {
        return [{ ...node, attributes: inner(node.attributes, depth) }];
      }
      if (depth > MOST_DEPTH)
        throw new RangeError(
          `the function "${of.name}" calls itself, or calls are within each other more than ${MOST_DEPTH} times`,
        );
      return written(bodyOf(node, of, `${node.name || of.name}:${calls++}`), depth + 1);
    });

  /** Attributes whose graphs have no calls either. */
  const inner = (attributes: ReadonlyMap<string, Attribute>, depth: number) =>
    new Map(
      Array.from(attributes, ([name, one]): [string, Attribute] => {
        const { graph: within } = one;
        return [
          name,
          within === undefined ? one : { ...one, graph: { ...within, nodes: written(within.nodes, depth) } },
        ];
      }),
    );

  return { ...graph, nodes: written(graph.nodes, 0) };
}

/** A function's nodes for one call, their values under names of their own. */
function bodyOf(call: OnnxNode, of: OnnxFunction, prefix: string): OnnxNode[] {
  const names = new Map<string, string>([["", ""]]);
  of.inputs.forEach((name, i) => {
    names.set(name, call.inputs[i] ?? "");
  });
  of.outputs.forEach((name, i) => {
    // An output that is an input is copied below.
    if (!of.inputs.includes(name) && call.outputs[i]) names.set(name, call.outputs[i]);
  });
  const renamed = (name: string) => names.get(name) ?? `${prefix}/${name}`;
  const given = (name: string) => call.attributes.get(name) ?? of.attributes.get(name);
  const nodeOf = (node: OnnxNode): OnnxNode => ({
    ...node,
    name: `${prefix}/${node.name || node.op}`,
    inputs: node.inputs.map(renamed),
    outputs: node.outputs.map(renamed),
    attributes: new Map(
      [...node.attributes.values()].flatMap((one): [string, Attribute][] => {
        // What the call says, or else what the function says; or else the operator's own.
        const meant = one.reference === "" ? one : given(one.reference);
        if (meant === undefined) return [];
        const { graph } = meant;
        return [
          [one.name, { ...meant, name: one.name, graph: one.reference === "" && graph ? graphOf(graph) : graph }],
        ];
      }),
    ),
  });
  const graphOf = (graph: OnnxGraph): OnnxGraph => ({
    nodes: graph.nodes.map(nodeOf),
    initializers: graph.initializers.map((one) => ({ ...one, name: renamed(one.name) })),
    inputs: graph.inputs.map((one) => ({ ...one, name: renamed(one.name) })),
    outputs: graph.outputs.map((one) => ({ ...one, name: renamed(one.name) })),
  });
  const copies = of.outputs.flatMap((name, i): OnnxNode[] => {
    if (!of.inputs.includes(name) || !call.outputs[i]) return [];
    const blank = { name: `${prefix}/${name}`, op: "Identity", domain: "", overload: "", attributes: new Map() };
    return [{ ...blank, inputs: [renamed(name)], outputs: [call.outputs[i]] }];
  });
  return [...of.nodes.map(nodeOf), ...copies];
}
