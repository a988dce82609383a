import { expect, test } from "vitest";
import { add, chain, dense, fourierFeatures, network, randomNormal } from "../../../src/index.ts";

const dtype = "float64";
const x = randomNormal([4, 3], { seed: 2 });

test("frequencies and phases are frozen, and drawn under a seed of their own", () => {
  const of = (seed: number, own: number) =>
    chain({ inputs: 3, seed, dtype }, fourierFeatures({ features: 50, relevance: true, seed: own }), dense(1));
  const net = of(1, 7);
  expect([...net.frozen].sort()).toEqual(["0.frequencies.bias", "0.frequencies.weight"]);
  expect(net.parameterTable.map(({ name }) => name)).toEqual([
    "0.relevance.scale",
    "0.frequencies.weight",
    "0.frequencies.bias",
    "1.weight",
    "1.bias",
  ]);
  const frequencies = (one: typeof net) => Array.from(one.named()["0.frequencies.weight"].data);
  expect(frequencies(of(2, 7))).toEqual(frequencies(net));
  expect(frequencies(of(1, 8))).not.toEqual(frequencies(net));
  expect(Array.from(net.named()["0.relevance.scale"].data)).toEqual([1, 1, 1]);
  // A layer that makes two networks draws the same for both.
  const layer = fourierFeatures({ features: 4, seed: 3 });
  const [one, two] = [1, 2].map((seed) => chain({ inputs: 3, seed, dtype }, layer, dense(1)));
  expect(frequencies(one)).toEqual(frequencies(two));
});

test("products of features approach the kernel of the Gaussian process", () => {
  const features = 20_000;
  const lengthScale = 0.7;
  const net = network({ inputs: 3, seed: 1, dtype }, (z) => add(fourierFeatures({ features, lengthScale })(z), 0));
  const rows = net.forward(x);
  for (let i = 0; i < 4; i++) {
    for (let j = 0; j <= i; j++) {
      let [product, distance] = [0, 0];
      for (let k = 0; k < features; k++) product += rows.data[i * features + k] * rows.data[j * features + k];
      for (let k = 0; k < 3; k++) distance += (x.data[3 * i + k] - x.data[3 * j + k]) ** 2;
      const kernel = Math.exp(-distance / (2 * lengthScale ** 2 * 3));
      // The deviation of the mean of so many products is at most 1 / √M.
      expect(Math.abs(product - kernel)).toBeLessThan(5 / Math.sqrt(features));
    }
  }
});

test("options that are not its own are refused", () => {
  expect(() => fourierFeatures({ features: 0 })).toThrow(/features/);
  expect(() => fourierFeatures({ features: 3, lengthScale: 0 })).toThrow(/lengthScale/);
  expect(() => fourierFeatures(300 as never)).toThrow("expected options, such as { features: 300 }, not number");
});
