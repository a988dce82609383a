// laplace-ts in Node: the library, whose long calls take all cores.

import { allCores } from "./remote/workers.ts";
import { useWhereNoneIsGiven } from "./shards/executor.ts";

useWhereNoneIsGiven(allCores());

export * from "./index.ts";
