// laplace-ts/executor: what executors of one's own need, which have shards done beyond this process: their work as files.

export { farData } from "./curvature/far.ts";
export {
  addCountedTables,
  type CountedColumn,
  type CountedTable,
  columnsOfCounts,
  countTable,
} from "./data/counted.ts";
export type { FarData, FarRows, RowsElsewhere } from "./data/far-data.ts";
export { addNumberEvidence, formatByEvidence, type NumberEvidence, numberEvidence } from "./data/number-format.ts";
export type { Safetensors } from "./io/safetensors.ts";
export { version } from "./io/version.ts";
export type { BurstOptions, ExamplesReport, Steps, StopSignal } from "./kernels/steps.ts";
export { inBursts, waitedFor } from "./kernels/steps.ts";
export { contentsOf, valueFrom } from "./remote/contents.ts";
export { errorMessage, errorOf } from "./remote/errors.ts";
export {
  type DoOptions,
  type GetFile,
  type PutFile,
  readResult,
  StoredWork,
  type WrittenJob,
  writeJob,
  writeWork,
} from "./remote/stored.ts";
export type { Executor, Shards, ShardTask } from "./shards/executor.ts";
export { Tree } from "./shards/tree.ts";
