// laplace-ts/graph: networks as graphs, for importers and for primitives of one's own.

export { gatherStrided } from "./array/einsum.ts";
export { bytesPerElement, inMemory } from "./kernels/memory.ts";
export {
  type AttributeReader,
  type AttributeReaders,
  type AttributeSource,
  boolean,
  count,
  finite,
  integers,
  numberThat,
  oneOf,
  pair,
  positive,
  sides,
  text,
} from "./network/attributes.ts";
export {
  applyPrimitive,
  definePrimitive,
  type ElementwiseFunctions,
  elementwiseRules,
} from "./network/define-primitive.ts";
export type { Graph } from "./network/graph.ts";
export type { BufferArray, ElementwiseSite, LinearSite, Parameter, Shape, Site } from "./network/parameters.ts";
export type {
  CotangentPass,
  ForwardPass,
  Node,
  Primitive,
  SecondPass,
  SiteSide,
  SiteUse,
  TangentPass,
  TrainingPass,
} from "./network/primitive.ts";
export { primitives } from "./network/primitives/all.ts";
export { bilinearRules, linearRules, siteRules } from "./network/rules.ts";
export type { Initialiser, ParameterDraft, Trace, Traced } from "./network/trace.ts";
