// The toy datasets of the Laplace literature, with the definitions of LaplaceRedux.jl (`toy_data_*`), where blobs are
// uniform squares of side 4.5, and of scikit-learn (`make_moons`). Labels count from 0.

import { makeFloats, NDArray } from "../array/ndarray.ts";
import { portableSin } from "../array/portable.ts";
import { Random } from "../array/random.ts";
import { checkInteger, checkNumber, checkOptions, OptionError } from "../errors.ts";
import type { DType, FloatArray } from "../kernels/memory.ts";
import type { Dataset } from "./dataset.ts";

/** Options of every toy dataset. */
export interface ToyOptions {
  /** Samples (default 100; 25 for `toyRegression`, 200 for `twoMoons`). Blobs share them equally, the first ones what is left. */
  samples?: number;
  /** Seed (default 0). */
  seed?: number;
  /** Element type (default "float64"). */
  dtype?: DType;
}

/** Options of `toyRegression`. */
export interface ToyRegressionOptions extends ToyOptions {
  /** Standard deviation of the noise (default 0.3). */
  noise?: number;
  /** The function beneath the noise (default sin). */
  fun?: (x: number) => number;
  /** Inputs are uniform on [0, xMax) (default 8). */
  xMax?: number;
  /** Whether inputs are shifted to be centred at 0 (default false). */
  centerOrigin?: boolean;
}

/** Options of `twoMoons`. */
export interface TwoMoonsOptions extends ToyOptions {
  /** Standard deviation of the noise, added to both coordinates (default 0.1). */
  noise?: number;
}

const SIDE = 4.5;

function readOptions(where: string, options: ToyOptions, fallback: number, also: readonly string[] = [], least = 1) {
  checkOptions(where, options, ["samples", "seed", "dtype", ...also]);
  const samples = options.samples ?? fallback;
  checkInteger(where, "samples", samples, least);
  return { samples, random: new Random(options.seed), dtype: options.dtype ?? "float64" };
}

/** Points in squares at the given corners, equally many in each but for what is left over, with the corner's label. */
function blobs(
  where: string,
  options: ToyOptions,
  corners: readonly { readonly at: readonly [number, number]; readonly label: number }[],
  sameDraws = false,
): Dataset {
  const { samples, random, dtype } = readOptions(where, options, 100);
  const x: FloatArray = makeFloats(dtype, 2 * samples);
  const y: FloatArray = makeFloats(dtype, samples);
  let draws = new Float64Array();
  let start = 0;
  corners.forEach(({ at, label }, corner) => {
    const count = Math.floor(samples / corners.length) + (corner < samples % corners.length ? 1 : 0);
    if (corner === 0 || !sameDraws) draws = Float64Array.from({ length: 2 * count }, () => SIDE * random.uniform());
    for (let i = 0; i < 2 * count; i++) x[2 * start + i] = draws[i] + at[i % 2];
    y.fill(label, start, start + count);
    start += count;
  });
  return { x: new NDArray(x, [y.length, 2]), y: new NDArray(y, [y.length]) };
}

/** Two classes that a line separates: class 1 near (2.75, 2.75), class 0 the same points moved to (−2.75, −2.75). */
export function toyLinear(options: ToyOptions = {}): Dataset {
  const corners = [
    { at: [0.5, 0.5], label: 1 },
    { at: [-5, -5], label: 0 },
  ] as const;
  return blobs("toyLinear", options, corners, true);
}

/** Two classes on the diagonals of a square, which no line separates (exclusive or). */
export function toyNonLinear(options: ToyOptions = {}): Dataset {
  const corners = [
    { at: [0.5, 0.5], label: 1 },
    { at: [-5, -5], label: 1 },
    { at: [0.5, -5], label: 0 },
    { at: [-5, 0.5], label: 0 },
  ] as const;
  return blobs("toyNonLinear", options, corners);
}

/** Four classes, one in each corner of a square; labels 0 to 3. */
export function toyMulti(options: ToyOptions = {}): Dataset {
  const corners = [
    { at: [1, 1], label: 0 },
    { at: [-7, -7], label: 1 },
    { at: [1, -7], label: 2 },
    { at: [-7, 1], label: 3 },
  ] as const;
  return blobs("toyMulti", options, corners);
}

/** y = fun(x) + noise · N(0, 1) at inputs uniform on [0, xMax). Inputs [N, 1], targets [N, 1]. */
export function toyRegression(options: ToyRegressionOptions = {}): Dataset {
  const where = "toyRegression";
  const { samples, random, dtype } = readOptions(where, options, 25, ["noise", "fun", "xMax", "centerOrigin"]);
  const { noise = 0.3, fun = portableSin, xMax = 8, centerOrigin = false } = options;
  if (typeof fun !== "function") throw new OptionError(`${where}: fun must be a function, not ${typeof fun}.`);
  checkNumber(where, "noise", noise, 0);
  checkNumber(where, "xMax", xMax, 0, true);
  const shift = centerOrigin ? xMax / 2 : 0;
  const x = makeFloats(dtype, samples);
  const y = makeFloats(dtype, samples);
  for (let i = 0; i < samples; i++) x[i] = xMax * random.uniform() - shift;
  for (let i = 0; i < samples; i++) y[i] = fun(x[i]) + noise * random.normal();
  return { x: new NDArray(x, [samples, 1]), y: new NDArray(y, [samples, 1]) };
}

/**
 * Two half circles that reach into each other, as `make_moons` of scikit-learn has them: class 0 at (cos t, sin t), class
 * 1 at (1 − cos t, ½ − sin t), each with t in equal steps from 0 to π, plus noise · N(0, 1). Class 0 comes first and has
 * ⌊samples / 2⌋ points; the seed draws the noise only. Inputs [N, 2], labels [N].
 * @throws OptionError
 */
export function twoMoons(options: TwoMoonsOptions = {}): Dataset {
  const where = "twoMoons";
  const { samples, random, dtype } = readOptions(where, options, 200, ["noise"], 2);
  const { noise = 0.1 } = options;
  checkNumber(where, "noise", noise, 0);
  const first = Math.floor(samples / 2);
  const x = makeFloats(dtype, 2 * samples);
  const y = makeFloats(dtype, samples);
  for (let i = 0; i < samples; i++) {
    const label = i < first ? 0 : 1;
    const [at, count] = label === 0 ? [i, first] : [i - first, samples - first];
    const t = count === 1 ? 0 : (Math.PI * at) / (count - 1);
    const [cosine, sine] = [portableSin(Math.PI / 2 - t), portableSin(t)];
    x[2 * i] = (label === 0 ? cosine : 1 - cosine) + noise * random.normal();
    x[2 * i + 1] = (label === 0 ? sine : 0.5 - sine) + noise * random.normal();
    y[i] = label;
  }
  return { x: new NDArray(x, [samples, 2]), y: new NDArray(y, [samples]) };
}
