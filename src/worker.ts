// laplace-ts/worker: the file of a worker. Where it is imported in one, it answers the page's `connect`; a worker file of one's
// own imports it too, beside the definitions of one's own likelihoods and primitives.

import { type ServedPort, serve } from "./remote/serve.ts";

export { type ServedPort, serve } from "./remote/serve.ts";

interface NodeProcess {
  getBuiltinModule?(name: string): { readonly parentPort: ServedPort | null } | undefined;
}

/** Where messages to this worker arrive; undefined in a page, or in Node's first thread. */
function ownPort(): ServedPort | undefined {
  if ("WorkerGlobalScope" in globalThis) return globalThis as unknown as ServedPort;
  const { process } = globalThis as { readonly process?: NodeProcess };
  return process?.getBuiltinModule?.("node:worker_threads")?.parentPort ?? undefined;
}

const port = ownPort();
if (port !== undefined) serve(port);
