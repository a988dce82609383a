// Features of a kernel around rows of the table: functions that are as rough as a random walk along each input, and other functions for
// other categories, which a forest finds and smooth features do not.

import {
  add,
  cholesky,
  concatenate,
  conv1d,
  dense,
  exp,
  log,
  multiply,
  NDArray,
  type Network,
  network,
  Random,
  relu,
  reshape,
  slice,
  solveTriangular,
  sum,
  type Traced,
} from "laplace-ts";
import type { Numbers } from "../model/rows.ts";
import { raised } from "./counts.ts";

/** Deviation of the linear part beside that of the features, at a typical row. */
const LINEAR = 0.3;
/** What is added to the kernel's matrix, whose rows are not equal, and where roots begin. */
const [JITTER, LEAST] = [1e-9, 1e-12];

/** Rows around which features are: so many at most, drawn of those that differ, [centres · inputs]. */
export function centresOf({ x, rows }: Pick<Numbers, "x" | "rows">, most: number, seed: number): Float64Array {
  const inputs = x.shape[1];
  const [random, seen, found] = [new Random(seed), new Set<string>(), [] as number[]];
  for (const i of random.permutation(rows)) {
    if (seen.size === most) break;
    const row = x.data.subarray(i * inputs, (i + 1) * inputs) as Float64Array;
    const text = row.join();
    if (seen.has(text)) continue;
    seen.add(text);
    found.push(...row);
  }
  return Float64Array.from(found);
}

/** What a network's layers are as large as, and whether there is a feature of the remainder. */
interface Shape {
  readonly inputs: number;
  readonly count: number;
  readonly remainder: boolean;
}

/** Rows of the root's inverse that are a product of their own. */
const PANEL = 64;

/** Panels of its rows: where each begins, how many rows it has, and where they end. */
const panelsOf = (count: number) =>
  Array.from({ length: Math.ceil(count / PANEL) }, (_, k) => {
    const [first, end] = [k * PANEL, Math.min(count, (k + 1) * PANEL)];
    return { first, rows: end - first, end };
  });

/** φ and the inputs, as the linear layer has them. */
function before(
  x: Traced,
  { inputs, count, remainder }: Shape,
): { readonly features: Traced; readonly linear: Traced } {
  // What is written later is not drawn before.
  const init = "zeros";
  // Each input by itself, beside each centre: |u| = 2 max(u, 0) − u, and the sum of u over the inputs is a product.
  const apart = conv1d(inputs * count, 1, relu, { groups: inputs, init, name: "centres" })(reshape(x, [inputs, 1]));
  const above = sum(reshape(apart, [inputs, count]), 0);
  const similar = exp(add(multiply(above, -2), dense(count, undefined, { init, name: "sums" })(x)));
  // The root's inverse is lower triangular: a panel of its rows ends where its last row does.
  const panels = panelsOf(count).map(({ rows, end }, k) =>
    dense(rows, undefined, { bias: false, init, name: `whitening${k}` })(slice(similar, 0, end)),
  );
  const near = panels.length === 1 ? panels[0] : concatenate(...panels);
  const linear = multiply(x, LINEAR / Math.sqrt(inputs));
  if (!remainder) return { features: near, linear };
  const rest = add(relu(add(multiply(sum(multiply(near, near), 0), -1), 1)), LEAST);
  return { features: concatenate(near, reshape(exp(multiply(log(rest), 0.5)), [1])), linear };
}

/** The linear layer over both. */
const head = (features: Traced, linear: Traced, outputs: number, level: number): Traced =>
  raised(add(dense(outputs)(features), dense(outputs, undefined, { bias: false })(linear)), level);

