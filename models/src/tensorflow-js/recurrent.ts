// Recurrent layers of Keras, in one direction or both. Their arrays are those of ONNX, turned, but for LSTM's gates: i, f, c, o.

import { add, type Traced } from "laplace-ts";
import { as, type Value, valued, withoutFirst } from "../builder.ts";
import { unsupported } from "../errors.ts";
import { turned } from "../onnx/layers.ts";
import { joined } from "../onnx/moves.ts";
import { type CellKind, rowsOf, stateCount, unroll } from "../recurrence.ts";
import type { Tensor } from "../tensor.ts";
import { type Apply, activate, type Config, innerOf, need, type Use } from "./use.ts";

const gateCounts: Record<CellKind, number> = { LSTM: 4, GRU: 3, RNN: 1 };

/** A setting, by Keras's name or by that of TensorFlow.js. */
function setting(config: Config, name: string): unknown {
  return config[name] ?? config[name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())];
}

const flag = (config: Config, name: string, otherwise = false): boolean => {
  const value = setting(config, name) ?? otherwise;
  return typeof value === "boolean" ? value : unsupported(`its ${name} is ${JSON.stringify(value)}.`);
};

function check({ inputs, config }: Use): Value {
  const [v] = inputs;
  if (inputs.length > 1) unsupported("its first state is an input.");
  if (v.dims.length !== 3) unsupported(`its input is [${v.dims.slice(1).join(", ")}], not [positions, width].`);
  for (const name of ["stateful", "return_state", "time_major", "zero_output_for_mask"]) {
    if (flag(config, name)) unsupported(`its ${name} is true.`);
  }
  return v;
}

/** Rows of a bias, which is [gates · units], or [2, gates · units] where the state has one of its own. */
function biasesOf(bias: Tensor | undefined, rows: number): [Tensor | undefined, Tensor | undefined] {
  if (bias === undefined || bias.dims.length === 1) return [bias, undefined];
  if (String(bias.dims) !== String([2, rows])) unsupported(`its bias is [${bias.dims.join(", ")}].`);
  const [input, state] = [rowsOf(bias, 0, 1, ".ih"), rowsOf(bias, 1, 1, ".hh")];
  return [
    { ...input, dims: [rows] },
    { ...state, dims: [rows] },
  ];
}

/** The state at each position, in the order in which they were made. */
function sequenceOf(use: Use, kind: CellKind): readonly Traced[] {
  const { builder, config } = use;
  const v = check(use);
  const [, positions, width] = v.dims;
  const [kernel, recurrent] = [need(use, "kernel"), need(use, "recurrent_kernel")];
  const units = recurrent.dims[0];
  const rows = gateCounts[kind] * units;
  if (String([kernel.dims, recurrent.dims]) !== String([width, rows, units, rows])) {
    unsupported(`its arrays are [${kernel.dims.join(", ")}] and [${recurrent.dims.join(", ")}].`);
  }
  const biases = biasesOf(use.weight("bias"), rows);
  const apply = (name: unknown) => (x: Traced) => as(activate(use, valued(x), name), x.shape);
  const fresh = apply(config.activation ?? "tanh");
  const gate = kind === "RNN" ? fresh : apply(setting(config, "recurrent_activation") ?? "hard_sigmoid");
  const zeros = { dims: [units], data: new Float64Array(units), float: true };
  const reversed = flag(config, "go_backwards");
  const { hidden } = unroll(builder, {
    kind,
    x: as(v, [positions, width]),
    weights: [turned(kernel), turned(recurrent)],
    biases,
    states: Array.from({ length: stateCount(kind) }, () => as(builder.constant(zeros), [units])),
    reversed,
    functions: [gate, fresh, fresh],
    order: "ifco",
    resetAfter: flag(config, "reset_after"),
  });
  return reversed ? hidden.toReversed() : hidden;
}

/** [1, positions, units], or the last of them. */
function output({ builder, config }: Use, hidden: readonly Traced[]): Value {
  const [{ shape }] = hidden;
  if (!flag(config, "return_sequences")) return valued(hidden[hidden.length - 1], [1, ...shape]);
  const all = hidden.map((one) => valued(one, [1, ...shape]));
  return { ...joined(builder, all, 0), dims: [1, hidden.length, ...shape] };
}

/** LSTM, GRU and SimpleRNN. */
export const recurrent =
  (kind: CellKind): Apply =>
  (use) =>
    output(use, sequenceOf(use, kind));

const kinds: Readonly<Record<string, CellKind>> = { LSTM: "LSTM", GRU: "GRU", SimpleRNN: "RNN" };

/** A recurrent layer in both directions, their states side by side or combined; each stands at its own position. */
export function bidirectional(use: Use): Value {
  const { builder } = use;
  const inner = innerOf(use.config);
  const kind = Object.hasOwn(kinds, inner.kind) ? kinds[inner.kind] : unsupported(`its layer is a ${inner.kind}.`);
  const mode = setting(use.config, "merge_mode") ?? null;
  const one = (direction: "forward" | "backward"): Value => {
    const config = { ...inner.config, go_backwards: direction === "backward" };
    const part = { ...use, config, weight: (role: string) => use.weight(role, direction) };
    const hidden = sequenceOf(part, kind);
    // In the order of positions, if all of them are wanted.
    return output(part, direction === "backward" && flag(config, "return_sequences") ? hidden.toReversed() : hidden);
  };
  if (flag(inner.config, "go_backwards")) unsupported("its layer goes backwards.");
  const own = setting(use.config, "backward_layer");
  if (own !== undefined && own !== null) unsupported("its backward layer has settings of its own.");
  const [a, b] = [one("forward"), one("backward")];
  if (mode === "concat") return joined(builder, [a, b], -1);
  if (mode === "mul") return builder.combine("scale", a, b);
  const sum = valued(add(withoutFirst(a), withoutFirst(b)), a.dims);
  if (mode === "sum" || mode === "ave") return mode === "sum" ? sum : builder.line(sum, 0.5, 0);
  return unsupported(`its merge_mode is ${JSON.stringify(mode)}.`);
}
