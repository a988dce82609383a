// Two blocks of a causal transformer (Vaswani et al. 2017, arXiv:1706.03762) over 64 of 1000 tokens.

import {
  add,
  categorical,
  crossEntropy,
  dense,
  embedding,
  gelu,
  layerNorm,
  multiHeadAttention,
  NDArray,
  network,
  positionalEmbedding,
  Random,
  residual,
} from "../src/index.ts";
import { classifier } from "./classifier.ts";
import { heading, measure, type Setting } from "./units.ts";

const [TOKENS, LENGTH, WIDTH] = [1000, 64, 128];

/** Measures, prints, and gives what was measured. */
export async function runTransformer(setting: Setting): Promise<object[]> {
  const results: object[] = [];
  console.log(heading(setting.suite));
  const net = network({ inputs: LENGTH }, (tokens) => {
    let x = positionalEmbedding()(embedding(TOKENS, WIDTH)(tokens));
    for (let block = 0; block < 2; block++) {
      x = add(x, multiHeadAttention(4, { causal: true })(layerNorm()(x)));
      x = residual(layerNorm(), dense(4 * WIDTH, gelu), dense(WIDTH))(x);
    }
    return dense(TOKENS)(layerNorm()(x));
  });
  const random = new Random(1);
  const texts = (count: number) =>
    new NDArray(
      Float32Array.from({ length: count * LENGTH }, () => Math.floor(random.uniform() * TOKENS)),
      [count, LENGTH],
    );
  const cases = classifier({
    name: "transformer",
    net,
    samples: 128,
    batch: 8,
    data: { x: texts(128), y: texts(128), points: texts(4) },
    loss: crossEntropy.with({ classAxis: "last" }),
    likelihood: categorical({ classAxis: "last" }),
    targets: {},
    fits: [
      [
        "last layer, Kronecker fit, Monte Carlo",
        undefined,
        { structure: "kronecker", weights: "lastLayer", curvature: "monteCarlo" },
        "kronecker lastLayer monteCarlo",
      ],
    ],
    predictions: [],
  });
  for await (const item of cases(setting.torch)) results.push(...(await measure(item, true, setting)));
  console.log();
  return results;
}
