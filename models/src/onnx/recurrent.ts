// LSTM, GRU and RNN in one direction or both.

import { relu, sigmoid, softplus, type Traced, tanh } from "laplace-ts";
import { as, type Builder, valued } from "../builder.ts";
import { unsupported } from "../errors.ts";
import { type CellKind, stateCount, unroll } from "../recurrence.ts";
import { sizeOf, strided, type Tensor } from "../tensor.ts";
import { type Call, constantAt, type Lower, optionalConstant, valueAt } from "./call.ts";
import { joined } from "./moves.ts";

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

type Elementwise = (x: Traced) => Traced;
const usual: Record<CellKind, readonly string[]> = {
  LSTM: ["Sigmoid", "Tanh", "Tanh"],
  GRU: ["Sigmoid", "Tanh"],
  RNN: ["Tanh"],
};

/** The functions of each direction. @throws Unsupported */
function functionsOf({ builder, attributes }: Call, op: CellKind, directions: number): readonly Elementwise[][] {
  const known: Readonly<Record<string, Elementwise>> = {
    sigmoid,
    tanh,
    relu,
    softplus,
    softsign: (x) => builder.plain("softsign", valued(x)).x,
    hardsigmoid: (x) => builder.plain("hardSigmoid", valued(x), 0.2, 0.5).x,
  };
  const each = usual[op].length;
  const names = attributes.texts("activations") ?? Array.from({ length: directions }, () => usual[op]).flat();
  const all = names.map((name) => (Object.hasOwn(known, name.toLowerCase()) ? known[name.toLowerCase()] : undefined));
  const scaled = attributes.has("activation_alpha") || attributes.has("activation_beta");
  if (names.length !== each * directions || scaled || !all.every((one) => one !== undefined)) {
    unsupported(`its functions are ${names.join(", ")}${scaled ? " with constants of their own" : ""}.`);
  }
  return Array.from({ length: directions }, (_, d) => all.slice(d * each, (d + 1) * each) as Elementwise[]);
}

function check(call: Call): void {
  const { attributes } = call;
  if (call.inputs[7] !== undefined) unsupported("it has peepholes.");
  if (attributes.has("clip") || attributes.int("input_forget", 0) !== 0) unsupported("it clips, or couples its gates.");
  const { dims } = valueAt(call, 0);
  if (attributes.int("layout", 0) !== 0 || dims.length !== 3 || dims[1] !== 1) {
    unsupported(`its input is [${dims.join(", ")}], not [positions, batch, width].`);
  }
  const lengths = optionalConstant(call, 4, "its sequences' length");
  if (lengths !== undefined && !Array.from(lengths.data).every((n) => n === dims[0])) {
    unsupported(`its sequences are ${Array.from(lengths.data).join(", ")} of ${dims[0]} positions long.`);
  }
}

export function recurrent(op: CellKind): Lower {
  return (call) => {
    check(call);
    const { builder, attributes } = call;
    const v = valueAt(call, 0);
    const [w, r] = [constantAt(call, 1, "its weight"), constantAt(call, 2, "its recurrent weight")];
    const b = optionalConstant(call, 3, "its bias");
    const starts = [5, 6].slice(0, stateCount(op)).map((i) => optionalConstant(call, i, "its first state"));
    const kind = attributes.text("direction", "forward");
    const units = r.dims[2];
    const [positions, , width] = v.dims;
    const [directions, rows] = w.dims;
    if (w.dims.length !== 3 || r.dims.length !== 3 || (kind === "bidirectional" ? 2 : 1) !== directions) {
      unsupported(`its weight is [${w.dims.join(", ")}] for the direction "${kind}".`);
    }
    const functions = functionsOf(call, op, directions);
    const all = functions.map(([gate, fresh, out], d) => {
      const biases = [".ih", ".hh"].map((part, i) => b && direction(b, d, part, [i * rows, rows]));
      return unroll(builder, {
        kind: op,
        x: as(v, [positions, width]),
        weights: [direction(w, d, ""), direction(r, d, "")],
        biases: [biases[0], biases[1]],
        states: starts.map((t) => startOf(builder, t, d, units)),
        reversed: kind === "reverse" || d === 1,
        functions: [gate, fresh, out],
        order: "iofc",
        resetAfter: attributes.int("linear_before_reset", 0) === 1,
      });
    });
    const sequence = Array.from({ length: positions }, (_, t) =>
      all.map(({ hidden }) => valued(hidden[t], [1, units])),
    );
    const y = () => ({ ...joined(builder, sequence.flat(), 0), dims: [positions, directions, 1, units] });
    const last = (i: number) => ({
      ...joined(
        builder,
        all.map(({ states }) => valued(states[i], [1, units])),
        0,
      ),
      dims: [directions, 1, units],
    });
    return [y(), last(0), ...(stateCount(op) > 1 ? [last(1)] : [])];
  };
}

/** The first state: the same for every example of a batch. */
export function startOf(builder: Builder, t: Tensor | undefined, d: number, units: number): Traced {
  const from =
    t === undefined ? new Float64Array(units) : strided(t.data, [units], [1], (d * t.data.length) / t.dims[0]);
  const same = t === undefined || Array.from(t.data).every((value, i) => value === from[i % units] || t.dims[0] > 1);
  if (!same) unsupported("its first state differs between examples.");
  const dims = [units];
  return as(builder.constant({ dims, data: from, float: true }), dims);
}
