// laplace-ts-cluster: the public surface, all of it.

export { StoreError, type StoreProblem } from "./errors.ts";
export { folderStore } from "./store/folder.ts";
export { openStore, type StoreAddress } from "./store/open.ts";
export type { Store, StoredObject } from "./store/store.ts";
