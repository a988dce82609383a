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
import type { Case } from "./case.ts";
import { inProcess } from "./compare.ts";

const dtype = "float64";

function outer(batch: number): Case {
  const g = randomNormal([batch, 97]);
  const kept = kernelArray([batch, 97]);
  kept.data.set(g.data);
  const out = kernelArray([batch, 97, 97]);
  // An array of JavaScript's own: filling shared memory is slower, and would flatter us.
  const data = new Float64Array(out.size);
  return {
    name: `batched outer product float64 97×97×${batch}`,
    job: { setup: "outer", dtype, sizes: [batch, 97] },
    inputs: [Float64Array.from(g.data)],
    ours: inProcess("batchedOuter", () => batchedOuter(kept, { out })),
    rival: inProcess("filling it with a constant", () => data.fill(0.5)),
    result: () => Float64Array.from(out.data),
    compared: "all",
  };
}

/** The gradients of a 1-32-1 sigmoid network under the squared error as loops, and their outer products if wanted. */
function plainLoops(theta: Float64Array, x: Float64Array, y: Float64Array, g: Float64Array, H?: Float64Array): void {
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
    for (let i = 0; H !== undefined && i < 97; i++) {
      const gi = g[row + i];
      const to = (row + i) * 97;
      for (let j = 0; j < 97; j++) H[to + j] = gi * g[row + j];
    }
  }
}

/** The network of the main job, on so many examples. */
function notebook(batchSize: number, withOuter: boolean): Case {
  const net = chain({ inputs: 1, dtype }, dense(32, sigmoid), dense(1));
  const batch = { x: randomNormal([batchSize, 1], { seed: 1 }), y: randomNormal([batchSize, 1], { seed: 2 }) };
  const [g, H] = [kernelArray([batchSize, 97]), kernelArray([batchSize, 97, 97])];
  const [theta, x, y] = [net.parameters, batch.x, batch.y].map(({ data }) => Float64Array.from(data));
  const plainG = new Float64Array(batchSize * 97);
  const plainH = withOuter ? new Float64Array(batchSize * 97 * 97) : undefined;
  return {
    name: `1-32-1, B = ${batchSize}: gradients${withOuter ? " and outer products" : " of every sample"}`,
    job: { setup: withOuter ? "gradients and outer" : "gradients", dtype, sizes: [batchSize] },
    inputs: [theta, x, y],
    ours: inProcess("perSampleGradients", () => {
      perSampleGradients(net, mse, batch, { out: g });
      if (withOuter) batchedOuter(g, { out: H });
    }),
    rival: inProcess("loops for this network", () => plainLoops(theta, x, y, plainG, plainH)),
    result: () => Float64Array.from((withOuter ? H : g).data),
    compared: "all",
  };
}

/** Beside plain JavaScript: loops for exactly this job; for outer products, filling the result with a constant. */
export const cases: readonly (() => Case)[] = [
  () => outer(2),
  () => outer(128),
  () => notebook(2, false),
  () => notebook(128, false),
  () => notebook(2, true),
];
