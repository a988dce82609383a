// A thread that does jobs, one after the other.

import { parentPort } from "node:worker_threads";
import { kernels } from "laplace-ts";
import { outcomeMessage, readJob, type Said } from "./job-messages.ts";
import { doJob } from "./jobs.ts";

// The lanes have a core each: products that were cut for all of them would wait for each other.
kernels.setThreads(1);

const say = (message: Said) => parentPort?.postMessage(message);

parentPort?.on("message", async (message: Parameters<typeof readJob>[0]) => {
  try {
    const outcome = await doJob(readJob(message), (share) => say({ share }));
    say({ outcome: outcomeMessage(outcome) });
  } catch {
    // The thread that asked does it again, and has the error itself.
    say({ failed: true });
  }
});
