// What users meet of this folder.

export type {
  AcquisitionGradients,
  AcquisitionOptions,
  BoundOptions,
  ImprovementOptions,
} from "./acquisition.ts";
export {
  acquisitionGradients,
  acquisitionGradientsAsync,
  expectedImprovement,
  upperConfidenceBound,
} from "./acquisition.ts";
export { type Chosen, type InformativeOptions, mostInformative, mostInformativeAsync } from "./informative.ts";
export { type ThompsonOptions, thompsonChoice, thompsonChoiceAsync } from "./thompson.ts";
