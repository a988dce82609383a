// Pairs: a network that gives a number for each of two inputs, by the same weights.

import { shapeText } from "../array/ndarray.ts";
import { LaplaceError, ShapeError } from "../errors.ts";
import { concatenate, slice } from "./layers/rearrange.ts";
import { reshape } from "./layers.ts";
import { checkIsNetwork, Network } from "./network.ts";
import type { Node } from "./primitive.ts";
import { Trace, type Traced } from "./trace.ts";

/**
 * The network that compares two inputs by a network of one output, their reward: [B, 2, ...inputs] gives both rewards, [B, 2], and
 * which of them is preferred, label 0 or 1, has the probabilities softmax (r₀, r₁), so that P(1) = σ(r₁ − r₀) (Bradley & Terry
 * 1952). It is trained by `crossEntropy` and takes the likelihood "classification"; `rewards` gives what its posterior knows of single
 * inputs. Both networks have the same parameters, in one array: training one trains the other.
 * @throws ShapeError for a network with more than one output
 */
export function preference(net: Network): Network {
  checkIsNetwork("preference", net);
  const { graph } = net;
  if (graph.output.size !== 1) {
    throw new ShapeError(
      `preference: expected a network with one output, the reward, got outputs of shape ${shapeText(graph.output.shape)}.`,
    );
  }
  const trace = new Trace();
  const pair = trace.input([2, ...graph.input.shape]);
  const rewards = [0, 1].map((which) => {
    const values = new Map<Node, Traced>([[graph.input, reshape(slice(pair, which, which + 1, 0), graph.input.shape)]]);
    for (const node of graph.nodes) {
      if (node === graph.input) continue;
      const inputs = node.inputs.map((before) => values.get(before) as Traced);
      values.set(node, trace.emit(node.primitive, inputs, node.attributes, node.site));
    }
    return reshape(values.get(graph.output) as Traced, [1]);
  });
  const output = concatenate(...rewards).node;
  const { nodes } = trace;
  const uses = new Map(graph.sites.map((site) => [site, nodes.filter((node) => node.site === site)]));
  return new Network({ ...graph, nodes, input: pair.node, output, uses }, net.parameters, net.frozen, net.buffers);
}

/** @throws LaplaceError unless a network compares pairs */
export function checkIsPreference(where: string, { inputShape, outputShape }: Network): void {
  if (inputShape[0] === 2 && outputShape.length === 1 && outputShape[0] === 2) return;
  throw new LaplaceError(
    `${where}: expected a posterior of a network that compares pairs, such as preference(net) gives, not one with inputs ${shapeText(inputShape)} and outputs ${shapeText(outputShape)}.`,
  );
}
