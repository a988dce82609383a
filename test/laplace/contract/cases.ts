// What the contract is checked on: every structure × likelihood × weights × curvature, each with one of nine networks and
// one of four numbers of examples, so that every structure meets every network with every curvature.

import { pairs, studentT } from "../../../examples/likelihoods.ts";
import {
  array,
  bernoulli,
  type Curvature,
  type CurvatureOptions,
  categorical,
  curvatureOf,
  type Dataset,
  type DType,
  defineLikelihood,
  gaussian,
  heteroscedastic,
  type Laplace,
  type LaplaceOptions,
  type Likelihood,
  laplace,
  type Network,
  type PlaceOptions,
  type Posterior,
  poisson,
  Random,
  type Structure,
  type Weights,
} from "../../../src/index.ts";
import type { EkfacCurvature } from "../../../src/structures/ekfac/curvature.ts";
import { numbers } from "../../reference/draw.ts";
import {
  blockDiagonal,
  correctedBlock,
  countedPositions,
  type Density,
  exampleOf,
  fullCurvature,
  groupsOf,
  type Kind,
  kroneckerBlock,
  kroneckerProduct,
  type Matrix,
  middles,
  type Part,
} from "../../reference/laplace.ts";
import { bestLeft } from "../../reference/nearest-kronecker.ts";
import { type Block, build } from "../../reference/network.ts";
import { everyCase, type Tolerance } from "../../setup.ts";

/** A value that is computed when it is first asked for. */
export function lazy<T>(compute: () => T): () => T {
  let found: { readonly value: T } | undefined;
  return () => {
    found ??= { value: compute() };
    return found.value;
  };
}

const layer = (outputs: number, activation: "tanh" | "softplus" | "identity" = "tanh", bias = true): Block => ({
  kind: "dense",
  outputs,
  bias,
  activation,
});

interface Architecture {
  readonly inputs: readonly number[];
  readonly blocks: readonly Block[];
  /** The layer, by its number, that works several times in an example. */
  readonly shared: string | undefined;
}

const windows = { kernel: [2, 2], stride: [1, 1], padding: [0, 0], dilation: [1, 1], bias: true } as const;

/** Networks with C outputs, of which one applies its layers at every position that has a label. */
export const architectures: Record<string, (outputs: number, positions: number) => Architecture> = {
  plain: (outputs) => ({ inputs: [3], blocks: [layer(5), layer(outputs, "identity")], shared: undefined }),
  residual: (outputs) => ({
    inputs: [2],
    blocks: [
      layer(3),
      { kind: "residual", body: [layer(3, "softplus")] },
      { kind: "scaleShift", scale: true, shift: true },
      layer(outputs, "identity", false),
    ],
    shared: undefined,
  }),
  twice: (outputs) => ({
    inputs: [3],
    blocks: [{ kind: "twice", inSeries: true, layer: layer(3) }, layer(outputs, "identity")],
    shared: "0",
  }),
  positions: (outputs) => ({
    inputs: [3, 2],
    blocks: [
      layer(2),
      { kind: "scaleShift", scale: true, shift: false },
      { kind: "flatten" },
      layer(outputs, "identity"),
    ],
    shared: "0",
  }),
  lastPositions: (outputs) => ({
    inputs: [outputs, 2],
    blocks: [layer(3), layer(1, "identity"), { kind: "flatten" }],
    shared: "1",
  }),
  sequence: (outputs, positions) => ({
    inputs: [positions, 2],
    blocks: [layer(3), { kind: "scaleShift", scale: true, shift: true }, layer(outputs / positions, "identity")],
    shared: positions === 1 ? undefined : "0",
  }),
  groupedConvolution: (outputs) => ({
    inputs: [2, 3, 3],
    blocks: [
      { ...windows, kind: "convolution", outputs: 4, groups: 2, same: false },
      { kind: "activation", activation: "tanh" },
      { kind: "maxPool", kernel: [2, 1], stride: [1, 1], padding: [0, 0] },
      { kind: "scaleShift", scale: true, shift: true, channels: true },
      { kind: "flatten" },
      layer(outputs, "identity"),
    ],
    shared: "0",
  }),
  transposedConvolution: (outputs) => ({
    inputs: [2, 2, 2],
    blocks: [
      { ...windows, kind: "transposed", outputs: 2, groups: 1, outputPadding: [0, 0] },
      { kind: "activation", activation: "tanh" },
      { kind: "averagePool", kernel: [2, 2], stride: [1, 1], padding: [0, 0], countPadding: true },
      { kind: "flatten" },
      layer(outputs, "identity", false),
    ],
    shared: "0",
  }),
  lastConvolution: (outputs) => ({
    inputs: [2, 2, 9],
    blocks: [
      layer(4),
      { ...windows, kind: "convolution", outputs, groups: 1, same: true },
      { kind: "globalPool", mean: true },
    ],
    shared: "1",
  }),
};

