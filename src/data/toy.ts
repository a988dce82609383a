// The toy datasets of the Laplace literature, with the definitions of LaplaceRedux.jl (`toy_data_*`): blobs are uniform
// squares of side 4.5. Labels count from 0.

import { makeFloats, NDArray } from "../array/ndarray.ts";
import { portableSin, Random } from "../array/random.ts";
import { checkInteger, checkNumber, checkOptions, OptionError } from "../errors.ts";
import type { DType, FloatArray } from "../kernels/memory.ts";
import type { Dataset } from "./dataset.ts";

/** Options of every toy dataset. */
export interface ToyOptions {
  /** Samples asked for (default 100; 25 for `toyRegression`). Blobs share them equally, rounded. */
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

const SIDE = 4.5;

/** n rounded to an integer, halves to the even one (as the definitions have it). */
function roundHalfEven(n: number): number {
  const floor = Math.floor(n);
  if (n - floor !== 0.5) return Math.round(n);
  return floor % 2 === 0 ? floor : floor + 1;
}

function readOptions(where: string, options: ToyOptions, fallback: number, also: readonly string[] = []) {
  checkOptions(where, options, ["samples", "seed", "dtype", ...also]);
  const samples = options.samples ?? fallback;
  checkInteger(where, "samples", samples, 1);
  return { samples, random: new Random(options.seed), dtype: options.dtype ?? "float64" };
}

/** Points in squares at the given corners, `count` in each, with the corner's label. */
function blobs(
  where: string,
  options: ToyOptions,
  share: number,
  corners: readonly { readonly at: readonly [number, number]; readonly label: number }[],
  sameDraws = false,
): Dataset {
  const { samples, random, dtype } = readOptions(where, options, 100);
  const count = Math.max(1, roundHalfEven(samples / share));
  const x: FloatArray = makeFloats(dtype, 2 * count * corners.length);
  const y: FloatArray = makeFloats(dtype, count * corners.length);
  const draw = () => Float64Array.from({ length: 2 * count }, () => SIDE * random.uniform());
  let draws = draw();
  corners.forEach(({ at, label }, corner) => {
    if (corner > 0 && !sameDraws) draws = draw();
    for (let i = 0; i < 2 * count; i++) x[2 * count * corner + i] = draws[i] + at[i % 2];
    y.fill(label, count * corner, count * (corner + 1));
  });
  return { x: new NDArray(x, [y.length, 2]), y: new NDArray(y, [y.length]) };
}

/** Two classes that a line separates: class 1 near (2.75, 2.75), class 0 the same points moved to (−2.75, −2.75). */
export function toyLinear(options: ToyOptions = {}): Dataset {
  const corners = [
    { at: [0.5, 0.5], label: 1 },
    { at: [-5, -5], label: 0 },
  ] as const;
  return blobs("toyLinear", options, 2, corners, true);
}

/** Two classes on the diagonals of a square, which no line separates (exclusive or). */
export function toyNonLinear(options: ToyOptions = {}): Dataset {
  const corners = [
    { at: [0.5, 0.5], label: 1 },
    { at: [-5, -5], label: 1 },
    { at: [0.5, -5], label: 0 },
    { at: [-5, 0.5], label: 0 },
  ] as const;
  return blobs("toyNonLinear", options, 4, corners);
}

/** Four classes, one in each corner of a square; labels 0 to 3. */
export function toyMulti(options: ToyOptions = {}): Dataset {
  const corners = [
    { at: [1, 1], label: 0 },
    { at: [-7, -7], label: 1 },
    { at: [1, -7], label: 2 },
    { at: [-7, 1], label: 3 },
  ] as const;
  return blobs("toyMulti", options, 4, corners);
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
