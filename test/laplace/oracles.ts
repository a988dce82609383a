// The networks and values of the plain-autograd reference (test/fixtures/*.json).

import { readFileSync } from "node:fs";
import {
  array,
  chain,
  conv2d,
  type DType,
  dense,
  flatten,
  maxPool2d,
  type NDArray,
  type Network,
  relu,
  type Task,
  tanh,
} from "../../src/index.ts";

export interface Table {
  readonly shape: number[];
  readonly data: number[];
  /** Of images, whose numbers are whole: what they are multiplied by. */
  readonly scale?: number;
}

export interface Predictive {
  readonly mean: Table;
  readonly fVar: Table;
  readonly predVar?: Table;
  readonly probit?: Table;
  readonly bridge?: Table;
  readonly bridgeNorm?: Table;
  readonly meanField1?: Table;
  readonly meanField2?: Table;
  readonly quadrature?: Table;
}

export interface StructureSection {
  readonly logDetPosterior: number;
  readonly logMarglik: number;
  readonly gradLogPriorPrecision: Table;
  readonly gradLogSigma?: number;
  readonly covariance?: Table;
  readonly variance: Table;
  readonly samples_tril?: Table;
  readonly samples?: Table;
  readonly samples_symmetric?: Table;
  readonly jointCov?: Table;
  readonly damped?: { readonly logDetPosterior: number; readonly fVar: Table; readonly variance: Table };
  readonly predictive: Predictive;
}

export interface Section {
  readonly hyper: {
    readonly priorPrecision: number | number[];
    readonly sigmaNoise: number;
    readonly temperature: number;
    readonly priorMean: number | number[];
  };
  readonly logLikelihood: number;
  readonly scatter: number;
  readonly logDetPrior: number;
  readonly full?: StructureSection;
  readonly diag?: StructureSection;
  readonly kron?: StructureSection;
  readonly eps?: Table;
}

export interface Tuned {
  readonly structure: "full" | "diag" | "kron";
  readonly priorStructure: "scalar" | "layerwise" | "diag";
  readonly steps: number;
  readonly lr: number;
  readonly initPriorPrecision: number;
  readonly sigmaNoise: number;
  readonly tuneSigma: boolean;
  readonly priorPrecision: Table;
  readonly logMarglik: number;
}

export interface Factors {
  readonly layer: number;
  readonly A: Table;
  readonly B: Table;
}

export interface Oracle {
  readonly params: readonly Table[];
  readonly X: Table;
  readonly Y: Table;
  readonly Xtest: Table;
  readonly lossSum: number;
  readonly sumGrad: Table;
  /** The matrices, where they are not too large. */
  readonly ggn?: Table;
  readonly ggnDiag: Table;
  readonly ef?: Table;
  readonly efDiag: Table;
  readonly kfac: { readonly expand: readonly Factors[]; readonly expandEmpirical: readonly Factors[] };
  readonly ekfacEigenvalueStats: readonly { readonly sum: number; readonly max: number }[];
  readonly laplace: readonly Section[];
  readonly laplaceEF: Section;
  readonly hessian?: Table;
  readonly hessianDiag: Table;
  readonly hessianStats: { readonly trace: number; readonly frobenius: number; readonly minEigenvalue: number };
  readonly hessianProbe?: { readonly V: Table; readonly GV: Table };
  readonly laplaceHessian: Section;
  readonly lastLayer: {
    readonly ggn?: Table;
    readonly ggnDiag?: Table;
    readonly kfacA: Table;
    readonly kfacB: Table;
    readonly laplace: readonly Section[];
    readonly optimisePriorPrecision: readonly Tuned[];
  };
  readonly subnetwork?: { readonly indices: number[]; readonly laplace: Section };
  readonly optimisePriorPrecision: readonly Tuned[];
}

export interface OracleCase {
  readonly name: string;
  readonly task: Task;
  readonly layers: () => Network;
}

const models = {
  mlp_2_8_8_3_cls: (dtype: DType) => chain({ inputs: 2, dtype }, dense(8, tanh), dense(8, tanh), dense(3)),
  reg_3_10_2: (dtype: DType) => chain({ inputs: 3, dtype }, dense(10, tanh), dense(2)),
  logreg_2_1_bernoulli: (dtype: DType) => chain({ inputs: 2, dtype }, dense(1)),
  digits_cnn: (dtype: DType) =>
    chain(
      { inputs: [1, 8, 8], dtype },
      conv2d(4, 3, relu, { padding: 1 }),
      maxPool2d(2),
      conv2d(8, 3, relu),
      flatten,
      dense(10),
    ),
};

const tasks = {
  mlp_2_8_8_3_cls: "classification",
  reg_3_10_2: "regression",
  logreg_2_1_bernoulli: "binary",
  digits_cnn: "classification",
} as const;

export type OracleName = keyof typeof models;
export const oracleNames = Object.keys(models) as OracleName[];

export function arrayOf({ shape, data, scale = 1 }: Table): NDArray {
  return array(scale === 1 ? data : data.map((value) => scale * value), { shape });
}

/** An oracle with its network at the fixture's parameters, and its data. */
export function readOracle(name: OracleName, dtype: DType = "float64") {
  const oracle = JSON.parse(readFileSync(`test/fixtures/${name}.json`, "utf8")) as Oracle;
  const net = models[name](dtype);
  net.setParameters(oracle.params.flatMap(({ data }) => data));
  return {
    oracle,
    net,
    task: tasks[name],
    data: { x: arrayOf(oracle.X), y: arrayOf(oracle.Y) },
    test: arrayOf(oracle.Xtest),
  };
}