/** What a last layer of many outputs is checked on: its curvature is in closed form. */
const narrow = (outputs: number): Architecture => ({
  inputs: [1],
  blocks: [layer(1), layer(outputs, "identity", false)],
  shared: undefined,
});

const IGNORED = -100;

export interface Model {
  readonly name: string;
  readonly likelihood: Likelihood;
  readonly density: Density;
  readonly outputs: number;
  /** The shape of an example's outputs, if it is not [outputs]. */
  readonly shape?: readonly number[];
  /** Whether it has many outputs, of a network of its own: all its weights, and the generalised Gauss-Newton matrix alone. */
  readonly many?: boolean;
}

const gaussianOf = (name: string, noise: number | number[], outputs: number): Model => {
  const list = typeof noise === "number" ? new Array<number>(outputs).fill(noise) : noise;
  return { name, likelihood: gaussian({ noise }), density: { name: "gaussian", noise: list }, outputs };
};

export const models: readonly Model[] = [
  gaussianOf("gaussian", 0.6, 2),
  gaussianOf("gaussian with a noise per output", [0.5, 0.8, 1.3], 3),
  { name: "categorical", likelihood: categorical(), density: { name: "categorical" }, outputs: 3 },
  {
    name: "categorical at two positions, some ignored",
    likelihood: categorical({ classAxis: "last", ignoredLabel: IGNORED }),
    density: { name: "categorical", positions: 2 },
    outputs: 6,
    shape: [2, 3],
  },
  {
    name: "categorical at three positions, classes first, some ignored",
    likelihood: categorical({ classAxis: "first", ignoredLabel: IGNORED }),
    density: { name: "categorical", positions: 3, first: true },
    outputs: 6,
    shape: [2, 3],
  },
  { ...gaussianOf("gaussian at two positions", 0.6, 4), shape: [2, 2] },
  { name: "bernoulli of one logit", likelihood: bernoulli(), density: { name: "bernoulli" }, outputs: 1 },
  { name: "bernoulli of two logits", likelihood: bernoulli(), density: { name: "bernoulli" }, outputs: 2 },
  { name: "poisson", likelihood: poisson(), density: { name: "poisson" }, outputs: 1 },
  {
    name: "Student-t of a user",
    likelihood: defineLikelihood("studentT", studentT)({ df: 3, scale: 0.7 }),
    density: { name: "studentT", scale: 0.7 },
    outputs: 2,
  },
  {
    name: "pairs of a user at two positions",
    likelihood: defineLikelihood("pairs", pairs)({ correlation: 0.6 }),
    density: { name: "pairs", correlation: 0.6 },
    outputs: 4,
    shape: [2, 2],
  },
  {
    name: "heteroscedastic at two positions",
    likelihood: heteroscedastic(),
    density: { name: "heteroscedastic" },
    outputs: 4,
    shape: [2, 2],
  },
  { name: "categorical of 64", likelihood: categorical(), density: { name: "categorical" }, outputs: 64, many: true },
];

const structures = ["full", "diagonal", "kronecker", "ekfac", "kfoc", "lowRank", "functional"] as const;
export const kinds: readonly Kind[] = ["ggn", "monteCarlo", "empiricalFisher"];
const choices = ["all", "lastLayer", "parameters", "indices"] as const;
/** The last few are for predictions. */
const MOST = 13;
const TESTS = 3;

