// What can be called on a worker, in one table: the types of the page's side and both sides' code are made of it.

import type { ArrayLike } from "../array/ndarray.ts";
import type { curvatureOfAsync } from "../curvature/curvature-of.ts";
import type { InProducts, Solution, SolveOptions } from "../curvature/estimates.ts";
import type { CurvatureOperator, curvatureOperatorAsync } from "../curvature/operator.ts";
import type { curvatureProductAsync } from "../curvature/products.ts";
import type { Data } from "../data/batches.ts";
import type { gradientAsync, perSampleGradientNormsAsync, perSampleGradientsAsync } from "../derivatives/gradient.ts";
import type { jacobianAsync, jvpAsync, vjpAsync } from "../derivatives/jacobian.ts";
import type { evaluateAsync } from "../evaluation/evaluate.ts";
import type { epistemicScoreAsync, outOfDistributionAurocAsync, uncertaintyAsync } from "../evaluation/uncertainty.ts";
import type { loadFit, loadPosterior, saveFit, savePosterior } from "../io/posteriors.ts";
import type { loadTableModel, saveTableModel } from "../io/table-model-files.ts";
import type { TableModel } from "../io/table-models.ts";
import type { kernels } from "../kernels/kernels.ts";
import type { estimateMemory } from "../laplace/estimate-memory.ts";
import type { Posterior } from "../laplace/posterior.ts";
import type { LikelihoodKind } from "../likelihood/likelihood.ts";
import type { Network } from "../network/network.ts";
import type { Fit } from "../posterior/fit.ts";
import type { inputGradientsAsync } from "../prediction/input-gradients.ts";
import type { Linearised } from "../prediction/linearised.ts";
import type { rewardsAsync } from "../prediction/rewards.ts";
import type { acquisitionGradientsAsync } from "../search/acquisition.ts";
import type { mostInformativeAsync } from "../search/informative.ts";
import type { thompsonChoiceAsync } from "../search/thompson.ts";
import type { Curvature } from "../structures/curvature.ts";
import type { train } from "../training/train-arriving.ts";

/** Functions, by their names here. */
export interface Functions {
  train: typeof train;
  estimateMemory: typeof estimateMemory;
  evaluate: typeof evaluateAsync;
  uncertainty: typeof uncertaintyAsync;
  epistemicScore: typeof epistemicScoreAsync;
  inputGradients: typeof inputGradientsAsync;
  acquisitionGradients: typeof acquisitionGradientsAsync;
  mostInformative: typeof mostInformativeAsync;
  thompsonChoice: typeof thompsonChoiceAsync;
  rewards: typeof rewardsAsync;
  outOfDistributionAuroc: typeof outOfDistributionAurocAsync;
  gradient: typeof gradientAsync;
  perSampleGradients: typeof perSampleGradientsAsync;
  perSampleGradientNorms: typeof perSampleGradientNormsAsync;
  jacobian: typeof jacobianAsync;
  jvp: typeof jvpAsync;
  vjp: typeof vjpAsync;
  curvatureProduct: typeof curvatureProductAsync;
  curvatureOf: typeof curvatureOfAsync;
  curvatureOperator: typeof curvatureOperatorAsync;
  savePosterior: typeof savePosterior;
  loadPosterior: typeof loadPosterior;
  saveFit: typeof saveFit;
  loadFit: typeof loadFit;
  saveTableModel: typeof saveTableModel;
  loadTableModel: typeof loadTableModel;
  kernelInfo: typeof kernels.info;
}

export const functions = [
  "train",
  "estimateMemory",
  "evaluate",
  "uncertainty",
  "epistemicScore",
  "inputGradients",
  "acquisitionGradients",
  "mostInformative",
  "thompsonChoice",
  "rewards",
  "outOfDistributionAuroc",
  "gradient",
  "perSampleGradients",
  "perSampleGradientNorms",
  "jacobian",
  "jvp",
  "vjp",
  "curvatureProduct",
  "curvatureOf",
  "curvatureOperator",
  "savePosterior",
  "loadPosterior",
  "saveFit",
  "loadFit",
  "saveTableModel",
  "loadTableModel",
  "kernelInfo",
] as const satisfies readonly (keyof Functions)[];

/** What a worker keeps: the methods that a handle of each kind has, and what is known without asking, because it stays as it is. */
export const kinds = {
  network: {
    calls: ["forward", "named", "setParameters", "freeze", "unfreeze", "clone", "summary"],
    facts: ["dtype", "inputShape", "outputShape", "parameterCount"],
  },
  fit: { calls: ["merge", "scale"], facts: ["examples", "loss", "gradientNorms"] },
  curvature: {
    calls: ["diagonal", "dense", "times", "factors", "eigenbases", "merge", "scale"],
    facts: ["structure", "size", "examples"],
  },
  operator: { calls: ["times", "trace", "diagonal", "eigenvalues", "spectrum", "solve"], facts: ["size"] },
  posterior: {
    calls: [
      "with",
      "merge",
      "sandwich",
      "optimizePrior",
      "evidence",
      "logMarginalLikelihood",
      "evidenceGradient",
      "predict",
      "logProbabilities",
      "functionCovariance",
      "functionSamples",
      "diagnose",
      "sample",
      "logProb",
      "variance",
      "covariance",
      "precision",
    ],
    facts: ["structure", "size", "examples", "loss", "temperature", "priorPrecision", "noise", "tuning"],
  },
  tableModel: { calls: ["predict", "probabilityBands"], facts: ["approximation", "farVariance", "notes"] },
  work: { calls: ["do"], facts: [] },
} as const;

