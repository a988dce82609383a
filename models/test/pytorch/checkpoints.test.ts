// Checkpoints with the names of torchvision's ResNet-18 and ViT and of a BERT classifier of transformers (checkpoints.py), into
// networks of the library's own layers: outputs are PyTorch's.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { array, type DType, loadWeights, type Network, readSafetensors } from "laplace-ts";
import { matchWeights } from "laplace-ts-models";
import { describe, expect, test } from "vitest";
import { bert, gpt2, lstms, resnet18, vit } from "../checkpoints.ts";

interface Plain {
  readonly shape: number[];
  readonly data: number[];
}

const folder = "build/checkpoints";
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
execFileSync("/usr/bin/python3", ["-W", "ignore", "models/test/pytorch/checkpoints.py", folder], {
  stdio: ["ignore", "ignore", "inherit"],
});

const networks: Record<string, (dtype: DType, padded?: boolean) => Network> = {
  resnet18: (dtype) => resnet18({ width: 4, classes: 3, side: 33, dtype }),
  bert: (dtype, padded = false) =>
    bert({ padded, vocabulary: 11, length: 6, width: 8, heads: 2, inner: 16, layers: 3, classes: 3, dtype }),
  vit: (dtype) => vit({ width: 8, heads: 2, inner: 12, layers: 2, classes: 3, dtype }),
  gpt2: (dtype) => gpt2({ vocabulary: 11, length: 6, width: 8, heads: 2, layers: 2, dtype }),
  lstm: (dtype) => lstms({ inputs: 5, units: 5, layers: 2, dtype }),
};

describe.each(Object.keys(networks))("%s", (name) => {
  const { x, y, masked, names }: { x: Plain; y: Plain; masked?: Plain; names: string[] } = JSON.parse(
    readFileSync(`${folder}/${name}.json`, "utf8"),
  );
  const file = readFileSync(`${folder}/${name}.safetensors`);
  const options = name === "gpt2" ? { transposed: ["c_attn.weight", "c_proj.weight", "c_fc.weight"] } : {};

  test.each([
    ["float64", 1e-10],
    ["float32", 1e-5],
  ] as const)("outputs in %s are PyTorch's", (dtype, tolerance) => {
    const net = networks[name](dtype);
    const match = matchWeights(net, file, options);
    loadWeights(net, match.weights);
    const found = net.forward(array(x.data, { shape: x.shape, dtype })).data;
    expect(found.length).toBe(y.data.length);
    const scale = Math.max(...y.data.map(Math.abs));
    expect(Math.max(...y.data.map((value, i) => Math.abs(found[i] - value)))).toBeLessThanOrEqual(tolerance * scale);
    if (masked !== undefined) {
      const padded = networks[name](dtype, true);
      loadWeights(padded, matchWeights(padded, file).weights);
      const own = padded.forward(array(x.data, { shape: x.shape, dtype })).data;
      expect(Math.max(...masked.data.map((value, i) => Math.abs(own[i] - value)))).toBeLessThanOrEqual(
        tolerance * scale,
      );
    }
    // Each tensor has a partner, or is said to have none.
    expect([...match.rows.flatMap(({ from }) => from), ...match.passedOver].sort()).toEqual([...names].sort());
    expect(match.rows.map(({ to }) => to).sort()).toEqual(
      [...net.parameterTable, ...net.bufferTable].map((array) => array.name).sort(),
    );
    for (const tensor of match.rows.flatMap(({ from }) => from)) expect(match.table).toContain(tensor);
    // The order of tensors has no part in it.
    const { tensors } = readSafetensors(file);
    const reversed = Object.fromEntries(Object.entries(tensors).reverse());
    expect(matchWeights(net, reversed, options).rows).toEqual(match.rows);
  });
});
