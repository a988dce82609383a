// What the tests of workers share: a connection within one thread, both ends of a channel, and a likelihood.

import { connect, type NumberLikelihood, type Remote, type WorkerLike } from "../../src/index.ts";
import { serve } from "../../src/worker.ts";

/** A worker that is this thread: messages are cloned and transferred all the same. */
export function within(): WorkerLike {
  const { port1, port2 } = new MessageChannel();
  serve(port2 as never);
  return port1 as never;
}

/** A remote whose worker is this thread. */
export const pair = (): Promise<Remote> => connect(within());

/** A Gaussian of a known deviation, as a likelihood of one's own. */
export const scaledNormal = ({ scale }: { scale: number }): NumberLikelihood => ({
  loss: (f, y) => (f - y) ** 2 / (2 * scale ** 2),
  gradient: (f, y) => (f - y) / scale ** 2,
  information: () => scale ** -2,
  mean: (f) => f,
  variance: () => scale ** 2,
  constant: () => Math.log(scale * Math.sqrt(2 * Math.PI)),
  draw: (f, random) => f + scale * random.normal(),
});
