// Small work through the public API with reused results, against the least a program could do: filling the result with a
// constant, and loops written for exactly this network.

import {
  batchedOuter,
  chain,
  dense,
  kernelArray,
  mse,
  perSampleGradients,
  randomNormal,
  sigmoid,
} from "../src/index.ts";
import { inProcess, type Way } from "./compare.ts";

/** Ours, and what it is measured against in the same process. */
export interface Pair {
  readonly name: string;
  readonly ours: Way;
  readonly theirs: Way;
}

function outer(batch: number): Pair {
  const g = randomNormal([batch, 97]);
  const kept = kernelArray([batch, 97]);
  kept.data.set(g.data);
  const out = kernelArray([batch, 97, 97]);
  // An array of JavaScript's own: filling shared memory is slower, and would flatter us.
  const data = new Float64Array(out.size);
  return {
    name: `batched outer product float64 97×97×${batch}`,
    ours: inProcess("batchedOuter", () => batchedOuter(kept, { out })),
    theirs: inProcess("filling it with a constant", () => data.fill(0.5)),
  };
}

/** The gradients of a 1-32-1 sigmoid network under the squared error and their outer products, as loops. */
function plainLoops(theta: Float64Array, x: Float64Array, y: Float64Array, g: Float64Array, H: Float64Array): void {
  const s = new Float64Array(32);
  for (let b = 0; b < x.length; b++) {
    let f = theta[96];
    for (let u = 0; u < 32; u++) {
      s[u] = 1 / (1 + Math.exp(-(theta[u] * x[b] + theta[32 + u])));
      f += theta[64 + u] * s[u];
    }
    const d = 2 * (f - y[b]);
    const row = b * 97;
    for (let u = 0; u < 32; u++) {
      const back = d * theta[64 + u] * s[u] * (1 - s[u]);
      g[row + u] = back * x[b];
      g[row + 32 + u] = back;
      g[row + 64 + u] = d * s[u];
    }
    g[row + 96] = d;
    for (let i = 0; i < 97; i++) {
      const gi = g[row + i];
      const to = (row + i) * 97;
      for (let j = 0; j < 97; j++) H[to + j] = gi * g[row + j];
    }
  }
}

function notebook(): Pair {
  const net = chain({ inputs: 1, dtype: "float64" }, dense(32, sigmoid), dense(1));
  const batch = { x: randomNormal([2, 1], { seed: 1 }), y: randomNormal([2, 1], { seed: 2 }) };
  const [g, H] = [kernelArray([2, 97]), kernelArray([2, 97, 97])];
  const [theta, x, y] = [net.parameters, batch.x, batch.y].map(({ data }) => Float64Array.from(data));
  const [plainG, plainH] = [new Float64Array(2 * 97), new Float64Array(2 * 97 * 97)];
  return {
    name: "1-32-1, B = 2: gradients and outer products",
    ours: inProcess("perSampleGradients, batchedOuter", () => {
      perSampleGradients(net, mse, batch, { out: g });
      batchedOuter(g, { out: H });
    }),
    theirs: inProcess("loops for this network", () => plainLoops(theta, x, y, plainG, plainH)),
  };
}

export const pairs: readonly (() => Pair)[] = [() => outer(2), () => outer(128), notebook];
