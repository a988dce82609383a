// What a worker's process imports, so that it does jobs of the fits of tables, and reads tables where they lie.

import { defineReader, defineTask } from "laplace-ts-cluster";
import { tableJobs } from "../fitting/stored-jobs.ts";
import { countsTask } from "./counts-task.ts";
import { marksTask, READER, rowsTask, tableReader } from "./in-place-tasks.ts";

defineTask(tableJobs);
defineTask(marksTask);
defineTask(countsTask);
defineTask(rowsTask);
defineReader(READER, tableReader);