function drawTarget({ density, likelihood, outputs }: Model, random: Random): number[] {
  const { name } = density;
  if (name === "gaussian" || name === "studentT" || name === "pairs") return numbers(random, outputs, "float32");
  if (name === "heteroscedastic") return numbers(random, outputs, "float32").map((y, c) => (c % 2 === 0 ? y : 0));
  if (name === "categorical") {
    const target = new Array<number>(outputs).fill(0);
    for (const group of groupsOf(density, outputs)) {
      const ignored = likelihood.ignoredLabel !== undefined && random.integer(3) === 0;
      if (!ignored) target[group[random.integer(group.length)]] = 1;
    }
    return target;
  }
  return Array.from({ length: outputs }, () => random.integer(name === "bernoulli" ? 2 : 5));
}

/** The label at every position of a target. */
const labelsOf = (density: Density, y: readonly number[]) =>
  groupsOf(density, y.length).map((group) => {
    const label = group.findIndex((i) => y[i] === 1);
    return label < 0 ? IGNORED : label;
  });

/** A network with data for a likelihood, and the reference's view of them. */
function makeWorld(name: string, model: Model) {
  const { density, outputs, shape = [outputs] } = model;
  // Classes may be the first axis; everything else has its positions first.
  const positions = density.name === "categorical" ? (density.positions ?? 1) : shape.length === 1 ? 1 : shape[0];
  const { inputs, blocks: body, shared } = model.many ? narrow(outputs) : architectures[name](outputs, positions);
  const blocks: Block[] = [...body, { kind: "reshape", shape }];
  const random = new Random(5);
  const count = build(blocks, inputs, "float64").parameterCount;
  // Numbers of float32, so that networks of both types are the same function.
  const theta = numbers(random, count, "float32", 0.7);
  const width = inputs.reduce((product, length) => product * length, 1);
  const xs = Array.from({ length: MOST + TESTS }, () => numbers(random, width, "float32"));
  const ys = xs.map(() => drawTarget(model, random));
  const examples = xs.map((x, n) => exampleOf(blocks, inputs, theta, x, ys[n]));
  const networkOf = (dtype: DType = "float64"): Network => {
    const net = build(blocks, inputs, dtype);
    net.setParameters(theta);
    return net;
  };
  const net = networkOf();
  const dataOf = (rows: readonly number[]): Dataset => ({
    x: array(
      rows.flatMap((n) => xs[n]),
      { shape: [rows.length, ...inputs] },
    ),
    y:
      density.name === "categorical"
        ? array(
            rows.flatMap((n) => labelsOf(density, ys[n])),
            { shape: shape.length === 1 ? [rows.length] : [rows.length, positions] },
          )
        : density.name === "heteroscedastic"
          ? array(
              rows.flatMap((n) => ys[n].filter((_, c) => c % 2 === 0)),
              { shape: [rows.length, ...net.outputShape.slice(0, -1)] },
            )
          : array(
              rows.flatMap((n) => ys[n]),
              { shape: [rows.length, ...net.outputShape] },
            ),
  });
  const parts = net.parameterTable.map((parameter): Part => {
    const [prefix, role] = parameter.name.split(".");
    const first = net.parameterTable.find((other) => other.name.startsWith(`${prefix}.`)) as typeof parameter;
    return { role, begin: first.offset, offset: parameter.offset, size: parameter.size };
  });
  return {
    net,
    networkOf,
    theta,
    examples: examples.slice(0, MOST),
    tests: examples.slice(MOST),
    x: dataOf(Array.from({ length: TESTS }, (_, i) => MOST + i)).x,
    dataOf,
    parts,
    shared,
    /** Positions for each label, where it works on each alone, up to the labels; 0 elsewhere. */
    apart:
      density.name !== "categorical" || density.first
        ? 0
        : positionsOfLabel(name, model.outputs / (density.positions ?? 1)),
  };
}

function positionsOfLabel(world: string, classes: number): number {
  if (world === "sequence") return 1;
  return world === "lastPositions" ? classes : 0;
}

