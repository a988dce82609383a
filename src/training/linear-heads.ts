// The dense layers whose sum is a network's output, and what goes into them: the network is linear in their weights.

import { NDArray } from "../array/ndarray.ts";
import { OptionError } from "../errors.ts";
import { bringOut } from "../kernels/memory.ts";
import { reporting, type Steps } from "../kernels/steps.ts";
import { Network } from "../network/network.ts";
import type { LinearSite } from "../network/parameters.ts";
import type { Node } from "../network/primitive.ts";
import { add } from "../network/primitives/arithmetic.ts";
import { linear } from "../network/primitives/linear.ts";
import { concatenate } from "../network/primitives/rearrange.ts";
import { type Contraction, none, runInSteps } from "../network/run.ts";

/** The nodes whose sum a node is. */
function* headNodes(node: Node): Generator<Node> {
  if (node.primitive === (add as unknown)) for (const input of node.inputs) yield* headNodes(input);
  else yield node;
}

const isHead = ({ graph }: Network, { primitive, site }: Node): boolean =>
  primitive === (linear as unknown) && graph.uses.get(site as LinearSite)?.length === 1;

/** The nodes of what goes into others, with these. */
function before({ graph }: Network, nodes: readonly Node[]): Set<Node> {
  const live = new Set<Node>(nodes);
  for (const node of graph.nodes.toReversed()) if (live.has(node)) for (const input of node.inputs) live.add(input);
  return live;
}

/** Why a network is not linear in the weights of layers whose sum it is; undefined where it is. */
function fault(net: Network, heads: readonly Node[]): string | undefined {
  const other = heads.find((node) => !isHead(net, node));
  if (other !== undefined) return `this one has "${other.primitive.name}" there`;
  const nameOf = ({ site }: Node) => (site as LinearSite).weight.name;
  const twice = heads.find((node, i) => heads.indexOf(node) < i);
  if (twice !== undefined) return `the layer of "${nameOf(twice)}" is in the sum more than once here`;
  const inputs = heads.map((node) => node.inputs[0]);
  const live = before(net, inputs);
  const inside = heads.find((node) => live.has(node));
  return inside && `the layer of "${nameOf(inside)}" goes into another of them here`;
}

/** The heads of a network whose other parameters are frozen, and whose own are all free; undefined of others. */
export function freeHeads(where: string, net: Network): LinearHeads | undefined {
  const { graph, frozen, parameterTable } = net;
  if (graph.output.shape.length !== 1 || fault(net, [...headNodes(graph.output)]) !== undefined) return undefined;
  const heads = linearHeads(where, net);
  const names = new Set(heads.names);
  return parameterTable.every(({ name }) => names.has(name) !== frozen.has(name)) ? heads : undefined;
}

/** Φ of inputs, [B, S]. */
export function featuresOf({ features, columns }: LinearHeads, inputs: NDArray): Steps<NDArray> {
  const [n, width, s] = [inputs.shape[0], features.graph.output.size, columns.length];
  const phi = new NDArray(new Float64Array(n * s), [n, s]);
  const values: Contraction<NDArray> = {
    begin({ forward, start, count }) {
      for (let b = 0; b < count; b++) {
        const row = (start + b) * s;
        bringOut("float64", forward.outputs + 8 * b * width, width, phi.data, row);
        phi.data.fill(1, row + width, row + s);
      }
    },
    finish: () => phi,
  };
  return reporting(runInSteps(undefined, features, [{ inputs }], none, values, "parameters"), () => undefined);
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
  const why = fault(net, heads);
  if (why !== undefined)
    throw new OptionError(
      `${where}: lastLayerEvidence() is for networks that end in a dense layer, or in a sum of some, used nowhere else; ${why}.`,
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
  const live = before(net, [graph.input, ...inputs]);
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
  const sitesBefore = graph.sites.filter((site) => !sites.includes(site as LinearSite));
  const cut = {
    ...graph,
    nodes,
    output,
    sites: sitesBefore,
    uses: new Map([...graph.uses].filter(([site]) => sitesBefore.includes(site))),
  };
  return {
    features: new Network(cut, net.parameters, net.frozen, net.buffers),
    columns: [...weights, ...biases],
    biases: biases.length,
    names: sites.flatMap(({ weight, bias }) => [weight.name, ...(bias === undefined ? [] : [bias.name])]),
  };
}