/**
 * The network: a linear layer over features of the kernel k(x, z) = Π exp(−|x_i − z_i| / (ℓ d)) and the inputs. With K = L Lᵀ the kernel's matrix
 * of the centres, features are φ = L⁻¹ k(x, centres), as of Williams & Seeger 2001, and, with `remainder`, √(1 − ‖φ‖²), which makes the prior's
 * variance that of the kernel away from the centres, too. All but the linear layer is frozen.
 * @param centres [centres · inputs]
 * @param level a constant that is added
 */
export function kernelNetwork(
  inputs: number,
  outputs: number,
  centres: Float64Array,
  { length, seed, remainder }: { readonly length: number; readonly seed: number; readonly remainder: boolean },
  level = 0,
): Network {
  const count = centres.length / inputs;
  const net = network({ inputs, seed, dtype: "float64" }, (x) => {
    const { features, linear } = before(x, { inputs, count, remainder });
    return head(features, linear, outputs, level);
  });
  const scale = 1 / (length * inputs);
  const places = new Map(net.parameterTable.map(({ name, offset, size }) => [name, { offset, size }]));
  const fill = (name: string, value: (i: number) => number) => {
    const { offset = 0, size = 0 } = places.get(name) ?? {};
    for (let i = 0; i < size; i++) net.parameters.data[offset + i] = value(i);
    net.freeze(name);
  };
  fill("centres.weight", () => scale);
  fill("centres.bias", (i) => -scale * centres[(i % count) * inputs + Math.floor(i / count)]);
  const inverse = inverseRoot(centres, inputs, scale);
  fill("sums.weight", () => scale);
  fill("sums.bias", (c) => {
    let total = 0;
    for (let i = 0; i < inputs; i++) total -= scale * centres[c * inputs + i];
    return total;
  });
  for (const [k, { first, end }] of panelsOf(count).entries()) {
    fill(`whitening${k}.weight`, (i) => inverse.data[(first + Math.floor(i / end)) * count + (i % end)]);
  }
  return net;
}

/** The linear layer of such a network by itself, rows as it has them, and what gives its weights to the network. */
export function headOf(net: Network, numbers: Numbers, remainder: boolean, level: number) {
  const { named, frozen } = { named: net.named(), frozen: net.frozen };
  const inputs = numbers.x.shape[1];
  const count = named["sums.bias"].shape[0];
  const [features, outputs] = [count + (remainder ? 1 : 0), net.outputShape[0]];
  const below = network({ inputs, dtype: "float64" }, (x) => {
    const { features, linear } = before(x, { inputs, count, remainder });
    return concatenate(features, linear);
  });
  for (const name of frozen) below.named()[name].data.set(named[name].data);
  const above = network({ inputs: features + inputs, dtype: "float64" }, (x) =>
    head(slice(x, 0, features), slice(x, features, features + inputs), outputs, level),
  );
  const free = net.parameterTable.filter(({ name }) => !frozen.has(name));
  const give = () => {
    let at = 0;
    for (const { offset, size } of free) {
      net.parameters.data.set(above.parameters.data.subarray(at, at + size), offset);
      at += size;
    }
  };
  return { net: above, numbers: { ...numbers, x: below.forward(numbers.x) }, give };
}

/** L⁻¹ of the kernel's matrix of the centres, [centres, centres]. */
function inverseRoot(centres: Float64Array, inputs: number, scale: number): NDArray {
  const count = centres.length / inputs;
  const [matrix, unit] = [new Float64Array(count ** 2), new Float64Array(count ** 2)];
  for (let a = 0; a < count; a++) {
    unit[a * count + a] = 1;
    for (let b = 0; b <= a; b++) {
      let distance = 0;
      for (let i = 0; i < inputs; i++) distance += Math.abs(centres[a * inputs + i] - centres[b * inputs + i]);
      matrix[a * count + b] = matrix[b * count + a] = Math.exp(-scale * distance) + (a === b ? JITTER : 0);
    }
  }
  const { factor } = cholesky(new NDArray(matrix, [count, count]));
  return solveTriangular(factor, new NDArray(unit, [count, count]));
}