type World = ReturnType<typeof makeWorld>;
const worlds = new Map<string, World>();

export function worldOf(name: string, model: Model): World {
  const key = `${name} ${model.name}`;
  const known = worlds.get(key) ?? makeWorld(name, model);
  worlds.set(key, known);
  return known;
}

export interface Case {
  readonly name: string;
  readonly structure: Structure;
  readonly model: Model;
  readonly kind: Kind;
  readonly world: World;
  readonly samples: number;
  readonly options: CurvatureOptions & { readonly weights: Weights };
  /** Whether the structure takes these weights. */
  readonly exists: boolean;
}

/** `weights` with some parameters or positions: a weight without its bias and the other way around, one whole. */
function weightsOf(choice: (typeof choices)[number], { net }: World): Weights {
  if (choice === "all" || choice === "lastLayer") return choice;
  const table = net.parameterTable;
  const [first, last] = [table[0], table[table.length - 1]];
  if (choice === "parameters") return { parameters: [last.name, first.name] };
  const inner = [1, 2, first.size - 1, table[1].offset];
  // In another order than they lie: positions are sorted.
  return { indices: [...Array.from({ length: last.size }, (_, i) => last.offset + i), ...inner].reverse() };
}

function makeCases(): Case[] {
  const cases: Case[] = [];
  const names = Object.keys(architectures);
  models.forEach((model, l) => {
    choices.forEach((choice, w) => {
      kinds.forEach((kind, k) => {
        if (model.many && (kind !== "ggn" || choice !== "all")) return;
        const architecture = model.many ? "narrow" : names[(l + w + k) % names.length];
        const samples = [MOST, 7, 1, 11][(l + 3 * w + 2 * k) % 4];
        for (const structure of structures) {
          // At full rank, or at all points, it is the whole matrix, which has all cases of its own.
          if (structure === "lowRank" && (l + w + k) % 4 !== 0) continue;
          if (structure === "functional" && (l + w + k) % 4 !== 1) continue;
          // One for a structure and a likelihood, all others by `npm run test:long`.
          const place = l + structures.indexOf(structure);
          const other = structure !== "lowRank" && structure !== "functional" && structure !== "kfoc";
          if (!everyCase && !model.many && (place % 3 !== k || (other && (place + w + k) % 4 !== 0))) continue;
          // Passes of its own, as many as it takes.
          if (structure === "kfoc" && ((l + w + k) % 3 !== 2 || model.many)) continue;
          const world = worldOf(architecture, model);
          const factored = structure === "kronecker" || structure === "ekfac" || structure === "kfoc";
          for (const sharing of factored && structure !== "kfoc" && world.shared !== undefined
            ? (["expand", "reduce"] as const)
            : [undefined]) {
            cases.push({
              name: `${structure}, ${model.name}, ${choice}, ${kind}${sharing ? `, ${sharing}` : ""} (${architecture}, ${samples} examples)`,
              structure,
              model,
              kind,
              world,
              samples,
              exists: !(factored && choice === "indices"),
              options: {
                structure,
                weights: weightsOf(choice, world),
                curvature: kind,
                ...(kind === "monteCarlo" && { monteCarloSamples: 3, seed: 4 }),
                ...(sharing && { sharing }),
                ...(structure === "lowRank" && { rank: 1000 }),
                ...(structure === "functional" && {
                  points: world.dataOf(Array.from({ length: MOST }, (_, n) => n)).x,
                }),
              },
            });
          }
        }
      });
    });
  });
  return cases;
}

export const allCases = makeCases();
export const cases = allCases.filter(({ exists }) => exists);

