// All cores where they pay: what Node's entry brings, and no other.

import { useWhereNoneIsGiven } from "../shards/executor.ts";
import { allCores } from "./workers.ts";

useWhereNoneIsGiven(allCores());
