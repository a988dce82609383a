// What users have of curvatures by themselves, and of products.

export { curvatureOf, curvatureOfAsync } from "./curvature-of.ts";
export type { CurvatureKind, CurvatureOptions, PlaceOptions } from "./plan.ts";
export { type SolverOptions, solver } from "./solver.ts";
