// One direction of LSTM, GRU or a plain recurrence, unrolled: a site for the input and one for the state, each used at every position.

import { add, multiply, reshape, slice, subtract, type Traced } from "laplace-ts";
import { type Builder, primitive } from "./builder.ts";
import { checkedParts, sizeOf, strided, type Tensor } from "./tensor.ts";

export type CellKind = "LSTM" | "GRU" | "RNN";
type Weight = Tensor & { readonly moved?: boolean };
type Elementwise = (x: Traced) => Traced;

/** Arrays have their gates one after the other: of LSTM by `order`, of GRU z, r, h. */
export interface Recurrence {
  readonly kind: CellKind;
  /** [positions, width] */
  readonly x: Traced;
  /** [gates · units, width] and [gates · units, units] */
  readonly weights: readonly [Weight, Weight];
  /** [gates · units], added to the products with the input and with the state. */
  readonly biases: readonly [Tensor | undefined, Tensor | undefined];
  /** The first state, and of LSTM the first cell: [units] each. */
  readonly states: readonly Traced[];
  /** Whether it begins with the last position. */
  readonly reversed: boolean;
  /** Of the gates, of what is new, and of LSTM's cell on its way out. */
  readonly functions: readonly [gate: Elementwise, fresh: Elementwise, out: Elementwise];
  /** LSTM's gates in the arrays' order: input, output, forget, cell. */
  readonly order: "iofc" | "ifco";
  /** Whether GRU's reset gate is applied to the product with the state, or to the state before it. */
  readonly resetAfter: boolean;
}

/** What a recurrence gives: the state at each position, and the last states. */
export interface Unrolled {
  readonly hidden: readonly Traced[];
  readonly states: readonly Traced[];
}

const gateCounts: Record<CellKind, number> = { LSTM: 4, GRU: 3, RNN: 1 };
/** How many states there are. */
export const stateCount = (kind: CellKind): number => (kind === "LSTM" ? 2 : 1);

export function unroll(builder: Builder, recurrence: Recurrence): Unrolled {
  const { kind, x, weights, biases, reversed } = recurrence;
  const positions = checkedParts(x.shape[0]);
  const rows = weights[0].dims[0];
  const fromInputs = project(builder, x, weights[0], biases[0]);
  const step = steps[kind](builder, recurrence, rows / gateCounts[kind]);
  let { states } = recurrence;
  const hidden: Traced[] = [];
  for (let i = 0; i < positions; i++) {
    const t = reversed ? positions - 1 - i : i;
    states = step(reshape(slice(fromInputs, t, t + 1, 0), [rows]), states);
    hidden[t] = states[0];
  }
  return { hidden, states };
}

type Step = (fromInput: Traced, states: readonly Traced[]) => readonly Traced[];

/** Entries of one gate after the other. */
function gates(x: Traced, units: number): Traced[] {
  return Array.from({ length: x.shape[0] / units }, (_, i) => slice(x, i * units, (i + 1) * units));
}

const steps: Record<CellKind, (builder: Builder, recurrence: Recurrence, units: number) => Step> = {
  LSTM(builder, { weights, biases, functions: [gate, fresh, out], order }, units) {
    return (fromInput, [hidden, cell]) => {
      const all = gates(add(fromInput, project(builder, hidden, weights[1], biases[1])), units);
      const [i, o, f, c] = [..."iofc"].map((name) => all[order.indexOf(name)]);
      const next = add(multiply(gate(f), cell), multiply(gate(i), fresh(c)));
      return [multiply(gate(o), out(next)), next];
    };
  },
  GRU(builder, { weights, biases, functions: [gate, fresh], resetAfter }, units) {
    const mixed = (z: Traced, h: Traced, hidden: Traced) => [add(h, multiply(gate(z), subtract(hidden, h)))];
    if (resetAfter) {
      return (fromInput, [hidden]) => {
        const [za, ra, ha] = gates(fromInput, units);
        const [zb, rb, hb] = gates(project(builder, hidden, weights[1], biases[1]), units);
        return mixed(add(za, zb), fresh(add(ha, multiply(gate(add(ra, rb)), hb))), hidden);
      };
    }
    const [weightOf, biasOf] = [weights[1], biases[1]].map((t) => {
      return (first: number, count: number, part: string) => t && rowsOf(t, first * units, count * units, part);
    });
    const [both, last] = [weightOf(0, 2, ".zr"), weightOf(2, 1, ".h")] as [Weight, Weight];
    const [bothBias, lastBias] = [biasOf(0, 2, ".zr"), biasOf(2, 1, ".h")];
    return (fromInput, [hidden]) => {
      const [za, ra, ha] = gates(fromInput, units);
      const [zb, rb] = gates(project(builder, hidden, both, bothBias), units);
      const kept = multiply(gate(add(ra, rb)), hidden);
      return mixed(add(za, zb), fresh(add(ha, project(builder, kept, last, lastBias))), hidden);
    };
  },
  RNN(builder, { weights, biases, functions: [gate] }) {
    return (fromInput, [hidden]) => [gate(add(fromInput, project(builder, hidden, weights[1], biases[1])))];
  },
};

/** Some rows of an array, as a parameter of their own. */
export function rowsOf(t: Weight, first: number, count: number, part: string): Weight {
  const inner = sizeOf(t.dims) / t.dims[0];
  const data = strided(t.data, [count * inner], [1], first * inner);
  return { ...t, dims: [count, ...t.dims.slice(1)], data, ...(t.name && { name: `${t.name}${part}` }) };
}

function project(builder: Builder, x: Traced, weight: Weight, bias: Tensor | undefined): Traced {
  const [outputs, inputs] = weight.dims;
  return builder.linear(primitive<undefined>("linear"), x, undefined, weight, bias, { inputs, outputs });
}
