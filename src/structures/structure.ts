// What everything else asks of a structure: its row of the table.

import type { ArrayLike, NDArray } from "../array/ndarray.ts";
import type { Data } from "../data/batches.ts";
import type { DType, FloatArray } from "../kernels/memory.ts";
import type { Steps } from "../kernels/steps.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import type { Network } from "../network/network.ts";
import type { LinearSite } from "../network/parameters.ts";
import type { Accumulator, Curvature, Rank, Sharing, Structure } from "./curvature.ts";
import type { Precision, PrecisionOptions } from "./precision.ts";
import type { Prior } from "./prior.ts";
import type { SelectedParameter, Selection } from "./selection.ts";
import type { Solver } from "./solver.ts";

/** What sums are made for. */
export interface SumOptions {
  readonly selection: Selection;
  /** How many columns arrive at once. */
  readonly columns: number;
  /** The type of what arrives. */
  readonly dtype: DType;
  /** That of sums that a small noise would magnify. */
  readonly sumType: DType;
  readonly sharing: Sharing;
  /** The network's parameters. */
  readonly parameters: FloatArray;
}

/** A pass through the data. */
export interface Pass {
  /** Its accumulator for dry runs, whatever came before. */
  dry(options: SumOptions): Accumulator;
  /** In a dry run, makes of what came before what `begin` makes of it. */
  dryBegin?(selection: Selection): void;
  /**
   * What it goes by, made once for all shards of the data.
   * @param before what the pass before gave, or the option `basis`
   * @param rounding of the sums, relative
   */
  prepare?(before: Curvature | undefined, rounding: number): Steps<Curvature>;
  /**
   * Whether what came before is enough, so that this pass and all after it are left out.
   * @param now what the last pass gave @param before what the pass two before that one gave
   */
  done?(now: Curvature | undefined, before: Curvature | undefined): boolean;
  /** What becomes of all its sums, where they are not yet a curvature. */
  after?(total: Curvature): Steps<Curvature>;
  /** Its accumulators. @param prepared what `prepare` gave */
  begin(prepared: Curvature | undefined): (options: SumOptions) => Accumulator;
}

/** A pass that stands alone. */
export function passOf(sums: (options: SumOptions) => Accumulator): Pass {
  return { dry: sums, begin: () => sums };
}

/** What passes depend on. */
export interface PassOptions {
  readonly net: Network;
  readonly selection: Selection;
  readonly basis: Curvature | undefined;
  readonly rank: Rank;
  /** Inputs, [M, ...], in the network's type. */
  readonly points?: NDArray | undefined;
  /** Rows of the Jacobian that are all to be kept; "again": they are too many, and the data may be gone through as often as it takes. */
  readonly rows?: number | "again" | undefined;
}

/** On which lengths of arrays depend, besides the weights. */
export interface Sizes {
  readonly rank: Rank;
  /** M, how many points there are. */
  readonly points: number;
  /** Draws from which variances come, where they do. */
  readonly draws?: number | undefined;
  readonly rows?: PassOptions["rows"];
  /** Whether it is of an exact Hessian. */
  readonly signed?: boolean;
}

/** Those of options. */
export const sizesOf = ({
  rank,
  points,
  drawn,
  solver,
  kind,
  rows,
}: Pick<PassOptions, "rank" | "points" | "rows"> & Own & { readonly kind?: string }): Sizes => ({
  rank,
  rows,
  signed: kind === "hessian",
  points: points?.shape[0] ?? drawn ?? 0,
  draws: solver?.draws,
});

/** Arrays on their way into a file. */
export type Write = (name: string, values: Float64Array, shape: readonly number[]) => void;

/** An array of a file, whose shape must be this. @throws FileError */
export type Read = (name: string, shape: readonly number[]) => Float64Array;

/** The name of a parameter's array. */
export const nameOf = ({ parameter }: SelectedParameter, part: string) => `curvature.${parameter.name}.${part}`;

/** Numbers of a file's document. @throws FileError */
export interface ReadNumbers {
  has(name: string): boolean;
  positives(name: string, length: number): readonly number[];
}

/** Products of a symmetric matrix with vectors, each the caller's own. */
export type Times = (v: Float64Array) => Steps<Float64Array>;

