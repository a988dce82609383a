// Which candidates a table has: small networks by second order where that is quick, larger ones by first order elsewhere.

import { estimateMemory, type TableEncoding } from "laplace-ts";
import { DRAWS } from "../model/rows.ts";
import { skipNetwork, skipWeights } from "./by-evidence.ts";
import { type FeaturesRecipe, featuresWeights, severalClasses } from "./by-features.ts";
import { MANY_ROWS } from "./many-rows.ts";
import {
  chooseStructure,
  defaultHidden,
  describeFeatures,
  describeNetwork,
  describeSkip,
  FEW_ROWS,
  type Learning,
  learningOf,
  type NetworkSettings,
  networkFor,
} from "./network.ts";
import type { Candidate } from "./portfolio.ts";

/** What candidates are told. */
export interface CandidateSettings extends NetworkSettings {
  readonly rounds: number;
  readonly epochs?: number | undefined;
  readonly seed: number;
  /** Whether every candidate is fitted fold by fold. */
  readonly folded: boolean;
  /** Rows that lack a value (default 0). */
  readonly gapped?: number;
}

/** The widths of the wide network of first order, and the products of few rows and weights up to which it has the first of them. */
const [WIDE, LESS_WIDE, MOST_WIDE_PRODUCTS] = [[64, 64], [32, 32], 2e7] as const;
/**
 * 1 / variance of the weights at first, of networks that are given or narrow, and of wide ones. With a strong prior the network is
 * constant, and the evidence of a constant asks for a still stronger prior: 50 ended at the mean in one of seven tables.
 */
const [FIRST, FIRST_WIDE] = [5, 1];
/**
 * Multiplications of a step of second order, N C P² + 2 P³, up to which a fit takes some tenths of a second; where there is no
 * cross-validation, it may take longer.
 */
const [MOST_WORK, MOST_SINGLE_WORK] = [5e7, 2e8];
/** Widths of small networks, the largest first. */
const WIDTHS = [12, 8, 6, 4, 3, 2] as const;
/** Fewer rows do not tell noises of rows apart. */
const FEWEST_VARYING = 100;
/** Fits from different seeds of what has more than one minimum. */
const SEEDS = 3;

/** Numbers of random features, the largest first, and the multiplications of a step up to which they are taken: a few steps are enough. */
const FEATURES = [300, 200, 100, 50] as const;
const MOST_FEATURES_WORK = 3e8;
/** Counts are trained several times, for their dispersion. */
const MOST_FEATURES_OF_COUNTS = 100;
const FEATURES_SEEDS = 2;
interface Features extends Pick<FeaturesRecipe, "length" | "precision" | "relevance"> {
  /** Whether they are a kernel's. */
  readonly kernel?: boolean;
}
/** With a relevance for each input, as good as a Gaussian process with a length for each: many steps, so fewer features. */
const RELEVANT: Features = { length: 1, precision: undefined, relevance: true };
const MOST_RELEVANT = 100;
/**
 * What an input takes beside a centre, and so that several classes, judged at many temperatures, have one prior; and the multiplications of one pass,
 * about a second's.
 */
const [EACH_INPUT, EACH_INPUT_OF_ONE, MOST_KERNEL_WORK] = [4, 27, 3e8];
/** The share of rows of numbers that a kernel is around: around each a rough function passes through all targets, whose noise nothing tells. */
const MOST_AROUND = 0.9;
/** Rough functions, and other ones for other categories, which smooth features do not find. */
const KERNEL: Features = { length: 1, precision: undefined, kernel: true };
const KERNEL_OF_CLASSES: readonly Features[] = [
  { length: 1, precision: 0.1, kernel: true },
  { length: 1, precision: 0.01, kernel: true },
];
/** What random features are tried: of numbers with the prior of the evidence, which for classes is too strong (Sonar .40, not .33). */
const FEATURES_OF_NUMBERS: readonly Features[] = [
  { length: 1, precision: undefined },
  { length: 0.5, precision: undefined },
  RELEVANT,
  KERNEL,
];
const FEATURES_OF_CLASSES: readonly Features[] = [
  { length: 0.5, precision: 0.3 },
  { length: 0.5, precision: 0.03 },
  { length: 0.25, precision: 0.03 },
  ...KERNEL_OF_CLASSES,
];
/** Of several classes, which a softmax regression learns: the multiplications of a product with the features up to which they are taken. */
const MOST_PRODUCT_WORK = 1e7;
const SEVERAL: readonly Features[] = [
  { length: 0.5, precision: 0.1 },
  { length: 0.5, precision: 0.01 },
  { length: 0.5, precision: 0.001 },
  { length: 0.5, precision: 0.0001 },
  ...KERNEL_OF_CLASSES,
];