/** What the front makes of options and data, in one call each. */
export const laplaceCalls = ["fit", "sum", "posterior"] as const;

/** A kind of what a worker keeps. */
export type Kind = keyof typeof kinds;

/** What `using` calls at the end of a block, in projects whose types know it. */
export type Disposing = SymbolConstructor extends { readonly dispose: infer Dispose extends symbol }
  ? { readonly [Name in Dispose]: () => void }
  : object;

/** What stands for an object that a worker keeps. */
export interface Handle extends Disposing {
  /**
   * Lets the worker forget it. What nobody holds is forgotten too, in time: when the page's garbage is collected. `using` a
   * handle disposes of it at the end of its block, where the runtime has Symbol.dispose.
   */
  dispose(): void;
}

/** How arrays go to a worker. */
export interface TransferOptions {
  /**
   * Whether the memory of the arrays that are given goes over instead of a copy: they are empty afterwards (default false). The
   * arrays of options stay, and so do shared ones and parts of larger ones.
   */
  readonly transfer?: boolean | undefined;
}

/** An argument as the page gives it: a handle for what the worker keeps; options say besides how arrays go over. */
export type Sent<T> = T extends Network
  ? RemoteNetwork
  : T extends Linearised
    ? RemotePosterior
    : T extends Fit
      ? RemoteFit
      : T extends Curvature
        ? RemoteCurvature
        : T extends TableModel
          ? RemoteTableModel
          : T extends Data | ArrayLike | ArrayBuffer | string | ((...args: never[]) => unknown) | readonly unknown[]
            ? T
            : T extends object
              ? T & TransferOptions
              : T;

/** A result as the page gets it: a handle for what the worker keeps. */
export type Received<T> = T extends Network
  ? RemoteNetwork
  : T extends Posterior<infer Kind>
    ? RemotePosterior<Kind>
    : T extends Fit
      ? RemoteFit
      : T extends Curvature
        ? RemoteCurvature
        : T extends CurvatureOperator
          ? RemoteOperator
          : T extends TableModel
            ? RemoteTableModel
            : T;

/** A function as the page calls it on a worker: the same arguments, and a promise of the same result. */
export type OnWorker<F> = F extends (...args: infer A) => infer R
  ? (...args: { [I in keyof A]: Sent<A[I]> }) => Promise<Received<Awaited<R>>>
  : never;

type Facts<T, K extends Kind> = Pick<T, (typeof kinds)[K]["facts"][number] & keyof T>;
/** A method in the form that runs in bursts, with a signal and progress, where there is one. */
type Method<T, Name extends keyof T & string> = `${Name}Async` extends infer Async extends keyof T ? T[Async] : T[Name];
type Calls<T, K extends Kind> = {
  readonly [Name in (typeof kinds)[K]["calls"][number] & keyof T & string]: OnWorker<Method<T, Name>>;
};

/** A network that a worker keeps. `send` of a `Remote` makes it, `receive` makes a network of the page of it. */
export interface RemoteNetwork extends Handle, Facts<Network, "network">, Calls<Network, "network"> {}

/** A fit that a worker keeps. */
export interface RemoteFit extends Handle, Facts<Fit, "fit">, Calls<Fit, "fit"> {}

/** A curvature that a worker keeps. */
export interface RemoteCurvature extends Handle, Facts<Curvature, "curvature">, Calls<Curvature, "curvature"> {}

/** A curvature by its products that a worker keeps, with its data. */
export interface RemoteOperator
  extends Handle,
    Facts<CurvatureOperator, "operator">,
    Omit<Calls<CurvatureOperator, "operator">, "solve"> {
  /** `solve`, with a preconditioner that the worker keeps. */
  solve(
    b: ArrayLike,
    options?: InProducts<Omit<SolveOptions, "preconditioner">> &
      TransferOptions & { readonly preconditioner?: RemoteCurvature | undefined },
  ): Promise<Solution>;
}

/** A posterior that a worker keeps. */
export interface RemotePosterior<Kind extends LikelihoodKind = LikelihoodKind>
  extends Handle,
    Facts<Posterior<Kind>, "posterior">,
    Calls<Posterior<Kind>, "posterior"> {}

/** A model of a table that a worker keeps. */
export interface RemoteTableModel extends Handle, Facts<TableModel, "tableModel">, Calls<TableModel, "tableModel"> {}
