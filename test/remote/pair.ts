// A connection within one thread: both ends of a channel.

import { connect, type Remote } from "../../src/index.ts";
import { serve } from "../../src/worker.ts";

/** A remote whose worker is this thread. Messages are cloned and transferred all the same. */
export async function pair(): Promise<Remote> {
  const { port1, port2 } = new MessageChannel();
  serve(port2 as never);
  return connect(port1 as never);
}
