// Weights by name: PyTorch's names and shapes are ours.

import { describe, expect, test } from "vitest";
import {
  array,
  chain,
  dense,
  FileError,
  loadWeights,
  type NDArray,
  OptionError,
  relu,
  ValueError,
  WeightsError,
  writeSafetensors,
  zeros,
} from "../../src/index.ts";

const make = () => chain({ inputs: 2, dtype: "float32" }, dense(3, relu), dense(1, undefined, { name: "head" }));
const weights = (): Record<string, NDArray> => ({
  "0.weight": array([1, 2, 3, 4, 5, 6], { shape: [3, 2] }),
  "0.bias": array([7, 8, 9]),
  "head.weight": array([[10, 11, 12]]),
  "head.bias": array([13], { dtype: "float32" }),
});
const all = Array.from({ length: 13 }, (_, i) => i + 1);

/** The error, and that the network is as it was. */
function refused(weights: Parameters<typeof loadWeights>[1], options?: Parameters<typeof loadWeights>[2]): unknown {
  const net = make();
  const before = net.parameters.data.slice();
  let thrown: unknown;
  try {
    loadWeights(net, weights, options);
  } catch (error) {
    thrown = error;
  }
  expect(net.parameters.data).toEqual(before);
  return thrown;
}

describe("loadWeights", () => {
  test("takes arrays and files, by name", () => {
    const names = ["0.weight", "0.bias", "head.weight", "head.bias"];
    for (const source of [weights(), writeSafetensors(weights()), writeSafetensors(weights()).buffer]) {
      const net = make();
      const result = loadWeights(net, source);
      expect(result).toEqual({ loaded: names, missing: [], unexpected: [], mismatched: [] });
      expect(Array.from(net.parameters.data)).toEqual(all);
    }
  });

  test("takes what the network itself names, frozen parameters too", () => {
    const [from, to] = [make(), make().freeze("0")];
    from.setParameters(all);
    loadWeights(to, writeSafetensors(from.named()));
    expect(to.parameters.data).toEqual(from.parameters.data);
  });

  test("takes off a prefix, passes over what does not have it, and renames", () => {
    const theirs = {
      "model.features.0.weight": weights()["0.weight"],
      "model.features.0.bias": weights()["0.bias"],
      "model.classifier.weight": weights()["head.weight"],
      "model.classifier.bias": weights()["head.bias"],
      "model.tracked": array(5),
      "optimizer.step": array(1),
    };
    const net = make();
    const rename = (name: string) =>
      name === "tracked" ? undefined : name.replace("features.", "").replace("classifier", "head");
    const { loaded } = loadWeights(net, theirs, { prefix: "model.", rename });
    expect(loaded.length).toBe(4);
    expect(Array.from(net.parameters.data)).toEqual(all);
    expect(refused(theirs, { rename: () => "0.weight" })).toBeInstanceOf(OptionError);
  });

  test("lists all that does not match, and changes nothing", () => {
    const { "0.bias": _, ...some } = weights();
    const theirs = { ...some, "0.weight": some["0.weight"].reshape(2, 3), "2.bias": zeros([1]), "x\n": zeros([]) };
    const error = refused(theirs);
    if (!(error instanceof WeightsError)) throw error;
    expect(error.missing).toEqual(["0.bias"]);
    expect(error.unexpected).toEqual(["2.bias", "x\n"]);
    expect(error.mismatched).toEqual([{ name: "0.weight", expected: [3, 2], found: [2, 3] }]);
    expect(error.message).toBe(
      'loadWeights: the weights do not fit the network. Missing: "0.bias". Unexpected: "2.bias", "x\\n". "0.weight" has the shape [3, 2], its array [2, 3] (a weight is [outputs, inputs]; this looks like its transpose). (strict: false loads what fits.)',
    );
    const net = make();
    const before = net.parameters.clone();
    const result = loadWeights(net, theirs, { strict: false });
    expect(result).toEqual({
      loaded: ["head.weight", "head.bias"],
      missing: error.missing,
      unexpected: error.unexpected,
      mismatched: error.mismatched,
    });
    expect(net.parameters.data.slice(0, 9)).toEqual(before.data.slice(0, 9));
    expect(Array.from(net.parameters.data.slice(9))).toEqual(all.slice(9));
  });

  test("refuses a vector where a matrix of one row is expected", () => {
    const error = refused({ ...weights(), "head.weight": array([10, 11, 12]) });
    expect((error as WeightsError).mismatched).toEqual([{ name: "head.weight", expected: [1, 3], found: [3] }]);
  });

  test("refuses numbers that are not finite, here or in the network's type", () => {
    for (const strict of [true, false]) {
      for (const wrong of [Number.NaN, Number.NEGATIVE_INFINITY, 1e300]) {
        expect(refused({ ...weights(), "head.bias": array([wrong]) }, { strict })).toBeInstanceOf(ValueError);
      }
    }
  });

  test("refuses other files, unknown options, and values that are not arrays", () => {
    expect(refused(new Uint8Array(9))).toBeInstanceOf(FileError);
    expect(refused("model.safetensors" as never)).toBeInstanceOf(OptionError);
    expect(refused(null as never)).toBeInstanceOf(OptionError);
    expect(refused({ "0.weight": [1] as never })).toBeInstanceOf(OptionError);
    expect(refused(weights(), { stric: false } as never)).toBeInstanceOf(OptionError);
    expect(refused(weights(), { strict: 1 as never })).toBeInstanceOf(OptionError);
    expect(refused(weights(), { prefix: 1 as never })).toBeInstanceOf(OptionError);
    expect(refused(weights(), { rename: "x" as never })).toBeInstanceOf(OptionError);
  });

  test("does not mistake what every object has for an array", () => {
    const net = chain({ inputs: 1 }, dense(1, undefined, { name: "constructor", bias: false }));
    expect(() => loadWeights(net, {})).toThrow('Missing: "constructor.weight"');
  });
});
