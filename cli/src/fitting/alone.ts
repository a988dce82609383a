// Who does the shards of a job's fit: its own thread, because other jobs have the other cores.

import { workers } from "laplace-ts";

export const alone = workers({ count: 1 });
