// Networks of this library as ONNX files, in standard operators.

import type { Network } from "laplace-ts";
import type { ElementwiseSite, LinearSite, Node, Parameter } from "laplace-ts/graph";
import { ModelError, type Problem, Unsupported, unsupported } from "../errors.ts";
import { placesOf } from "../primitives.ts";
import { sizeOf } from "../tensor.ts";
import { type AttributeValue, type ElementType, type NodeDraft, type TensorDraft, writeModel } from "./write.ts";

/** Writes the nodes of a graph one after the other. */
export class Writer {
  readonly nodes: NodeDraft[] = [];
  readonly initializers: TensorDraft[] = [];
  readonly type: Exclude<ElementType, "int64">;
  readonly #network: Network;
  readonly #names = new Set<string>();
  readonly #values = new Map<Node, string>();
  #count = 0;

  constructor(net: Network) {
    this.#network = net;
    this.type = net.dtype;
  }

  /** The file, from the input x to these outputs, which have the network's shape. */
  file(outputs: readonly string[]): Uint8Array<ArrayBuffer> {
    const { nodes, initializers, type } = this;
    const { inputShape, outputShape } = this.#network;
    const value = (name: string, shape: readonly number[]) => ({ name, type, dims: ["batch", ...shape] });
    return writeModel({
      nodes,
      initializers,
      inputs: [value("x", inputShape)],
      outputs: outputs.map((name) => value(name, outputShape)),
    });
  }

  apply(
    op: string,
    inputs: readonly string[],
    attributes?: Readonly<Record<string, AttributeValue>>,
    output?: string,
  ): string {
    const name = output ?? `v${this.#count++}`;
    this.nodes.push({ op, inputs, outputs: [name], ...(attributes && { attributes }) });
    return name;
  }

