// The dense layers whose sum is a network's output, and what goes into them: the network is linear in their weights.

import { NDArray } from "../array/ndarray.ts";
import { OptionError } from "../errors.ts";
import { Network } from "../network/network.ts";
import type { LinearSite } from "../network/parameters.ts";
import type { Node } from "../network/primitive.ts";
import { add } from "../network/primitives/arithmetic.ts";
import { linear } from "../network/primitives/linear.ts";
import { concatenate } from "../network/primitives/rearrange.ts";

/** The nodes whose sum a node is. */
function* headNodes(node: Node): Generator<Node> {
  if (node.primitive === (add as unknown)) for (const input of node.inputs) yield* headNodes(input);
  else yield node;
}

const isHead = ({ graph }: Network, { primitive, site }: Node): boolean =>
  primitive === (linear as unknown) && graph.uses.get(site as LinearSite)?.length === 1;

/** The heads of a network whose other parameters are frozen, and whose own are all free; undefined of others. */
export function freeHeads(where: string, net: Network): LinearHeads | undefined {
  const { graph, frozen, parameterTable } = net;
  if (graph.output.shape.length !== 1 || ![...headNodes(graph.output)].every((node) => isHead(net, node)))
    return undefined;
  const heads = linearHeads(where, net);
  const names = new Set(heads.names);
  return parameterTable.every(({ name }) => names.has(name) !== frozen.has(name)) ? heads : undefined;
}

/** Φ of inputs, [B, S], with the biases' columns. */
export function featuresOf({ features, columns }: LinearHeads, inputs: NDArray): NDArray {
  const values = features.forward(inputs);
  const [n, width] = values.shape;
  const phi = new NDArray(new Float64Array(n * columns.length).fill(1), [n, columns.length]);
  for (let b = 0; b < n; b++) phi.data.set(values.data.subarray(b * width, (b + 1) * width), b * columns.length);
  return phi;
}

/** A network cut before its last layers: f_c(x) = Σ_s W[c, s] φ_s(x). */
export interface LinearHeads {
  /** The network of what goes into them, [B, F]; with all parameters of the whole network. */
  readonly features: Network;
  /** For each column s of the features, and behind them of the biases: the place of its weight of output 0, and the step to the next output. */
  readonly columns: readonly { readonly at: number; readonly step: number }[];
  /** How many of the columns are biases, whose feature is 1. */
  readonly biases: number;
  /** The names of their parameters. */
  readonly names: readonly string[];
}

/** @throws OptionError for a network that does not end in dense layers that are added */
export function linearHeads(where: string, net: Network): LinearHeads {
  const { graph } = net;
  const heads = [...headNodes(graph.output)];
  const other = heads.find((node) => !isHead(net, node));
  if (other !== undefined)
    throw new OptionError(
      `${where}: lastLayerEvidence() is for networks that end in a dense layer, or in a sum of some, used nowhere else; this one has "${other.primitive.name}" there.`,
    );
  if (graph.output.shape.length !== 1) {
    throw new OptionError(
      `${where}: lastLayerEvidence() is for networks whose output is a vector, not of shape [${graph.output.shape}].`,
    );
  }
  const sites = heads.map(({ site }) => site as LinearSite);
  const weights = sites.flatMap(({ weight, inputs }) =>
    Array.from({ length: inputs }, (_, i) => ({ at: weight.offset + i, step: inputs })),
  );
  const biases = sites.flatMap(({ bias }) => (bias === undefined ? [] : [{ at: bias.offset, step: 1 }]));
  const inputs = heads.map((node) => node.inputs[0]);
  const live = new Set<Node>([graph.input, ...inputs]);
  for (const node of graph.nodes.toReversed()) if (live.has(node)) for (const input of node.inputs) live.add(input);
  const width = inputs.reduce((sum, { size }) => sum + size, 0);
  const output: Node = {
    id: graph.output.id + 1,
    primitive: concatenate as never,
    inputs,
    attributes: { axis: -1 } as never,
    site: undefined,
    shape: [width],
    size: width,
    dependsOnParameters: inputs.some((node) => node.dependsOnParameters),
  };
  const nodes = [...graph.nodes.filter((node) => live.has(node)), output];
  const before = graph.sites.filter((site) => !sites.includes(site as LinearSite));
  const cut = {
    ...graph,
    nodes,
    output,
    sites: before,
    uses: new Map([...graph.uses].filter(([site]) => before.includes(site))),
  };
  return {
    features: new Network(cut, net.parameters, net.frozen, net.buffers),
    columns: [...weights, ...biases],
    biases: biases.length,
    names: sites.flatMap(({ weight, bias }) => [weight.name, ...(bias === undefined ? [] : [bias.name])]),
  };
}
