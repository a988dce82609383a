// Checkpoints whose names are matched with a network's layers: what is found, what is refused, and that nothing is guessed.

import fc from "fast-check";
import {
  array,
  batchNorm,
  chain,
  dense,
  layerNorm,
  loadWeights,
  multiHeadAttention,
  type NDArray,
  type Network,
  network,
  residual,
  tanh,
  writeSafetensors,
} from "laplace-ts";
import { ModelError, matchWeights } from "laplace-ts-models";
import { describe, expect, test } from "vitest";
import type { Leaf } from "../src/checkpoints/names.ts";
import { matchings } from "../src/checkpoints/search.ts";
import { bert, resnet18 } from "./checkpoints.ts";
import { close, inputsOf, shaken } from "./networks.ts";
import { thrown } from "./thrown.ts";

/** A checkpoint of a network under other names. */
function renamed(net: Network, names: Readonly<Record<string, string>>): Record<string, NDArray> {
  return Object.fromEntries(
    Object.entries(net.named()).map(([name, values]) => {
      const [at, role] = [name.slice(0, name.lastIndexOf(".")), name.slice(name.lastIndexOf(".") + 1)];
      const theirs = { scale: "weight", shift: "bias" }[role] ?? role;
      return [`${names[at] ?? at}.${theirs}`, values];
    }),
  );
}

const perceptron = () => chain({ inputs: 3, seed: 1 }, dense(4, tanh), dense(4, tanh), dense(2));
const why = (error: unknown) => (error as ModelError).problems.map((problem) => problem.why);

/** Matches, loads, and compares outputs with those of the network that the checkpoint is of. */
function expectSame(from: Network, to: Network, ...rest: [Record<string, NDArray>, object?]): void {
  const match = matchWeights(to, ...rest);
  loadWeights(to, match.weights);
  const x = inputsOf(from);
  close(to.forward(x), from.forward(x));
}

