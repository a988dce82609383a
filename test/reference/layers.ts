// The layers of sequences, norms and attention as nested plain data: their definitions in plain loops over numbers that
// carry their gradient, and the library's layers of the same data.

import {
  batchNorm,
  dropout,
  fourierFeatures,
  groupNorm,
  gru,
  type Layer,
  layerNorm,
  lstm,
  matmul,
  mean,
  multiHeadAttention,
  multiply,
  permute,
  positionalEmbedding,
  rmsNorm,
  slice,
  split,
  stack,
  sum,
  transpose,
} from "../../src/index.ts";
import type { Dual } from "./dual.ts";
import * as dual from "./dual.ts";
import type { Block, DenseBlock, ScaleShiftBlock, Value } from "./network.ts";

/** A block of a network. Inner blocks hold the parameters: a dense block with no activation for each projection. */
export type LayerBlock =
  | {
      readonly kind: "layerNorm" | "rmsNorm" | "groupNorm";
      readonly groups: number;
      readonly epsilon: number;
      readonly affine: ScaleShiftBlock | undefined;
    }
  /** With these running statistics. */
  | {
      readonly kind: "batchNorm";
      readonly mean: readonly number[];
      readonly variance: readonly number[];
      readonly epsilon: number;
      readonly affine: ScaleShiftBlock | undefined;
    }
  | { readonly kind: "dropout" }
  /** √(2/M) cos of M dense outputs, whose inputs are scaled before. */
  | { readonly kind: "fourier"; readonly relevance: ScaleShiftBlock | undefined; readonly frequencies: DenseBlock }
  | {
      readonly kind: "attention";
      readonly heads: number;
      readonly causal: boolean;
      readonly qkv: DenseBlock;
      readonly out: DenseBlock;
    }
  | {
      readonly kind: "lstm" | "gru";
      readonly units: number;
      readonly output: "sequence" | "last";
      readonly ih: DenseBlock;
      readonly hh: DenseBlock;
    }
  | { readonly kind: "sinusoids" }
  | { readonly kind: "permute"; readonly axes: readonly number[] }
  | { readonly kind: "transpose" }
  | { readonly kind: "slice"; readonly axis: number; readonly start: number; readonly end: number }
  | { readonly kind: "sum" | "mean"; readonly axis: number }
  /** x and its negative as a new first axis */
  | { readonly kind: "stack" }
  /** The parts of an axis, multiplied elementwise */
  | { readonly kind: "splitProduct"; readonly axis: number }
  /** left(x) right(x), or left(x) right(x)ᵀ */
  | {
      readonly kind: "matmul";
      readonly transposed: boolean;
      readonly left: readonly Block[];
      readonly right: readonly Block[];
    };

const kinds: ReadonlySet<string> = new Set([
  "layerNorm",
  "rmsNorm",
  "groupNorm",
  "batchNorm",
  "dropout",
  "fourier",
  "attention",
  "lstm",
  "gru",
  "sinusoids",
  "permute",
  "transpose",
  "slice",
  "sum",
  "mean",
  "stack",
  "splitProduct",
  "matmul",
] satisfies LayerBlock["kind"][]);

export const isLayerBlock = (block: Block): block is LayerBlock => kinds.has(block.kind);

type Apply = (block: Block, x: Value) => Value;

/** Every index of an array, in order. */
function indices(shape: readonly number[]): number[][] {
  return shape.reduce<number[][]>(
    (all, length) => all.flatMap((index) => Array.from({ length }, (_, i) => [...index, i])),
    [[]],
  );
}

function at({ shape, elements }: Value, index: readonly number[]): Dual {
  return elements[index.reduce((place, i, axis) => place * shape[axis] + i, 0)];
}

/** The value of a shape whose element at each index a function gives. */
function tabulate(shape: readonly number[], element: (index: number[]) => Dual): Value {
  return { shape, elements: indices(shape).map(element) };
}

const inverseRoot = (x: Dual) => dual.through(x, x.value ** -0.5, -0.5 * x.value ** -1.5);

/** (x − mean)/√(mean((x − mean)²) + ε), or without the mean. */
function normalised(row: readonly Dual[], centred: boolean, epsilon: number): Dual[] {
  const middle = dual.scaled(dual.sum(row), 1 / row.length);
  const moved = centred ? row.map((x) => dual.minus(x, middle)) : row;
  const square = dual.scaled(dual.sum(moved.map((x) => dual.times(x, x))), 1 / row.length);
  const factor = inverseRoot(dual.shifted(square, epsilon));
  return moved.map((x) => dual.times(x, factor));
}

