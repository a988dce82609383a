// A thread that predicts rows, batch by batch.

import { parentPort, workerData } from "node:worker_threads";
import { kernels, loadTableModel } from "laplace-ts";
import { predictRows, type RowsJob, type Written } from "./predict-rows.ts";

kernels.setThreads(1);
const { bytes, written } = workerData as { readonly bytes: Uint8Array; readonly written: Written };
const model = loadTableModel(bytes);

parentPort?.on("message", (job: RowsJob) => {
  try {
    parentPort?.postMessage(predictRows(model, written, job));
  } catch {
    // The thread that asked does it again, and has the error itself.
    parentPort?.postMessage(undefined);
  }
});
