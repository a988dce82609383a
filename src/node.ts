// laplace-ts in Node: the library, whose long calls take all cores, and wide products.

import { widenInTime } from "./kernels/long-products.ts";
import { allCores } from "./remote/workers.ts";
import { useWhereNoneIsGiven } from "./shards/executor.ts";

useWhereNoneIsGiven(allCores());
widenInTime();

export * from "./index.ts";
