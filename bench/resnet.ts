// A ResNet-20 (He et al. 2016, arXiv:1512.03385) on images of 32×32 in three colours.

import {
  add,
  batchNorm,
  conv2d,
  crossEntropy,
  dense,
  globalAveragePool,
  NDArray,
  type Network,
  network,
  randomNormal,
  relu,
  sgd,
  train,
} from "../src/index.ts";
import { classifier } from "./classifier.ts";
import { heading, measure, type Setting } from "./units.ts";

const convolution = (outputs: number, size: number, stride: number) =>
  conv2d(outputs, size, undefined, { stride, padding: size >> 1, bias: false });

function resnet(): Network {
  return network({ inputs: [3, 32, 32] }, (x) => {
    let h = relu(batchNorm()(convolution(16, 3, 1)(x)));
    let inputs = 16;
    for (const [outputs, first] of [
      [16, 1],
      [32, 2],
      [64, 2],
    ]) {
      for (const stride of [first, 1, 1]) {
        const way = batchNorm()(convolution(outputs, 3, 1)(relu(batchNorm()(convolution(outputs, 3, stride)(h)))));
        const same = stride === 1 && inputs === outputs;
        h = relu(add(way, same ? h : batchNorm()(convolution(outputs, 1, stride)(h))));
        inputs = outputs;
      }
    }
    return dense(10)(globalAveragePool(h));
  });
}

/** Measures, prints, and gives what was measured. */
export async function runResnet(setting: Setting): Promise<object[]> {
  const results: object[] = [];
  console.log(heading(setting.suite));
  const net = resnet();
  // Its statistics are those of such inputs.
  const seen = {
    x: randomNormal([64, 3, 32, 32], { seed: 4, dtype: "float32" }),
    y: new NDArray(new Float32Array(64), [64]),
  };
  await train(net, seen, { loss: crossEntropy, optimizer: sgd({ learningRate: 1e-9 }), epochs: 20, batchSize: 64 });
  const parameters = net.parameterTable.map(({ name }) => name).filter((name) => /weight|bias/.test(name));
  const weights = { parameters };
  const cases = classifier({
    name: "ResNet-20",
    net,
    samples: 256,
    batch: 64,
    targets: { gradient: 1.2 },
    fits: [
      ["last layer, full GGN fit", 0.5, { structure: "full", weights: "lastLayer" }, "full lastLayer"],
      [
        "Kronecker fit, Monte Carlo",
        undefined,
        { structure: "kronecker", weights, curvature: "monteCarlo" },
        "kronecker monteCarlo",
      ],
      ["Kronecker GGN fit", 8, { structure: "kronecker", weights }, "kronecker"],
      ["diagonal GGN fit, convolutions and dense", undefined, { structure: "diagonal", weights }, "diagonal"],
    ],
    predictions: [
      ["last layer, full", undefined, { structure: "full", weights: "lastLayer" }, "full lastLayer predict"],
    ],
  });
  for await (const item of cases(setting.torch)) results.push(...(await measure(item, true, setting)));
  console.log();
  return results;
}