/** What tests of a case share. */
export function fixtureOf({ world, model, kind, structure, samples, options }: Case) {
  const rows = Array.from({ length: samples }, (_, n) => n);
  const data = world.dataOf(rows);
  const examples = world.examples.slice(0, samples);
  const curve = (
    of: Parameters<typeof curvatureOf>[2],
    more: CurvatureOptions & PlaceOptions = {},
    net = world.net,
  ): Curvature => curvatureOf(net, model.likelihood, of, { ...options, ...more });
  const curvature = lazy(() => curve(data));
  const approximation = (more: Partial<LaplaceOptions> = {}, net = world.net): Laplace =>
    laplace(net, { likelihood: model.likelihood, ...options, checks: false, ...more });
  const posterior = lazy((): Promise<Posterior> => approximation().fit(data));
  const indices = lazy(() => Array.from(curvature().selection.indices()));
  const parts = lazy(() => {
    const { parameters } = curvature().selection;
    return world.parts.filter(({ offset }) => parameters.some(({ parameter }) => parameter.offset === offset));
  });
  // Where positions are examples of their own, ignored ones are not there; for other kinds inputs are over all.
  const apart = kind === "ggn" && world.apart > 0 && (options.sharing ?? "expand") === "expand";
  const keep = apart ? countedPositions(model.density, world.apart) : undefined;
  /** The curvature by its definition; eigenbases are the library's own, which `bases` checks. */
  const reference = lazy((): Matrix => {
    const { monteCarloSamples: draws = 1, seed = 0, sharing = "expand" } = options;
    const weights = middles(model.density, examples, kind, { samples: draws, seed });
    if (structure === "full" || structure === "lowRank" || structure === "functional")
      return fullCurvature(examples, weights, indices());
    if (structure === "diagonal") {
      return fullCurvature(examples, weights, indices()).map((row, i) => row.map((x, j) => (i === j ? x : 0)));
    }
    if (structure === "kfoc") {
      const best = parts().map(({ offset, size, role }, i) => {
        const places = Array.from({ length: size }, (_, j) => offset + j);
        const block = fullCurvature(examples, weights, places);
        if (role !== "weight") return block;
        const { a, groups, outputs, inputs } = factorsOf(curvature(), i);
        return bestLeft(block, groups, outputs, inputs, a);
      });
      return blockDiagonal(best);
    }
    const blocks = parts().map((part, i) =>
      structure === "kronecker"
        ? kroneckerBlock(examples, weights, part, sharing, keep)
        : correctedBlock(examples, weights, part, basisOf(curvature(), i)),
    );
    return blockDiagonal(blocks);
  });
  return { rows, data, examples, keep, curve, curvature, approximation, posterior, indices, parts, reference };
}

/** Why there are no parts of the data, if so. */
export const notInParts = ({ samples }: Case): string => (samples === 1 ? " (there is one example)" : "");

export type Fixture = ReturnType<typeof fixtureOf>;

/** The eigenbasis of the i-th parameter's block, eigenvectors in columns. */
export function basisOf(curvature: Curvature, i: number): Matrix {
  const { qb, qa, outputs, inputs, groups } = (curvature as EkfacCurvature).blocks[i];
  const square = (q: Float64Array, n: number, group: number) =>
    Array.from({ length: n }, (_, row) => Array.from(q.subarray((group * n + row) * n, (group * n + row + 1) * n)));
  return blockDiagonal(
    Array.from({ length: groups }, (_, g) => {
      const left = square(qb, outputs, g);
      return qa === undefined ? left : kroneckerProduct(left, square(qa, inputs, g));
    }),
  );
}

/** The factors A of the i-th parameter's weight, of each group, and its shape. */
function factorsOf(curvature: Curvature, i: number) {
  const { b, a } = curvature.factors()[i];
  const [outputs, inputs] = [b.shape[b.rank - 1], a?.shape[a.rank - 1] ?? 1];
  const groups = b.rank === 3 ? b.shape[0] : 1;
  const flat = Array.from(a?.data ?? []);
  const rows = Array.from({ length: groups * inputs }, (_, r) => flat.slice(r * inputs, (r + 1) * inputs));
  return {
    groups,
    outputs,
    inputs,
    a: Array.from({ length: groups }, (_, g) => rows.slice(g * inputs, (g + 1) * inputs)),
  };
}

/** Tolerance relative to the largest entry, as entries are sums that may cancel; some cancel altogether, hence 1e-6. */
export function near(expected: ArrayLike<number>, relative: number): Tolerance {
  let largest = 0;
  for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(expected[i]));
  return { relative: 0, absolute: relative * (largest + 1e-6) };
}