/** The candidates for so many rows: the network that was asked for, or several. */
export function candidatesFor(encoding: TableEncoding, rows: number, settings: CandidateSettings): Candidate[] {
  const learning = learningOf(encoding);
  const inputs = encoding.inputs.length;
  const byRounds = (name: string, hidden: readonly number[], activation = settings.activation, first = FIRST) =>
    roundsCandidate({ name, hidden, activation, first }, inputs, learning, rows, settings);
  if (settings.hidden !== undefined) return [byRounds("the network", settings.hidden)];
  const { outputs } = learning;
  const wideWeights = (inputs + 1) * WIDE[0] + (WIDE[0] + 1) * WIDE[1] + (WIDE[1] + 1) * outputs;
  const lessWide = rows < FEW_ROWS && rows * wideWeights > MOST_WIDE_PRODUCTS;
  const byFirstOrder = () => [
    byRounds("a narrow network", defaultHidden(rows)),
    byRounds("a wide network", lessWide ? LESS_WIDE : WIDE, "relu", FIRST_WIDE),
  ];
  // Of many rows all are gone through a few times only.
  const some = Math.min(rows, MANY_ROWS);
  const quick = (width: number) => {
    const most = width === 0 ? MOST_FEATURES_WORK : settings.folded ? MOST_WORK : MOST_SINGLE_WORK;
    return workOf(some, outputs, skipWeights(inputs, outputs, width)) <= most;
  };
  const fits = (width: number) => {
    const net = skipNetwork(inputs, outputs, width, settings.seed);
    const { bytes } = estimateMemory(net, { likelihood: learning.likelihood(1), structure: "full", examples: rows });
    return bytes <= settings.memoryBudget;
  };
  // Many inputs leave a linear model and random features to second order, where rows are few.
  const wide = [...WIDTHS, ...(settings.folded ? [0] : [])].find((width) => quick(width) && fits(width));
  const several = severalClasses(learning);
  const mostWork = wide === 0 ? MOST_WORK : MOST_FEATURES_WORK;
  const byFeatures = (kind: Features): Candidate[] =>
    featuresCandidate(kind, inputs, learning, rows, mostWork, settings);
  if (settings.structure === "auto" && wide !== undefined) {
    const bySecondOrder = (name: string, width: number, groups: "layers" | "inputs", varying = false): Candidate => {
      const own = varying ? 2 : outputs;
      const weights = skipWeights(inputs, own, width);
      const { memoryBudget, seed } = settings;
      return {
        name,
        recipe: { by: "evidence", learning, width, groups, varying, memoryBudget, seed },
        seeds: width === 0 ? 1 : SEEDS,
        network: describeSkip(inputs, own, width, weights),
        structureReason: `all correlations of ${weights.toLocaleString("en")} weights`,
      };
    };
    const narrow = Math.min(6, wide);
    const units = (name: string, width: number, groups: "layers" | "inputs", varying = false) =>
      width === 0 ? [] : [bySecondOrder(name, width, groups, varying)];
    if (learning.classes === "counts") {
      const plain = [
        bySecondOrder("a linear model", 0, "layers"),
        ...units(`${narrow} units with relevance`, narrow, "inputs"),
        ...byFeatures(FEATURES_OF_NUMBERS[0]),
      ];
      const dispersed = [
        ...plain,
        ...units(`${narrow} units`, narrow, "layers"),
        ...byFeatures(FEATURES_OF_NUMBERS[1]),
        // Their dispersion is estimated; that of Poisson counts is 0.
        ...(narrow === 0 ? byFirstOrder() : []),
      ];
      return [...plain.map((one) => ofFamily(one, false)), ...dispersed.map((one) => ofFamily(one, true))];
    }
    const numbers = encoding.target.kind === "number";
    const kinds = numbers ? FEATURES_OF_NUMBERS : several ? SEVERAL : FEATURES_OF_CLASSES;
    const varying =
      numbers &&
      rows >= FEWEST_VARYING &&
      (narrow > 0 || workOf(some, outputs, skipWeights(inputs, 2, 0)) <= MOST_WORK);
    return [
      bySecondOrder("a linear model", 0, "layers"),
      ...units(`${narrow} units`, narrow, "layers"),
      ...units(`${narrow} units with relevance`, narrow, "inputs"),
      ...units(`${wide} units with relevance`, wide > narrow ? wide : 0, "inputs"),
      ...(varying ? [bySecondOrder("a linear model with noise by row", 0, "layers", true)] : []),
      ...(varying ? units(`${narrow} units with noise by row`, narrow, "layers", true) : []),
      ...kinds.flatMap(byFeatures),
      // Of many inputs networks are trained by first order.
      ...(narrow === 0 ? byFirstOrder() : []),
    ];
  }
  const features = several && settings.structure === "auto" ? SEVERAL.flatMap(byFeatures) : [];
  return [byRounds("a linear model", []), ...byFirstOrder(), ...features];
}