/** Options that one structure has, as they were given. */
export interface OwnOptions {
  readonly points?: ArrayLike | number | undefined;
  readonly solver?: Solver | undefined;
  /** Bytes, of what may be left out. */
  readonly memoryBudget?: number | undefined;
}

/** What of a plan says how many rows it has. */
export interface SizedPlan extends PassOptions {
  readonly seed: number;
  readonly kind: string;
  readonly likelihood: Likelihood;
  readonly samples: number;
}

/** The same after all checks; missing where a structure does not look at them. */
export interface Own {
  /**
   * Keeps the data of a fit, and gives what puts products over them beside its sums.
   * @param plan of the fit @param first the place of the first example in all the data
   */
  readonly keep?: (
    where: string,
    plan: never,
    data: Data,
    first: number,
  ) => (<Sums extends { readonly curvature: Curvature }>(sums: Sums) => Steps<Sums>) | undefined;
  /** In the network's type. */
  readonly points?: NDArray | undefined;
  /** How many points are drawn from the data, and the same with them. */
  readonly drawn?: number | undefined;
  readonly draw?:
    | (<Plan extends SizedPlan>(where: string, plan: Plan, data: Data, adds: boolean) => Steps<Plan>)
    | undefined;
  /** The same plan for so many examples: with what is to be known of their rows. */
  readonly withRows?: (<Plan extends SizedPlan>(plan: Plan, examples: number) => Plan) | undefined;
  readonly solver?: Solver | undefined;
}

/** A structure. Methods are given curvatures of its own. */
export interface Row<C extends Curvature = Curvature> {
  readonly name: Structure;
  /** Options of a fit that it looks at. */
  readonly options: readonly ("sharing" | "basis" | "damping" | "rank" | "points" | "solver")[];
  /** Of those, in which curvatures that add must agree. */
  readonly agree: readonly "sharing"[];
  /** Single weights of a parameter; a prior precision for each weight. */
  readonly takes: { readonly singleWeights: boolean; readonly weightPriors: boolean };
  /** Whether its sums take the columns of a layer's outputs by what they sum to. */
  takesSpread(selection: Selection, site: LinearSite): boolean;
  /** From how many outputs on it does (default: so many that their columns cost much). */
  spreadFrom?(selection: Selection, site: LinearSite): number | undefined;
  /** Whether it has one curvature of all outputs also where each has a noise to be tuned. */
  readonly together?: true;
  /** Reads options that it alone has. @throws OptionError, ShapeError, ValueError */
  readOwn?(where: string, net: Network, given: OwnOptions): Own;
  /** Puts products of the curvature over the data beside its sums: it keeps the data, and is in no file. */
  attach?(curvature: C, times: Times, own: Own & { readonly net: Network }): C;
  /** Whether it takes that curvature as the option `basis` (default: any that has eigenbases). */
  takesBasis?(basis: Curvature): boolean;
  /** A fit's passes through the data, by the options that it looks at. */
  passes(options: PassOptions): readonly Pass[];
  /** Factors P = h H + P₀. @throws NotPositiveDefiniteError */
  precision(curvature: C, h: number, prior: Prior, options: PrecisionOptions): Steps<Precision>;
  /** A curvature of lengths alone, for dry runs. */
  dry(selection: Selection, sizes: Sizes): C;
  /** The arrays that sum over columns; what sums over examples alone is not among them. */
  columnSums(curvature: C): readonly Float64Array[];
  /** The same numbers over a selection's other view and as many examples, or with other sums over columns. */
  lift(curvature: C, selection: Selection, examples: number, sums?: readonly Float64Array[]): C;
  /** What a curvature has beside its numbers until a basis comes of it, and the same with it. */
  finer?(curvature: C): C | undefined;
  withFiner?(curvature: C, finer: C): C;
  /** Writes its arrays, and gives the numbers that go into the document. */
  write(curvature: C, write: Write): Readonly<Record<string, readonly number[]>>;
  /** The names of those numbers. */
  readonly fields: readonly string[];
  /** Reads what `write` wrote. @throws FileError */
  read(selection: Selection, examples: number, read: Read, numbers: ReadNumbers): C;
}
