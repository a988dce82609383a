// Networks and posteriors as ONNX files.

import { type Network, OptionError, type Posterior } from "laplace-ts";
import { posteriorToOnnx } from "./posterior-to-onnx.ts";
import { networkToOnnx } from "./to-onnx.ts";

/**
 * A network, or a posterior over a last layer or over all weights of a perceptron, as an ONNX file in standard operators of opset 17, for every runtime: input "x"
 * [batch, …]. Parameters keep their names.
 *
 * A network has the output "y". A posterior has "mean", the network's outputs, and "variance": of regression that of the target,
 * noise included; of classes and labels that of the logits, and besides "probabilities", by MacKay's probit
 * (`predict(x, { approximation: "probit" })`). The covariance of a last layer is made as a
 * whole [S, S], unless it is diagonal. Over all weights it is of structure "diagonal" or "kronecker", without damping, and one noise.
 * @throws ModelError for primitives that have no operator, all at once, and for a posterior that cannot be written; OptionError;
 *   MemoryBudgetError for a covariance that is too large
 */
export function toOnnx(of: Network | Posterior): Uint8Array<ArrayBuffer> {
  if (isNetwork(of)) return networkToOnnx(of);
  if (isPosterior(of)) return posteriorToOnnx(of);
  throw new OptionError("toOnnx: expected a network or a posterior.");
}

const isNetwork = (of: Network | Posterior): of is Network =>
  typeof of === "object" && (of as Network)?.graph?.nodes !== undefined;
const isPosterior = (of: Network | Posterior): of is Posterior =>
  typeof of === "object" && isNetwork((of as Posterior)?.net) && typeof (of as Posterior).predict === "function";
