// Networks as JSON: what comes back computes the same, and every primitive there is can go there.

import { readdirSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { batchNorm, chain, dropout, FileError, flatten, jacobian, layerNorm, type Network } from "../../src/index.ts";
import { Fields } from "../../src/io/fields.ts";
import { parseJson } from "../../src/io/json.ts";
import { networkFields, networkJson, primitiveOf, readNetwork } from "../../src/io/networks.ts";
import { Network as MadeNetwork } from "../../src/network/network.ts";
import type { Primitive } from "../../src/network/primitive.ts";
import { primitives } from "../../src/network/primitives/all.ts";
import { drawCase } from "../reference/draw.ts";
import { everything } from "./fits.ts";

function throughText(net: Network): Network {
  const json = parseJson("test", JSON.stringify(networkJson(net)), { depth: 8, integers: false });
  const { graph, dtype, frozen } = readNetwork(
    new Fields("test", json, networkFields),
    net.parameterCount,
    primitiveOf,
  );
  expect(dtype).toBe(net.dtype);
  return new MadeNetwork(graph, net.parameters.clone(), frozen);
}

test("every primitive is known", async () => {
  const files = readdirSync("src/network/primitives");
  const modules = await Promise.all(
    files.map((file) => import(/* @vite-ignore */ `../../src/network/primitives/${file}`)),
  );
  const values = modules.flatMap((module) => Object.values(module as object));
  const all = values.filter((one) => typeof one === "object" && "pullback" in one) as Primitive<never>[];
  expect(all.filter((one) => !primitives.includes(one))).toEqual([]);
  expect(new Set(primitives.map(({ name }) => name)).size).toBe(all.length);
});

test("random networks compute the same, to the bit", () => {
  fc.assert(
    fc.property(fc.gen(), fc.constantFrom("float32", "float64"), (draw, dtype) => {
      const { net, x } = drawCase(draw, { dtype });
      const again = throughText(net);
      expect(again.summary()).toBe(net.summary());
      expect(again.parameterTable).toEqual(net.parameterTable);
      expect(networkJson(again)).toEqual(networkJson(net));
      expect(again.forward(x).data).toEqual(net.forward(x).data);
      expect(jacobian(again, x).data).toEqual(jacobian(net, x).data);
    }),
  );
});

test("an architecture is plain JSON", () => {
  const net = everything("float32", 2).freeze("3");
  expect(networkJson(net).frozen).toEqual(["3.scale"]);
  expect(networkJson(net).sites[1]).toEqual({
    kind: "linear",
    weight: { name: "1.weight", shape: [3, 3], offset: 12 },
    bias: { name: "1.bias", shape: [3], offset: 21 },
  });
  // The sign of a zero constant, which JSON has no number for, stays.
  expect(networkJson(net).nodes.find(({ primitive }) => primitive === "affine")?.attributes).toEqual({
    slope: 1,
    intercept: "-0",
  });
  expect(networkJson(throughText(net))).toEqual(networkJson(net));
});

test("what no layer could have made is refused", () => {
  const net = chain({ inputs: [2, 3] }, batchNorm({ scale: false, shift: false }), dropout(0.5), layerNorm(), flatten);
  const nodes = networkJson(net).nodes;
  const read = (primitive: string, changed: Record<string, unknown>) => {
    const forged = nodes.map((node) =>
      node.primitive === primitive ? { ...node, attributes: { ...node.attributes, ...changed } } : node,
    );
    const text = JSON.stringify({ ...networkJson(net), nodes: forged });
    const json = parseJson("test", text, { depth: 8, integers: false });
    return () => readNetwork(new Fields("test", json, networkFields), net.parameterCount, primitiveOf);
  };
  expect(read("dropout", { rate: 0.25 })).not.toThrow();
  const refused: [string, Record<string, unknown>][] = [
    ["dropout", { rate: 1 }],
    ["dropout", { rate: -0.5 }],
    ["batchNormalise", { epsilon: 0 }],
    ["batchNormalise", { momentum: 1.5 }],
    ["batchNormalise", { channels: 3 }],
    ["batchNormalise", { channels: 2 ** 40 }],
    ["batchNormalise", { layer: 0 }],
    ["normalise", { epsilon: -1 }],
    ["normalise", { length: 4 }],
    ["normalise", { length: 0 }],
  ];
  for (const [primitive, changed] of refused) expect(read(primitive, changed)).toThrow(FileError);
});