describe("found", () => {
  test("layers that count up, where the numbers are others", () => {
    const net = shaken(perceptron());
    expectSame(net, perceptron(), renamed(net, { 0: "net.0", 1: "net.2", 2: "net.10" }));
  });

  test("the table shows names, shapes and what is done", () => {
    const { table, rows, passedOver } = matchWeights(perceptron(), {
      ...renamed(perceptron(), { 0: "fc1", 1: "fc2", 2: "fc3" }),
      "bn.num_batches_tracked": array([3]),
    });
    expect(table.split("\n")[0]).toBe("fc1.weight  →  0.weight  [4, 3]");
    expect(table).toContain("Passed over: bn.num_batches_tracked");
    expect(rows[1]).toEqual({ from: ["fc1.bias"], to: "0.bias", shape: [4], change: "" });
    expect(passedOver).toEqual(["bn.num_batches_tracked"]);
  });

  test("kernels are turned by their name, other weights because nothing else fits", () => {
    const net = shaken(chain({ inputs: 4, seed: 1 }, dense(4, tanh), dense(2)));
    const turn = (name: string) =>
      Object.fromEntries(
        Object.entries(renamed(net, { 0: "a.0", 1: "a.1" })).map(([key, values]) => {
          if (values.rank < 2) return [key, values];
          const [outputs, inputs] = values.shape;
          const data = Array.from(
            { length: values.size },
            (_, i) => values.data[(i % outputs) * inputs + Math.floor(i / outputs)],
          );
          return [key.replace("weight", name), array(data, { shape: [inputs, outputs] })];
        }),
      );
    const fresh = () => chain({ inputs: 4 }, dense(4, tanh), dense(2));
    expectSame(net, fresh(), turn("kernel"));
    expectSame(net, fresh(), turn("weight"), { transposed: ["weight"] });
    const error = thrown(() => matchWeights(fresh(), turn("weight")));
    expect(error).toBeInstanceOf(ModelError);
    expect(why(error)).toEqual([
      '"a.0" is square, and a.1.weight is [inputs, outputs]: say by transposed which weights are.',
    ]);
  });

  test("queries, keys and values are joined, or split", () => {
    const joined = shaken(chain({ inputs: [3, 4], seed: 1 }, multiHeadAttention(2)));
    const own = joined.named();
    const rows = (values: NDArray, i: number) => {
      const size = values.size / 3;
      return array(values.data.slice(i * size, (i + 1) * size), { shape: [4, ...values.shape.slice(1)] });
    };
    const parts = ["q_proj", "k_proj", "v_proj"].flatMap((name, i) =>
      ["weight", "bias"].map((role) => [`self.${name}.${role}`, rows(own[`0.qkv.${role}`], i)]),
    );
    const out = { "self.out_proj.weight": own["0.out.weight"], "self.out_proj.bias": own["0.out.bias"] };
    const fresh = () => chain({ inputs: [3, 4] }, multiHeadAttention(2));
    const match = matchWeights(fresh(), { ...Object.fromEntries(parts), ...out });
    expect(match.rows[0].change).toBe("3 joined");
    expectSame(joined, fresh(), { ...Object.fromEntries(parts), ...out });
    expectSame(joined, fresh(), {
      "self.in_proj_weight": own["0.qkv.weight"],
      "self.in_proj_bias": own["0.qkv.bias"],
      ...out,
    });
    const apart = chain({ inputs: 4 }, dense(4), dense(4), dense(4));
    const split = matchWeights(apart, {
      "self.in_proj_weight": own["0.qkv.weight"],
      "self.in_proj_bias": own["0.qkv.bias"],
    });
    expect(split.weights["1.bias"].toArray()).toEqual(rows(own["0.qkv.bias"], 1).toArray());
    expect(split.rows[2].change).toBe("rows 4 to 7");
    // GPT-NeoX has the same shapes in another order.
    const heads = {
      "self.query_key_value.weight": own["0.qkv.weight"],
      "self.query_key_value.bias": own["0.qkv.bias"],
    };
    expect(String(thrown(() => matchWeights(fresh(), { ...heads, ...out })))).toContain("head by head");
  });

  test("norms before blocks, and one at the end: blocks are not cut in two", () => {
    const make = () =>
      network({ inputs: [3, 4], seed: 1 }, (x) => {
        const block = () => residual(layerNorm(), dense(4));
        return layerNorm()(block()(block()(x)));
      });
    const net = shaken(make());
    const names = { 0: "h.0.norm", 1: "h.0.fc", 2: "h.1.norm", 3: "h.1.fc", 4: "norm" };
    expectSame(net, make(), renamed(net, names));
  });

  test("a file in several parts, and a network with a new last layer", () => {
    const net = shaken(perceptron());
    const all = Object.entries(renamed(net, { 0: "fc1", 1: "fc2", 2: "head" }));
    const files = [all.slice(0, 3), all.slice(3)].map((part) => writeSafetensors(Object.fromEntries(part)));
    const own = chain({ inputs: 3, seed: 4 }, dense(4, tanh), dense(4, tanh), dense(7));
    const match = matchWeights(own, files, { rename: { head: null }, keep: ["2"] });
    expect(match.kept).toEqual(["2.weight", "2.bias"]);
    expect(match.passedOver.toSorted()).toEqual(["head.bias", "head.weight"]);
    const before = own.named()["2.weight"].toArray();
    loadWeights(own, match.weights);
    expect(own.named()["2.weight"].toArray()).toEqual(before);
    expect(own.named()["1.weight"].toArray()).toEqual(net.named()["1.weight"].toArray());
  });

  test("networks of real depth in little time", () => {
    const large = resnet18({ width: 2, classes: 3, side: 33 });
    const { weights } = matchWeights(large, large.named());
    expect(Object.keys(weights).length).toBe(large.parameterTable.length + large.bufferTable.length);
    const deep = bert({ vocabulary: 9, length: 3, width: 4, heads: 2, inner: 8, layers: 24, classes: 2 });
    expect(matchWeights(deep, deep.named()).rows.every(({ from, to }) => from[0] === to)).toBe(true);
  });
});

describe("refused, nothing guessed", () => {
  test("towers of one shape: the choices are listed, and one correction decides", () => {
    const make = () => chain({ inputs: 4, seed: 1 }, dense(4), dense(4), dense(4), dense(4));
    const net = shaken(make());
    const towers = renamed(net, { 0: "a.0", 1: "a.1", 2: "b.0", 3: "b.1" });
    const error = thrown(() => matchWeights(make(), towers));
    expect(why(error)).toEqual([
      "Shapes and names leave a choice; rename says what is what.",
      '"a.0" may be the layer "0" or "2".',
      '"a.1" may be the layer "1" or "3".',
      '"b.0" may be the layer "0" or "2".',
      '"b.1" may be the layer "1" or "3".',
    ]);
    expectSame(net, make(), towers, { rename: { "a.0": "0" } });
    expectSame(net, make(), towers, { rename: { "b.0.weight": "2.weight" } });
  });

  test("layers that were given the checkpoint's names leave no choice", () => {
    const make = () =>
      chain({ inputs: 4, seed: 1 }, dense(4, undefined, { name: "up" }), dense(4, undefined, { name: "down" }));
    const net = shaken(make());
    const checkpoint = Object.fromEntries(Object.entries(net.named()).reverse());
    expectSame(net, make(), checkpoint);
  });

  test("other shapes and other numbers of layers are all listed", () => {
    const checkpoint = renamed(perceptron(), { 0: "fc1", 1: "fc2", 2: "head" });
    const other = chain({ inputs: 3 }, dense(4, tanh), dense(4, tanh), dense(5), dense(5));
    expect(why(thrown(() => matchWeights(other, checkpoint)))).toEqual([
      'The checkpoint has 3 modules with arrays, the network 4 layers. rename passes over a module, { "name": null }; keep leaves a layer as it is.',
      '"head" (weight [2, 4], bias [2]) has the shapes of no layer.',
      'The layer "2" (weight [5, 4], bias [5]) has the shapes of no module.',
      'The layer "3" (weight [5, 5], bias [5]) has the shapes of no module.',
    ]);
    const fewer = chain({ inputs: 4 }, dense(4), dense(4));
    const more = renamed(chain({ inputs: 4 }, dense(4), dense(4), dense(4)), {});
    expect(why(thrown(() => matchWeights(fewer, more)))[1]).toBe(
      'Of the shapes weight [4, 4], bias [4] there are 3 modules, "0", "1", "2", and 2 layers, "0", "1".',
    );
    const norms = chain({ inputs: 4 }, batchNorm(), dense(4));
    expect(thrown(() => matchWeights(norms, renamed(chain({ inputs: 4 }, layerNorm(), dense(4)), {})))).toBeInstanceOf(
      ModelError,
    );
  });

  test("corrections that name nothing", () => {
    const checkpoint = renamed(perceptron(), { 0: "fc1", 1: "fc2", 2: "fc3" });
    const match = (options: object) => String(thrown(() => matchWeights(perceptron(), checkpoint, options)));
    expect(match({ rename: { fc9: "0" } })).toContain('the checkpoint has no "fc9"');
    expect(match({ rename: { fc1: "9" } })).toContain('the network has no layer or parameter "9"');
    expect(match({ keep: ["9"] })).toContain('the network has no "9" to keep');
    expect(match({ rename: ["fc1"] })).toContain("rename must be names by names");
    expect(match({ renamed: {} })).toContain("renamed");
    expect(String(thrown(() => matchWeights(perceptron(), 3 as never)))).toContain("safetensors");
    expect(String(thrown(() => matchWeights({} as never, checkpoint)))).toContain("a network");
  });
});

