// What a worker's process imports, so that it does jobs of the fits of tables.

import { defineTask } from "laplace-ts-cluster";
import { tableJobs } from "./stored-jobs.ts";

defineTask(tableJobs);
