// laplace-ts-cluster: the public surface, all of it.

export { type Cluster, type ClusterOptions, cluster } from "./cluster.ts";
export { CheckedObject, digestsOfObjects, readIdentity } from "./data/blocks.ts";
export { type InStoreOptions, inStore } from "./data/in-store.ts";
export { bytesOfObject, identityOfObject, type ObjectIdentity } from "./data/objects.ts";
export { defineReader, type Index, indexed, type NewIndex, type Reader } from "./data/reading.ts";
export { ShardError, StoreError, type StoreProblem } from "./errors.ts";
export { type Swept, sweep } from "./fits/sweep.ts";
export { type PartOptions, part, UnfinishedError } from "./parts.ts";
export { type ClusterNow, type FitNow, Watch } from "./queue/watching.ts";
export { folderStore } from "./store/folder.ts";
export { openStore, type StoreAddress } from "./store/open.ts";
export { type S3Options, s3Store } from "./store/s3.ts";
export type { Store, StoredObject } from "./store/store.ts";
export { defineTask, type OpenedWork, type StoredTask } from "./tasks.ts";
export type { WorkerEvent } from "./worker/events.ts";
export type { MetricsAddress } from "./worker/metrics.ts";
export { type WorkOptions, work } from "./worker/worker.ts";
