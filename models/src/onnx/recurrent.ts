// LSTM, GRU and RNN, unrolled: one site for the input and one for the state, in each direction.

import { add, multiply, reshape, sigmoid, slice, subtract, type Traced, tanh } from "laplace-ts";
import { as, type Builder, primitive, valued } from "../builder.ts";
import { unsupported } from "../errors.ts";
import { sizeOf, strided, type Tensor } from "../tensor.ts";
import { constantAt, type Lower, optionalConstant, valueAt } from "./call.ts";
import { joined } from "./moves.ts";

type Step = (fromInput: Traced, fromState: Traced, state: readonly Traced[]) => readonly Traced[];

const gates = (x: Traced, count: number): Traced[] => {
  const n = x.shape[0] / count;
  return Array.from({ length: count }, (_, i) => slice(x, i * n, (i + 1) * n));
};

const steps: Readonly<Record<string, { gates: number; states: number; functions: string[]; step: Step }>> = {
  // Gates i, o, f, c.
  LSTM: {
    gates: 4,
    states: 2,
    functions: ["sigmoid", "tanh", "tanh"],
    step(a, b, [, cell]) {
      const [i, o, f, c] = gates(add(a, b), 4);
      const next = add(multiply(sigmoid(f), cell), multiply(sigmoid(i), tanh(c)));
      return [multiply(sigmoid(o), tanh(next)), next];
    },
  },
  // Gates z, r, h; the reset gate is applied after the product with the state.
  GRU: {
    gates: 3,
    states: 1,
    functions: ["sigmoid", "tanh"],
    step(a, b, [hidden]) {
      const [[za, ra, ha], [zb, rb, hb]] = [gates(a, 3), gates(b, 3)];
      const [z, r] = [sigmoid(add(za, zb)), sigmoid(add(ra, rb))];
      const h = tanh(add(ha, multiply(r, hb)));
      return [add(h, multiply(z, subtract(hidden, h)))];
    },
  },
  RNN: { gates: 1, states: 1, functions: ["tanh"], step: (a, b) => [tanh(add(a, b))] },
};

/** One direction's part of [directions, …]. */
function direction(t: Tensor, d: number, part: string, rows?: readonly [number, number]): Tensor {
  const dims = t.dims.slice(1);
  const size = sizeOf(dims);
  const [first, count] = rows ?? [0, dims[0]];
  const inner = size / dims[0];
  const data = strided(t.data, [count * inner], [1], d * size + first * inner);
  const name = t.name && (t.dims[0] === 1 ? t.name : `${t.name}.${d}`) + part;
  return { dims: [count, ...dims.slice(1)], data, float: true, ...(name && { name }) };
}

export function recurrent(op: keyof typeof steps): Lower {
  return (call) => {
    const { builder, attributes } = call;
    const cell = steps[op];
    const v = valueAt(call, 0);
    if (attributes.int("layout", 0) !== 0 || v.dims.length !== 3 || v.dims[1] !== 1) {
      unsupported(`its input is [${v.dims.join(", ")}], not [positions, batch, width].`);
    }
    if (call.inputs[7] !== undefined) unsupported("it has peepholes.");
    const functions = attributes.texts("activations")?.map((name) => name.toLowerCase()) ?? [];
    const usual = functions.every((name, i) => name === cell.functions[i % cell.functions.length]);
    if (attributes.has("clip") || !usual) unsupported(`its functions are ${functions.join(", ")}, or it clips.`);
    if (op === "GRU" && attributes.int("linear_before_reset", 0) !== 1) {
      unsupported("its reset gate is applied before the product with the state (linear_before_reset is 0).");
    }
    const [w, r] = [constantAt(call, 1, "its weight"), constantAt(call, 2, "its recurrent weight")];
    const b = optionalConstant(call, 3, "its bias");
    const starts = [5, 6].slice(0, cell.states).map((i) => optionalConstant(call, i, "its first state"));
    const kind = attributes.text("direction", "forward");
    const units = r.dims[2];
    const [positions, , width] = v.dims;
    const x = as(v, [positions, width]);
    const rows = cell.gates * units;
    const all = Array.from({ length: w.dims[0] }, (_, d) => {
      const reversed = kind === "reverse" || d === 1;
      const one = (weight: Tensor, value: Traced, part: 0 | 1) => {
        const bias = b && direction(b, d, part === 0 ? ".ih" : ".hh", [part * rows, rows]);
        return project(builder, value, direction(weight, d, ""), bias);
      };
      const fromInputs = one(w, x, 0);
      let state: readonly Traced[] = starts.map((t) => startOf(builder, t, d, units));
      const hidden: Traced[] = [];
      for (let i = 0; i < positions; i++) {
        const t = reversed ? positions - 1 - i : i;
        const input = reshape(slice(fromInputs, t, t + 1, 0), [rows]);
        state = cell.step(input, one(r, state[0], 1), state);
        hidden[t] = state[0];
      }
      return { hidden, state };
    });
    const directions = all.length;
    const sequence = Array.from({ length: positions }, (_, t) =>
      all.map(({ hidden }) => valued(hidden[t], [1, units])),
    );
    const y = () => ({ ...joined(builder, sequence.flat(), 0), dims: [positions, directions, 1, units] });
    const last = (i: number) => ({
      ...joined(
        builder,
        all.map(({ state }) => valued(state[i], [1, units])),
        0,
      ),
      dims: [directions, 1, units],
    });
    return [y(), last(0), ...(cell.states > 1 ? [last(1)] : [])];
  };
}

function project(builder: Builder, x: Traced, weight: Tensor, bias: Tensor | undefined): Traced {
  const [outputs, inputs] = weight.dims;
  return builder.linear(primitive<undefined>("linear"), x, undefined, weight, bias, { inputs, outputs });
}

/** The first state: the same for every example of a batch. */
function startOf(builder: Builder, t: Tensor | undefined, d: number, units: number): Traced {
  const from =
    t === undefined ? new Float64Array(units) : strided(t.data, [units], [1], (d * t.data.length) / t.dims[0]);
  const same = t === undefined || Array.from(t.data).every((value, i) => value === from[i % units] || t.dims[0] > 1);
  if (!same) unsupported("its first state differs between examples.");
  const dims = [units];
  return as(builder.constant({ dims, data: from, float: true }), dims);
}