  numbers(data: ArrayLike<number>, dims: readonly number[] = [data.length], name = `c${this.#count++}`): string {
    if (!this.#names.has(name)) this.initializers.push({ name, dims, type: this.type, data });
    this.#names.add(name);
    return name;
  }

  scalar(x: number): string {
    return this.numbers([x], []);
  }

  /** A 0 for each example, [batch, 1]. */
  zero(): string {
    const { input } = this.#network.graph;
    const first = this.apply("Gather", [this.reshape(this.value(input), [input.size]), this.integers([0])], {
      axis: 1,
    });
    return this.apply("Mul", [first, this.scalar(0)]);
  }

  /** A value that is the same for all examples, once for each. */
  forEach(value: string, shape: readonly number[]): string {
    return this.apply("Add", [
      value,
      this.reshape(
        this.zero(),
        shape.map(() => 1),
      ),
    ]);
  }

  integers(data: readonly number[]): string {
    const name = `c${this.#count++}`;
    this.initializers.push({ name, dims: [data.length], type: "int64", data });
    return name;
  }

  /** A parameter under its own name; the same array in another shape has the shape in its name. */
  parameter({ name, offset, size, shape }: Parameter, dims: readonly number[] = shape): string {
    const data = this.#network.parameters.data.subarray(offset, offset + size);
    const flat = dims.filter((length) => length !== 1).join();
    return this.numbers(data, dims, flat === shape.filter((n) => n !== 1).join() ? name : `${name}:${dims.join("x")}`);
  }

  buffer({ offset, size, name }: Parameter): string {
    return this.numbers(this.#network.buffers.data.subarray(offset, offset + size), [size], name);
  }

  /** A truth value as 0 or 1. */
  truth(x: string): string {
    return this.apply("Cast", [x], { to: this.type === "float64" ? 11 : 1 });
  }

  reshape(x: string, shape: readonly number[]): string {
    return this.apply("Reshape", [x, this.integers([0, ...shape])]);
  }

  value(node: Node): string {
    return this.#values.get(node) ?? unsupported("an input was not written.");
  }

  set(node: Node, name: string): void {
    this.#values.set(node, name);
  }
}

/** Whether a value differs between examples; what does not has a batch of one. */
function dependsOnInput(node: Node): boolean {
  return node.inputs.length === 0 ? node.primitive.name === "input" : node.inputs.some(dependsOnInput);
}

/** What is subtracted from a score that is hidden. */
const HIDDEN = 1e30;

type Write = (writer: Writer, x: string, node: Node<never>, inputs: readonly string[]) => string;

interface Windows {
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly padding: readonly number[];
  readonly dilation?: readonly [number, number];
  readonly outputPadding?: readonly [number, number];
}

/** Attributes of windows over one axis or two. */
function windows({ attributes, shape }: Node<never>): Record<string, readonly number[]> {
  const { kernel, stride, padding, dilation, outputPadding } = attributes as unknown as Windows;
  const axes = shape.length === 2 ? [1] : [0, 1];
  const of = (pair: readonly number[]) => axes.map((axis) => pair[axis]);
  const [before, after] =
    padding.length === 2
      ? [padding, padding]
      : [
          [padding[0], padding[2]],
          [padding[1], padding[3]],
        ];
  return {
    kernel_shape: of(kernel),
    strides: of(stride),
    pads: [...of(before), ...of(after)],
    ...(dilation && { dilations: of(dilation) }),
    ...(outputPadding && { output_padding: of(outputPadding) }),
  };
}

const convolution =
  (op: string): Write =>
  (writer, x, node) => {
    const { weight, bias, groups = 1 } = node.site as unknown as LinearSite;
    const inputs = [x, writer.parameter(weight), ...(bias ? [writer.parameter(bias)] : [])];
    return writer.apply(op, inputs, { ...windows(node), group: groups });
  };

const functions: Readonly<Record<string, (writer: Writer, x: string, alpha: number) => string>> = {
  leakyRelu: (w, x, alpha) => w.apply("LeakyRelu", [x], { alpha: { float: alpha } }),
  elu: (w, x, alpha) => w.apply("Elu", [x], { alpha: { float: alpha } }),
  silu: (w, x) => w.apply("Mul", [x, w.apply("Sigmoid", [x])]),
  // x Φ(x), Φ by the error function.
  gelu: (w, x) => {
    const inner = w.apply("Erf", [w.apply("Mul", [x, w.scalar(Math.SQRT1_2)])]);
    const twice = w.apply("Mul", [x, w.apply("Add", [inner, w.scalar(1)])]);
    return w.apply("Mul", [twice, w.scalar(0.5)]);
  },
};
const plainFunctions = new Set(["relu", "selu", "softplus", "sigmoid", "tanh", "exp", "log", "erf", "cos"]);

function elementwise(writer: Writer, x: string, node: Node<never>): string {
  const { function: name, alpha } = node.attributes as unknown as { function: string; alpha: number };
  if (plainFunctions.has(name)) return writer.apply(name[0].toUpperCase() + name.slice(1), [x]);
  return functions[name]?.(writer, x, alpha) ?? unsupported(`the function "${name}" has no operator.`);
}

function normalise(writer: Writer, x: string, { attributes, shape }: Node<never>): string {
  const { length, centred, epsilon } = attributes as unknown as { length: number; centred: boolean; epsilon: number };
  const rows = writer.reshape(x, [sizeOf(shape) / length, length]);
  const last = { axes: [2], keepdims: 1 };
  const y = centred ? writer.apply("Sub", [rows, writer.apply("ReduceMean", [rows], last)]) : rows;
  const square = writer.apply("ReduceMean", [writer.apply("Mul", [y, y])], last);
  const deviation = writer.apply("Sqrt", [writer.apply("Add", [square, writer.scalar(epsilon)])]);
  return writer.reshape(writer.apply("Div", [y, deviation]), shape);
}

const multiplied: Write = (w, x, { site, inputs }) => {
  const { weight, bias } = site as unknown as LinearSite;
  if (inputs[0].shape.length === 1) {
    return w.apply("Gemm", [x, w.parameter(weight), ...(bias ? [w.parameter(bias)] : [])], { transB: 1 });
  }
  const y = w.apply("MatMul", [x, w.apply("Transpose", [w.parameter(weight)], { perm: [1, 0] })]);
  return bias ? w.apply("Add", [y, w.parameter(bias)]) : y;
};

const lookUp: Write = (w, x, { site }) =>
  w.apply("Gather", [w.parameter((site as unknown as LinearSite).weight), w.apply("Cast", [x], { to: 7 })]);

const writers: Readonly<Record<string, Write>> = {
  add: (w, _, __, inputs) => w.apply("Add", inputs),
  multiply: (w, _, __, inputs) => w.apply("Mul", inputs),
  affine: (w, x, { attributes }) => {
    const { slope, intercept } = attributes as { slope: number; intercept: number };
    const scaled = slope === 1 ? x : w.apply("Mul", [x, w.scalar(slope)]);
    return intercept === 0 ? scaled : w.apply("Add", [scaled, w.scalar(intercept)]);
  },
  reshape: (w, x, { shape }) => w.reshape(x, shape),
  concatenate: (w, _, { attributes, shape, inputs: nodes }, inputs) => {
    const all = inputs.map((one, i) => (dependsOnInput((nodes as readonly Node[])[i]) ? one : w.forEach(one, shape)));
    return w.apply("Concat", all, { axis: shape.length + 1 + (attributes as { axis: number }).axis });
  },
  softmax: (w, x) => w.apply("Softmax", [x], { axis: -1 }),
  permute: (w, x, { attributes }) =>
    w.apply("Transpose", [x], { perm: [0, ...(attributes as { axes: number[] }).axes.map((axis) => axis + 1)] }),
  slice: (w, x, { attributes }) => {
    const { axis, start, end } = attributes as { axis: number; start: number; end: number };
    return w.apply("Slice", [x, w.integers([start]), w.integers([end]), w.integers([axis + 1])]);
  },
  sum: (w, x, { attributes }) =>
    w.apply("ReduceSum", [x, w.integers([(attributes as { axis: number }).axis + 1])], { keepdims: 0 }),
  elementwise,
  linear: multiplied,
  scaleShift: (w, x, { site, shape, attributes }) => {
    const { scale, shift, size } = site as unknown as ElementwiseSite;
    const channels = (attributes as { axis: string }).axis === "channels";
    const dims = channels ? [size, ...shape.slice(1).map(() => 1)] : [size];
    const scaled = scale ? w.apply("Mul", [x, w.parameter(scale, dims)]) : x;
    return shift ? w.apply("Add", [scaled, w.parameter(shift, dims)]) : scaled;
  },
  embedding: lookUp,
  paddedEmbedding: lookUp,
  matmul: (w, _, node, [a, b]) => {
    const { attributes, inputs } = node as unknown as { attributes: { transposed: boolean }; inputs: Node[] };
    if (!attributes.transposed) return w.apply("MatMul", [a, b]);
    const rank = inputs[1].shape.length + 1;
    const perm = Array.from({ length: rank }, (_, i) => i);
    return w.apply("MatMul", [a, w.apply("Transpose", [b], { perm: [...perm.slice(0, -2), rank - 1, rank - 2] })]);
  },
  normalise,
  convolution: convolution("Conv"),
  transposedConvolution: convolution("ConvTranspose"),
  maxPool: (w, x, node) => w.apply("MaxPool", [x], windows(node)),
  averagePool: (w, x, node) => {
    const { countPadding } = node.attributes as { countPadding: boolean };
    return w.apply("AveragePool", [x], { ...windows(node), count_include_pad: countPadding ? 1 : 0 });
  },
  maskedSoftmax: (w, x, { attributes, shape }, [, mask]) => {
    const n = shape[shape.length - 1];
    const { causal } = attributes as { causal: boolean };
    const seen = (i: number) => (i % n > Math.floor(i / n) ? 0 : 1);
    const add = (to: string, hidden: string) => w.apply("Add", [to, hidden]);
    const later = () =>
      w.numbers(
        Float64Array.from({ length: n * n }, (_, i) => (seen(i) - 1) * HIDDEN),
        [n, n],
      );
    const scores = causal ? add(x, later()) : x;
    if (mask === undefined) return w.apply("Softmax", [scores], { axis: -1 });
    const keys = w.reshape(mask, [...shape.slice(1).map(() => 1), n]);
    const padding = w.apply("Mul", [w.apply("Sub", [keys, w.scalar(1)]), w.scalar(HIDDEN)]);
    const weights = w.apply("Softmax", [add(scores, padding)], { axis: -1 });
    // A row that sees nothing has weights of what is hidden: they are 0 then.
    const kept = w.apply("Mul", [weights, keys]);
    if (!causal) return kept;
    return w.apply("Mul", [
      kept,
      w.numbers(
        Float64Array.from({ length: n * n }, (_, i) => seen(i)),
        [n, n],
      ),
    ]);
  },
  differs: (w, x, { attributes }) => {
    const { from } = attributes as { from: number };
    return w.truth(w.apply("Not", [w.apply("Equal", [x, w.scalar(from)])]));
  },
  addSinusoids: (w, x, { attributes, shape: [positions, width] }) => {
    const { base } = attributes as { base: number };
    const table = Float64Array.from({ length: positions * width }, (_, at) => {
      const [t, i] = [Math.floor(at / width), at % width];
      const angle = t / base ** ((i - (i % 2)) / width);
      return i % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
    });
    return w.apply("Add", [x, w.numbers(table, [positions, width])]);
  },
  dropout: (_, x) => x,
  batchNormalise: (w, x, { attributes }) => {
    const { mean, variance, epsilon } = attributes as { mean: Parameter; variance: Parameter; epsilon: number };
    const [ones, zeros] = [1, 0].map((value) => w.numbers(new Float64Array(mean.size).fill(value)));
    const inputs = [x, ones, zeros, w.buffer(mean), w.buffer(variance)];
    return w.apply("BatchNormalization", inputs, { epsilon: { float: epsilon } });
  },
  positions: (w, _, { size }) =>
    w.numbers(
      Float64Array.from({ length: size }, (_, i) => i),
      [1, size],
    ),
  stridedView: (w, x, { attributes, shape, inputs }) => {
    const { strides, offset } = attributes as { strides: readonly number[]; offset: number };
    const flat = w.reshape(x, [(inputs as readonly Node[])[0].size]);
    const places = w.integers(Array.from(placesOf(shape, strides, offset)));
    return w.reshape(w.apply("Gather", [flat, places], { axis: 1 }), shape);
  },
  largest: (w, x) => w.apply("ReduceMax", [x], { axes: [-1], keepdims: 0 }),
  plainFunction: (w, x, { attributes }) => {
    const { function: name, a, b } = attributes as { function: string; a: number; b: number };
    if (name === "clip") return w.apply("Clip", [x, w.scalar(a), w.scalar(b)]);
    if (name === "equal" || name === "greater") {
      return w.truth(w.apply(name === "equal" ? "Equal" : "Greater", [x, w.scalar(a)]));
    }
    // Towards 0, as casts to integers are.
    if (name === "truncate") return w.truth(w.apply("Cast", [x], { to: 7 }));
    if (name === "power") return w.apply("Pow", [x, w.scalar(a)]);
    const plain = ["abs", "cos", "sin", "sqrt", "reciprocal", "sign", "softsign", "log"];
    if (plain.includes(name)) return w.apply(name[0].toUpperCase() + name.slice(1), [x]);
    if (name === "hardSwish") return w.apply("HardSwish", [x]);
    if (name === "mish") return w.apply("Mul", [x, w.apply("Tanh", [w.apply("Softplus", [x])])]);
    const scaled = { hardSigmoid: "HardSigmoid", celu: "Celu", thresholdedRelu: "ThresholdedRelu" }[name];
    if (scaled === undefined) return unsupported(`the function "${name}" has no operator.`);
    return w.apply(scaled, [x], { alpha: { float: a }, ...(name === "hardSigmoid" && { beta: { float: b } }) });
  },
};

/** Writes all nodes of a network. @throws ModelError */
export function writeNetwork(where: string, net: Network, input: string): Writer {
  const writer = new Writer(net);
  const problems: Problem[] = [];
  for (const node of net.graph.nodes) {
    try {
      const { name } = node.primitive;
      if (node === net.graph.input) {
        writer.set(node, input);
        continue;
      }
      const write = writers[name] ?? unsupported("it has no operator in ONNX.");
      const inputs = node.inputs.map((one) => writer.value(one));
      writer.set(node, write(writer, inputs[0], node as Node<never>, inputs));
    } catch (cause) {
      if (!(cause instanceof Unsupported)) throw cause;
      problems.push({ operator: node.primitive.name, node: String(node.id), why: cause.message });
    }
  }
  if (problems.length > 0) throw new ModelError(where, problems);
  return writer;
}

/**
 * A network as an ONNX file, in standard operators of opset 17: input "x" [batch, …], output "y". Parameters keep their names.
 * What `fromOnnx` reads from it computes the same.
 * @throws ModelError for primitives that have no operator, all at once; OptionError for what is not a network
 */
export function networkToOnnx(net: Network): Uint8Array<ArrayBuffer> {
  const writer = writeNetwork("toOnnx", net, "x");
  writer.apply("Identity", [writer.value(net.graph.output)], undefined, "y");
  return writer.file(["y"]);
}