/** All bijections, tried one by one. */
function slowly(leaves: readonly Leaf[], crossings: readonly number[], fits: (leaf: number, unit: number) => boolean) {
  const n = leaves.length;
  const prefixes = new Set(
    leaves.flatMap(({ path }) => path.slice(0, -1).map((_, i) => JSON.stringify(path.slice(0, i + 1)))),
  );
  const modules = ["[]", ...prefixes].map((prefix) => {
    const path: string[] = JSON.parse(prefix);
    return [...leaves.keys()].filter((i) => path.every((name, at) => leaves[i].path[at] === name));
  });
  let best: number[][] = [];
  let least = Number.POSITIVE_INFINITY;
  const go = (units: number[]): void => {
    if (units.length < n) {
      for (let unit = 0; unit < n; unit++) if (!units.includes(unit) && fits(units.length, unit)) go([...units, unit]);
      return;
    }
    const spans = modules.map((module) => module.map((i) => units[i]).sort((a, b) => a - b));
    if (spans.some((span) => span[span.length - 1] - span[0] !== span.length - 1)) return;
    for (let a = 0; a < n; a++)
      for (let b = 0; b < n; b++) {
        const at = leaves[a].path.findIndex((name, i) => name !== leaves[b].path[i]);
        const [one, other] = [leaves[a].path[at], leaves[b].path[at]];
        if (a === b || one === undefined || other === undefined) continue;
        const numbers = [one, other].map((name) => Number(name.slice(1)));
        if (one[0] === other[0] && numbers[0] < numbers[1] && units[a] > units[b]) return;
      }
    const cost = spans.reduce((sum, span) => sum + crossings[span[0]] + crossings[span[span.length - 1] + 1], 0);
    if (cost < least) best = [];
    least = Math.min(least, cost);
    if (cost === least) best.push(units);
  };
  go([]);
  return best.map(String).sort();
}

test("the ways are those that trying all of them finds", () => {
  const name = fc.constantFrom("a0", "a1", "b0", "b1", "c0");
  const paths = fc.uniqueArray(fc.array(name, { minLength: 1, maxLength: 3 }), {
    minLength: 1,
    maxLength: 5,
    selector: String,
  });
  const numbers = fc.array(fc.nat(2), { minLength: 12, maxLength: 12 });
  fc.assert(
    fc.property(paths, numbers, numbers, (all, shapes, between) => {
      // No leaf has others in it.
      const kept = all.filter((a) => !all.some((b) => a !== b && a.every((part, i) => part === b[i])));
      const leaves = kept.map((path): Leaf => ({ path, arrays: new Map() }));
      const fits = (leaf: number, unit: number) => shapes[leaf] % 2 === shapes[6 + unit] % 2;
      const crossings = between.slice(0, leaves.length + 1);
      const { ways, more } = matchings(leaves, crossings, fits, 1000);
      expect(more).toBe(false);
      const found = ways.map((way) => String([...way].sort((a, b) => a[0] - b[0]).map(([, unit]) => unit))).sort();
      expect(found).toEqual(slowly(leaves, crossings, fits));
    }),
    { numRuns: 150 },
  );
});