/** What a step of second order takes, in products, and its factorisation. */
const workOf = (rows: number, outputs: number, weights: number) => rows * outputs * weights ** 2 + 2 * weights ** 3;

/** Random features, as many as there is time for; none where that is too few. */
function featuresCandidate(
  { length, precision, relevance, kernel = false }: Features,
  inputs: number,
  learning: Learning,
  rows: number,
  mostWork: number,
  { memoryBudget, seed, folded, gapped = 0 }: CandidateSettings,
): Candidate[] {
  const { outputs } = learning;
  const several = severalClasses(learning);
  const some = Math.min(rows, MANY_ROWS);
  const most = FEATURES.find((count) => {
    const weights = featuresWeights(inputs, outputs, count);
    if (several) return rows * weights <= MOST_PRODUCT_WORK;
    if (learning.classes === "counts" && count > MOST_FEATURES_OF_COUNTS) return false;
    return workOf(some, outputs, weights) <= mostWork;
  });
  // A relevance takes the features of all rows at once.
  if (most === undefined || ((relevance || kernel) && rows > MANY_ROWS)) return [];
  const centres = learning.classes === 0 ? Math.ceil(MOST_AROUND * rows) : rows;
  const features = Math.min(most, relevance ? MOST_RELEVANT : kernel ? centres : most);
  const predicted = rows + (DRAWS - 1) * gapped;
  const another = several && folded && precision !== KERNEL_OF_CLASSES[0].precision;
  const each = another ? EACH_INPUT_OF_ONE : EACH_INPUT;
  if (kernel && predicted * features * (features + each * inputs) > MOST_KERNEL_WORK) return [];
  const weights = featuresWeights(inputs, outputs, kernel && learning.classes === 0 ? features + 1 : features);
  const prior = precision === undefined ? "" : `, prior ${precision}`;
  const kind = relevance ? "with relevance" : `of length ${length}${prior}`;
  const count = `${kernel ? "at most " : ""}${weights.toLocaleString("en")} weights`;
  return [
    {
      name: kernel ? `a kernel around rows${prior}` : `random features ${kind}`,
      recipe: {
        by: "features",
        learning,
        features,
        length,
        precision,
        relevance,
        ...(kernel && { around: features / rows }),
        memoryBudget,
        seed,
      },
      // Others would be around nearly the same rows.
      seeds: kernel ? 1 : FEATURES_SEEDS,
      network: describeFeatures(inputs, outputs, features, weights, kernel ? "kernel" : relevance ? "cos" : "tanh"),
      structureReason: several
        ? `a factor of features and one of classes, of ${count}`
        : `all correlations of ${count}`,
    },
  ];
}

/** A candidate for counts of a family. */
function ofFamily(candidate: Candidate, dispersed: boolean): Candidate {
  const { name, recipe } = candidate;
  const family = dispersed ? "negative binomial" : "Poisson";
  return {
    ...candidate,
    name: `${name}, ${family}`,
    family,
    recipe: recipe.by === "rounds" ? recipe : { ...recipe, dispersed },
  };
}

function roundsCandidate(
  idea: {
    readonly name: string;
    readonly hidden: readonly number[];
    readonly activation: NetworkSettings["activation"];
    readonly first: number;
  },
  inputs: number,
  learning: Learning,
  rows: number,
  settings: CandidateSettings,
): Candidate {
  const { name, hidden, activation, first } = idea;
  const { memoryBudget, rounds, epochs, seed } = settings;
  const net = networkFor(inputs, learning.outputs, hidden, activation, seed);
  const { structure, reason } = chooseStructure(net, learning, rows, settings);
  return {
    name,
    recipe: { by: "rounds", learning, hidden, activation, structure, memoryBudget, first, rounds, epochs, seed },
    seeds: 1,
    network: describeNetwork(net, hidden, activation),
    structureReason: reason,
  };
}