/** softmax(Q Kᵀ/√d) V of one head, over the keys that are seen. */
export function attend(q: Dual[][], k: Dual[][], v: Dual[][], seen: (query: number, key: number) => boolean): Dual[][] {
  const dot = (a: readonly Dual[], b: readonly Dual[]) => dual.sum(a.map((x, i) => dual.times(x, b[i])));
  return q.map((query, t) => {
    const keys = k.map((_, s) => s).filter((s) => seen(t, s));
    if (keys.length === 0) return query.map((x) => dual.scaled(x, 0));
    const weights = dual.softmax(keys.map((s) => dual.scaled(dot(query, k[s]), 1 / Math.sqrt(query.length))));
    return query.map((_, i) => dual.sum(keys.map((s, j) => dual.times(weights[j], v[s][i]))));
  });
}

/** Attention over a sequence, with one of the projections of each head after the other. */
export function attention(
  { heads, qkv, out }: { readonly heads: number; readonly qkv: DenseBlock; readonly out: DenseBlock },
  x: Value,
  seen: (query: number, key: number) => boolean,
  apply: Apply,
): Value {
  const [positions, width] = x.shape;
  const d = width / heads;
  const all = apply(qkv, x);
  const rows = (which: number, head: number) =>
    Array.from({ length: positions }, (_, t) =>
      Array.from({ length: d }, (_, i) => at(all, [t, which * width + head * d + i])),
    );
  const results = Array.from({ length: heads }, (_, head) => attend(rows(0, head), rows(1, head), rows(2, head), seen));
  return apply(
    out,
    tabulate(x.shape, ([t, i]) => results[Math.floor(i / d)][t][i % d]),
  );
}

function recurrent(block: LayerBlock & { kind: "lstm" | "gru" }, x: Value, apply: Apply): Value {
  const { units, kind, output } = block;
  const [positions] = x.shape;
  const sigmoid = (a: Dual) => dual.activate("sigmoid", a);
  const tanh = (a: Dual) => dual.activate("tanh", a);
  const fromInputs = apply(block.ih, x);
  const zero = dual.scaled(x.elements[0], 0);
  let hidden = new Array<Dual>(units).fill(zero);
  let memory = hidden;
  const all: Dual[][] = [];
  for (let t = 0; t < positions; t++) {
    const fromState = apply(block.hh, { shape: [units], elements: hidden }).elements;
    const fromInput = fromState.map((_, i) => at(fromInputs, [t, i]));
    const before = hidden;
    const gate = (g: number, j: number) => dual.plus(fromInput[g * units + j], fromState[g * units + j]);
    if (kind === "lstm") {
      memory = memory.map((c, j) =>
        dual.plus(dual.times(sigmoid(gate(1, j)), c), dual.times(sigmoid(gate(0, j)), tanh(gate(2, j)))),
      );
      hidden = memory.map((c, j) => dual.times(sigmoid(gate(3, j)), tanh(c)));
    } else {
      hidden = before.map((h, j) => {
        const [r, z] = [sigmoid(gate(0, j)), sigmoid(gate(1, j))];
        const n = tanh(dual.plus(fromInput[2 * units + j], dual.times(r, fromState[2 * units + j])));
        return dual.plus(dual.times(dual.shifted(dual.scaled(z, -1), 1), n), dual.times(z, h));
      });
    }
    all.push(hidden);
  }
  return output === "last" ? { shape: [units], elements: hidden } : { shape: [positions, units], elements: all.flat() };
}

function normLayer(block: LayerBlock & { kind: "layerNorm" | "rmsNorm" | "groupNorm" }, x: Value, apply: Apply): Value {
  const { kind, groups, epsilon, affine } = block;
  const width = kind === "groupNorm" ? x.elements.length / groups : x.shape[x.shape.length - 1];
  const elements = Array.from({ length: x.elements.length / width }, (_, i) =>
    normalised(x.elements.slice(i * width, (i + 1) * width), kind !== "rmsNorm", epsilon),
  ).flat();
  const y = { shape: x.shape, elements };
  return affine === undefined ? y : apply(affine, y);
}

