// What users have of curvatures by themselves, and of products.

export { curvatureOf, curvatureOfAsync } from "./curvature-of.ts";
export type {
  EigenOptions,
  Eigenpairs,
  Estimate,
  InProducts,
  ProductsReport,
  RandomVectorsOptions,
  Solution,
  SolveOptions,
  Spectrum,
  SpectrumOptions,
  TraceOptions,
} from "./estimates.ts";
export { type CurvatureOperator, curvatureOperator, curvatureOperatorAsync } from "./operator.ts";
export type { CurvatureKind, CurvatureOptions, PlaceOptions } from "./plan.ts";
export { type SolverOptions, solver } from "./solver.ts";
