// A thread that does jobs, one after the other.

import { parentPort } from "node:worker_threads";
import { outcomeMessage, readJob, type Said } from "./job-messages.ts";
import { doJob } from "./jobs.ts";

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