/** A layer's value for one example; `apply` does the same for the blocks in it. */
export function applyLayer(block: LayerBlock, x: Value, apply: Apply): Value {
  switch (block.kind) {
    case "layerNorm":
    case "rmsNorm":
    case "groupNorm":
      return normLayer(block, x, apply);
    case "batchNorm": {
      const { mean, variance, epsilon, affine } = block;
      const y = tabulate(x.shape, (index) => {
        const [c] = index;
        return dual.scaled(dual.shifted(at(x, index), -mean[c]), 1 / Math.sqrt(variance[c] + epsilon));
      });
      return affine === undefined ? y : apply(affine, y);
    }
    case "dropout":
      return x;
    case "fourier": {
      const { relevance, frequencies } = block;
      const y = apply(frequencies, relevance === undefined ? x : apply(relevance, x));
      const factor = Math.sqrt(2 / frequencies.outputs);
      return tabulate(y.shape, (index) => dual.scaled(dual.activate("cos", at(y, index)), factor));
    }
    case "attention":
      return attention(block, x, (query, key) => !block.causal || key <= query, apply);
    case "lstm":
    case "gru":
      return recurrent(block, x, apply);
    case "sinusoids": {
      const [, width] = x.shape;
      return tabulate(x.shape, ([t, i]) => {
        const angle = t / 10_000 ** ((2 * Math.floor(i / 2)) / width);
        return dual.shifted(at(x, [t, i]), i % 2 === 0 ? Math.sin(angle) : Math.cos(angle));
      });
    }
    case "permute":
      return tabulate(
        block.axes.map((axis) => x.shape[axis]),
        (index) =>
          at(
            x,
            x.shape.map((_, axis) => index[block.axes.indexOf(axis)]),
          ),
      );
    case "transpose":
      return tabulate([...x.shape.slice(0, -2), x.shape.at(-1) as number, x.shape.at(-2) as number], (index) =>
        at(x, [...index.slice(0, -2), index.at(-1) as number, index.at(-2) as number]),
      );
    case "slice": {
      const { axis, start, end } = block;
      return tabulate(x.shape.with(axis, end - start), (index) => at(x, index.with(axis, index[axis] + start)));
    }
    case "sum":
    case "mean": {
      const { axis, kind } = block;
      const n = x.shape[axis];
      return tabulate(x.shape.toSpliced(axis, 1), (index) => {
        const total = dual.sum(Array.from({ length: n }, (_, i) => at(x, index.toSpliced(axis, 0, i))));
        return kind === "sum" ? total : dual.scaled(total, 1 / n);
      });
    }
    case "stack":
      return { shape: [2, ...x.shape], elements: [...x.elements, ...x.elements.map((a) => dual.scaled(a, -1))] };
    case "splitProduct": {
      const n = x.shape[block.axis];
      return tabulate(x.shape.with(block.axis, 1), (index) =>
        Array.from({ length: n }, (_, i) => at(x, index.with(block.axis, i))).reduce(dual.times),
      );
    }
    case "matmul": {
      const all = (blocks: readonly Block[]) => blocks.reduce((value, next) => apply(next, value), x);
      const [left, right] = [all(block.left), all(block.right)];
      const [m, k] = left.shape.slice(-2);
      const n = right.shape.at(block.transposed ? -2 : -1) as number;
      return tabulate([...left.shape.slice(0, -2), m, n], (index) => {
        const [front, i, j] = [index.slice(0, -2), index.at(-2) as number, index.at(-1) as number];
        const terms = Array.from({ length: k }, (_, p) =>
          dual.times(at(left, [...front, i, p]), at(right, [...front, ...(block.transposed ? [j, p] : [p, j])])),
        );
        return dual.sum(terms);
      });
    }
  }
}

/** The library's layer; `chainOf` makes one of blocks. */
export function libraryLayer(block: LayerBlock, chainOf: (blocks: readonly Block[]) => Layer): Layer {
  switch (block.kind) {
    case "layerNorm":
    case "rmsNorm":
    case "groupNorm":
    case "batchNorm": {
      const { epsilon, affine } = block;
      const scale = affine?.scale ?? false;
      const shift = affine?.shift ?? false;
      if (block.kind === "rmsNorm") return rmsNorm({ epsilon, scale });
      if (block.kind === "layerNorm") return layerNorm({ epsilon, scale, shift });
      if (block.kind === "batchNorm") return batchNorm({ epsilon, scale, shift });
      return groupNorm(block.groups, { epsilon, scale, shift });
    }
    case "dropout":
      return dropout(0.5);
    case "fourier":
      return fourierFeatures({ features: block.frequencies.outputs, relevance: block.relevance !== undefined });
    case "attention":
      return multiHeadAttention(block.heads, { causal: block.causal, bias: block.qkv.bias });
    case "lstm":
      return lstm(block.units, { output: block.output, bias: block.ih.bias });
    case "gru":
      return gru(block.units, { output: block.output, bias: block.ih.bias });
    case "sinusoids":
      return positionalEmbedding({ kind: "sinusoidal" });
    case "permute":
      return (x) => permute(x, block.axes);
    case "transpose":
      return transpose;
    case "slice":
      return (x) => slice(x, block.start, block.end, block.axis);
    case "sum":
      return (x) => sum(x, block.axis);
    case "mean":
      return (x) => mean(x, block.axis);
    case "stack":
      return (x) => stack(x, multiply(x, -1));
    case "splitProduct":
      return (x) => split(x, x.shape[block.axis], block.axis).reduce((a, b) => multiply(a, b));
    case "matmul": {
      const [left, right] = [chainOf(block.left), chainOf(block.right)];
      return (x) => matmul(left(x), right(x), { transposed: block.transposed });
    }
  }
}
