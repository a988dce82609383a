// Posteriors as ONNX graphs. Over a last layer: with features φ = (h, 1), output c has the variance φᵀ Σ_c φ, Σ_c being the
// covariance of its own weights and bias. Of Σ_c = L Lᵀ it is ‖Lᵀ φ‖².

import { cholesky, OptionError, type Posterior, zeros } from "laplace-ts";
import type { LinearSite, Node } from "laplace-ts/graph";
import { primitive } from "../builder.ts";
import { ModelError, Unsupported } from "../errors.ts";
import { allVariances } from "./all-weights.ts";
import { type Writer, writeNetwork } from "./to-onnx.ts";

const where = "toOnnx";
// Of the squared slope that matches a sigmoid with a probit at 0 (MacKay 1992).
const PROBIT = Math.PI / 8;

function refuse(why: string): never {
  throw new ModelError(where, [{ operator: "", node: "", why }]);
}

/** The node behind which a value is only written in other shapes. */
export function beneath(node: Node): Node {
  return node.primitive.name === "reshape" ? beneath(node.inputs[0]) : node;
}

/** The last layer, and whether the posterior is over its weights and no others. @throws ModelError */
function lastLayer({ net, indices }: Posterior): { last: Node; site: LinearSite; alone: boolean } {
  // Networks that were read from files compute a batch of one, [1, C].
  const last = beneath(net.graph.output);
  const site = last.site as LinearSite | undefined;
  if (
    last.primitive !== (primitive("linear") as unknown) ||
    site === undefined ||
    [last.size, ...net.outputShape].join() !== [site.outputs, site.outputs].join()
  ) {
    return refuse("The network must end in a dense layer whose outputs are a vector.");
  }
  if (net.graph.uses.get(site)?.length !== 1) refuse("The last layer is applied more than once.");
  const own = [site.weight, ...(site.bias ? [site.bias] : [])];
  const places = own.flatMap(({ offset, size }) => Array.from({ length: size }, (_, i) => offset + i));
  return { last, site, alone: places.length === indices.length && places.every((place, i) => place === indices[i]) };
}

/** Of a posterior over other weights than the last layer's. @throws ModelError */
function widely(writer: Writer, posterior: Posterior, last: Node): string {
  try {
    return allVariances(writer, posterior, last);
  } catch (cause) {
    if (!(cause instanceof Unsupported)) throw cause;
    return refuse(
      `The posterior is over ${posterior.size} weights: ${cause.message} Of other networks it must be over the last layer's: laplace(net, { weights: "lastLayer", … }).`,
    );
  }
}

/** The variances of outputs, [batch, C], from features [batch, D]. */
function variances(
  writer: Writer,
  posterior: Posterior,
  features: string,
  { inputs, outputs, bias }: LinearSite,
): string {
  const width = inputs + (bias ? 1 : 0);
  /** The place of the weight that output c has for feature i; the bias comes after all weights. */
  const place = (c: number, i: number) => (i < inputs ? c * inputs + i : outputs * inputs + c);
  const all = bias
    ? writer.apply("Concat", [features, writer.apply("Add", [writer.zero(), writer.scalar(1)])], { axis: 1 })
    : features;
  if (posterior.structure === "diagonal") {
    const { data } = posterior.variance();
    const matrix = Float64Array.from(
      { length: width * outputs },
      (_, at) => data[place(at % outputs, Math.floor(at / outputs))],
    );
    return writer.apply("MatMul", [writer.apply("Mul", [all, all]), writer.numbers(matrix, [width, outputs])]);
  }
  const { data: covariance } = posterior.covariance();
  const size = posterior.size;
  const roots = new Float64Array(width * outputs * width);
  for (let c = 0; c < outputs; c++) {
    const block = zeros([width, width], { dtype: "float64" });
    for (let i = 0; i < width; i++) {
      for (let j = 0; j < width; j++) block.data[i * width + j] = covariance[place(c, i) * size + place(c, j)];
    }
    const { data: root } = cholesky(block).factor;
    for (let i = 0; i < width; i++) {
      for (let j = 0; j <= i; j++) roots[(i * outputs + c) * width + j] = root[i * width + j];
    }
  }
  const columns = writer.apply("MatMul", [all, writer.numbers(roots, [width, outputs * width])]);
  const squares = writer.reshape(writer.apply("Mul", [columns, columns]), [outputs, width]);
  return writer.apply("ReduceSum", [squares, writer.integers([2])], { keepdims: 0 });
}

/** The noise of numbers: what a prediction's variance has beside that of the function. */
function noiseOf(posterior: Posterior): Float64Array {
  const { variance, functionVariance } = posterior.predict(zeros([1, ...posterior.net.inputShape]));
  // A likelihood that predicts its noise has an output for it.
  if (variance.size !== functionVariance.size) refuse("Posteriors whose noise is an output are not written.");
  return Float64Array.from(variance.data, (value, i) => value - functionVariance.data[i]);
}

/** What a posterior says, as a graph. See `toOnnx`. */
export function posteriorToOnnx(posterior: Posterior): Uint8Array<ArrayBuffer> {
  const { net } = posterior;
  const { last, site, alone } = lastLayer(posterior);
  const { targets, normal } = posterior.likelihood;
  if (targets === "numbers" && !normal) {
    throw new OptionError(`${where}: posteriors of regression and classification are written, not of this likelihood.`);
  }
  const writer = writeNetwork(where, net, "x");
  const flat = (node: Node) =>
    node.shape.length === 1 ? writer.value(node) : writer.reshape(writer.value(node), [node.size]);
  const [features, f] = [flat(last.inputs[0]), flat(last)];
  const variance = alone ? variances(writer, posterior, features, site) : widely(writer, posterior, last);
  const outputs = ["mean", "variance"];
  writer.apply("Identity", [f], undefined, "mean");
  if (targets === "numbers") writer.apply("Add", [variance, writer.numbers(noiseOf(posterior))], undefined, "variance");
  else {
    writer.apply("Identity", [variance], undefined, "variance");
    const spread = writer.apply("Sqrt", [
      writer.apply("Add", [writer.apply("Mul", [variance, writer.scalar(PROBIT)]), writer.scalar(1)]),
    ]);
    const scaled = writer.apply("Div", [f, spread]);
    if (targets === "classes") writer.apply("Softmax", [scaled], { axis: -1 }, "probabilities");
    else writer.apply("Sigmoid", [scaled], undefined, "probabilities");
    outputs.push("probabilities");
  }
  return writer.file(outputs);
}
