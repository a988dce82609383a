// A convolutional network of the size of LeNet-5 (LeCun et al. 1998) on images of 28×28.

import { chain, conv2d, dense, flatten, maxPool2d, type Network, relu } from "../src/index.ts";
import { classifier } from "./classifier.ts";
import { heading, measure, type Setting } from "./units.ts";

/** The network. */
export const lenet = (seed?: number): Network =>
  chain(
    { inputs: [1, 28, 28], seed },
    conv2d(6, 5, relu, { padding: 2 }),
    maxPool2d(2),
    conv2d(16, 5, relu),
    maxPool2d(2),
    flatten,
    dense(120, relu),
    dense(84, relu),
    dense(10),
  );

/** Measures, prints, and gives what was measured. */
export async function runLenet(setting: Setting): Promise<object[]> {
  const results: object[] = [];
  console.log(heading(setting.suite));
  const net = lenet();
  const cases = classifier({
    name: "LeNet",
    net,
    samples: 512,
    targets: { gradient: 1.1, perSample: 3, norms: 2, epoch: 2.3 },
    fits: [
      ["diagonal GGN fit", 5, { structure: "diagonal" }, "diagonal"],
      ["Kronecker GGN fit, expand", 5, { structure: "kronecker" }, "kronecker"],
      [
        "Kronecker fit, Monte Carlo",
        undefined,
        { structure: "kronecker", curvature: "monteCarlo" },
        "kronecker monteCarlo",
      ],
      ["last layer, full GGN fit", 2, { structure: "full", weights: "lastLayer" }, "full lastLayer"],
    ],
    evidences: [["Kronecker GGN fit", undefined, { structure: "kronecker" }, "kronecker evidence"]],
    tunings: [["Kronecker", undefined, { structure: "kronecker" }, "kronecker tune"]],
    predictions: [
      ["all weights, Kronecker", 4, { structure: "kronecker" }],
      ["last layer, full", undefined, { structure: "full", weights: "lastLayer" }, "full lastLayer predict"],
    ],
  });
  for await (const item of cases(setting.torch)) results.push(...(await measure(item, true, setting)));
  console.log();
  return results;
}
