// Where a graph ends in probabilities or labels, and posteriors need what these are made of.

import type { OnnxGraph, OnnxNode } from "./file.ts";

/** An operator at the end of a graph that was taken off. */
export interface Removed {
  readonly operator: string;
  readonly node: string;
}

/** Where a graph is cut. */
export interface End {
  /** The value that the network gives. */
  readonly target: string;
  /** Nodes that are passed through as if they did nothing. */
  readonly skipped: ReadonlySet<OnnxNode>;
  /** Nodes that give logits in the place of what they would make of them. */
  readonly bare: ReadonlySet<OnnxNode>;
  readonly removed: readonly Removed[];
  /** What the outputs are, as the end says. */
  readonly task: "classification" | "binary" | undefined;
}

const nothing = new Set(["Identity", "Cast", "Dropout"]);
const moves = new Set(["Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose"]);
const probabilities = new Set(["Softmax", "LogSoftmax", "Sigmoid"]);
const labels = new Set(["ArgMax", "ZipMap", "ArrayFeatureExtractor", "Normalizer", "TopK"]);

/** What a LinearClassifier makes of its scores. */
const transforms: Readonly<Record<string, string>> = { SOFTMAX: "Softmax", LOGISTIC: "Sigmoid" };

const nameOf = (node: OnnxNode) => node.name || node.outputs[0] || node.op;

/** Walks back from an output over what a likelihood does itself. */
export function endOf({ nodes }: OnnxGraph, output: string): End {
  const producers = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const skipped = new Set<OnnxNode>();
  const bare = new Set<OnnxNode>();
  const removed: Removed[] = [];
  let task: End["task"];
  const take = (node: OnnxNode) => removed.push({ operator: node.op, node: nameOf(node) });
  /** The value beneath, or undefined where there is nothing to take off. */
  const walk = (name: string, depth: number): string | undefined => {
    const node = producers.get(name);
    if (node === undefined || depth > 1000) return undefined;
    const [first] = node.inputs;
    if (node.op === "LinearClassifier") {
      const transform = node.attributes.get("post_transform")?.s ?? "NONE";
      removed.push({ operator: transforms[transform] ?? node.op, node: nameOf(node) });
      bare.add(node);
      task = transform === "LOGISTIC" ? "binary" : "classification";
      // Labels and probabilities are made of the same scores.
      return node.outputs[1];
    }
    if (probabilities.has(node.op)) {
      take(node);
      skipped.add(node);
      task = node.op === "Sigmoid" ? "binary" : "classification";
      return first;
    }
    const source =
      pairOfProbabilities(node, producers) ?? (node.op === "ArrayFeatureExtractor" ? node.inputs[1] : first);
    if (source === undefined) return undefined;
    if (pairOfProbabilities(node, producers) !== undefined || labels.has(node.op)) {
      const beneath = walk(source, depth + 1);
      if (beneath !== undefined || node.op === "ArgMax") {
        take(node);
        task ??= "classification";
        return beneath ?? source;
      }
      return undefined;
    }
    if (nothing.has(node.op)) return walk(source, depth + 1);
    // What only moves values stays, if there is an end beneath it.
    if (moves.has(node.op)) return walk(source, depth + 1) === undefined ? undefined : name;
    return undefined;
  };
  const target = walk(output, 0) ?? output;
  return { target, skipped, bare, removed: removed.reverse(), task };
}

/** p of [1 − p, p], as scikit-learn's classifiers of two classes write it. */
function pairOfProbabilities(node: OnnxNode, producers: ReadonlyMap<string, OnnxNode>): string | undefined {
  if (node.op !== "Concat" || node.inputs.length !== 2) return undefined;
  const [rest, p] = node.inputs;
  const other = producers.get(rest);
  return other?.op === "Sub" && other.inputs[1] === p ? p : undefined;
}
