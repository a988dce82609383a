// Recurrent layers, unrolled: a cell at work at every position of a sequence, with the same weights.

import { shapeText } from "../../array/ndarray.ts";
import { checkBoolean, checkChoice, checkInteger, checkOptions, ShapeError } from "../../errors.ts";
import { add, applyLinear, multiply, requireTraced, reshape, sigmoid, subtract, tanh } from "../layers.ts";
import type { Initialiser, Traced } from "../trace.ts";
import { checkMask, type MaskedLayer, paddingMask } from "./masks.ts";
import { concatenate, matmul, slice, split } from "./rearrange.ts";

/** Options of `lstm` and `gru`. */
export interface RecurrentOptions {
  /** Whether the layer gives the state at every position, [positions, units] (default), or the last one, [units]. */
  output?: "sequence" | "last";
  /** Whether both projections add a bias (default true). */
  bias?: boolean;
  /** The layer's name in the table of parameters (default: its number). */
  name?: string;
}

/** What a cell keeps from position to position; the first is what the layer gives. */
type State = readonly [hidden: Traced, ...more: Traced[]];

/** The next state, from the projections of the input and of the state before. */
type Cell = (fromInput: Traced, fromState: Traced, state: State) => State;

/** A cell with so many gates, at every position from the first; the state begins at 0. */
function unrolled(where: string, units: number, gates: number, cell: Cell, options: RecurrentOptions): MaskedLayer {
  checkInteger(where, "units", units, 1);
  checkOptions(where, options, ["output", "bias", "name"]);
  const { output = "sequence", bias = true, name } = options;
  checkChoice(where, "output", output, ["sequence", "last"]);
  checkBoolean(where, "bias", bias);
  const outputs = gates * units;
  const uniform: Initialiser = (values, random) => {
    for (let i = 0; i < values.length; i++) values[i] = (2 * random.uniform() - 1) / Math.sqrt(units);
  };
  const layer: MaskedLayer = (x, mask) => {
    requireTraced(where, x);
    if (x.shape.length !== 2) {
      throw new ShapeError(`${where}: expected a sequence [positions, width], got ${shapeText(x.shape)}.`);
    }
    const project = (value: Traced, part: string) =>
      applyLinear(layer, value, { outputs, bias, weights: () => uniform, biases: uniform, name, part });
    const fromInputs = project(x, "ih");
    const [positions] = x.shape;
    if (mask !== undefined) checkMask(where, mask, positions);
    const kept = mask && reshape(paddingMask(mask), [positions, 1]);
    /** Where a position is padding, what was there before. */
    const after = (t: number, next: State): State => {
      if (kept === undefined) return next;
      const keep = slice(kept, t, t + 1, 0);
      const leave = add(multiply(keep, -1), 1);
      return next.map((one, i) => add(matmul(keep, one), matmul(leave, state[i]))) as unknown as State;
    };
    const zero = multiply(slice(slice(fromInputs, 0, 1, 0), 0, units), 0);
    let state: State = [zero, zero];
    const hidden: Traced[] = [];
    for (let t = 0; t < positions; t++) {
      state = after(t, cell(slice(fromInputs, t, t + 1, 0), project(state[0], "hh"), state));
      hidden.push(state[0]);
    }
    return output === "last" ? reshape(state[0], [units]) : reshape(concatenate(...hidden), [positions, units]);
  };
  return layer;
}

/**
 * A long short-term memory (Hochreiter & Schmidhuber 1997) over a sequence [positions, width]: with i, f, g, o the four
 * parts of W_ih x + b_ih + W_hh h + b_hh, c ← σ(f) c + σ(i) tanh(g) and h ← σ(o) tanh(c), from 0 on. Weights and biases
 * begin uniform within ± 1/√units.
 *
 * Gates, formulas and shapes are PyTorch's, both biases included: its weight_ih_l0 is "ih.weight" [4 · units, width], its
 * weight_hh_l0 "hh.weight" [4 · units, units], bias_ih_l0 and bias_hh_l0 "ih.bias" and "hh.bias" (see `rename` of
 * `loadWeights`). "hh" is one site with as many uses as there are positions.
 *
 * Where a mask [positions], the second argument, is 0, the state stays as it was (`lstm(n)(x, paddingMask(tokens))`): padding has
 * exactly no part in it, and `output: "last"` is the state at the last position that is not padding.
 * @param units the size of the state h
 * @throws OptionError, ShapeError
 */
export function lstm(units: number, options: RecurrentOptions = {}): MaskedLayer {
  const cell: Cell = (fromInput, fromState, [, memory]) => {
    const [i, f, g, o] = split(add(fromInput, fromState), 4);
    const next = add(multiply(sigmoid(f), memory), multiply(sigmoid(i), tanh(g)));
    return [multiply(sigmoid(o), tanh(next)), next];
  };
  return unrolled("lstm", units, 4, cell, options);
}

/**
 * A gated recurrent unit (Cho et al. 2014, arXiv:1406.1078) over a sequence [positions, width]: with r, z, n the three
 * parts of W_ih x + b_ih and of W_hh h + b_hh, r = σ(r_x + r_h), z = σ(z_x + z_h), n = tanh(n_x + r n_h) and
 * h ← (1 − z) n + z h, from 0 on. Gates, formulas, shapes, names and the mask are those of `lstm`.
 * @param units the size of the state h
 * @throws OptionError, ShapeError
 */
export function gru(units: number, options: RecurrentOptions = {}): MaskedLayer {
  const cell: Cell = (fromInput, fromState, [hidden]) => {
    const [[rx, zx, nx], [rh, zh, nh]] = [split(fromInput, 3), split(fromState, 3)];
    const [r, z] = [sigmoid(add(rx, rh)), sigmoid(add(zx, zh))];
    const n = tanh(add(nx, multiply(r, nh)));
    // (1 − z) n + z h
    return [add(n, multiply(z, subtract(hidden, n)))];
  };
  return unrolled("gru", units, 3, cell, options);
}
