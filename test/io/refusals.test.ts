// Posterior files that are cut, altered or forged: each ends in an error that says why, or in a posterior that answers.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  array,
  FileError,
  LaplaceError,
  loadPosterior,
  type NDArray,
  readSafetensors,
  savePosterior,
  writeSafetensors,
} from "../../src/index.ts";
import { sealed } from "./files.ts";
import { fit, plain } from "./fits.ts";

const bytes = savePosterior(await fit(plain("float64", 2), "gaussian, a noise each", { structure: "kronecker" }));

/** A file's parts, to be changed. */
interface Opened {
  readonly tensors: Record<string, NDArray>;
  readonly metadata: Record<string, string>;
  readonly document: Record<string, unknown>;
}

function opened(): Opened {
  const { tensors, metadata } = readSafetensors(bytes);
  return { tensors, metadata: { ...metadata }, document: JSON.parse(metadata["laplace-ts.document"]) };
}

function forge({ tensors, metadata, document }: Opened): Uint8Array {
  return sealed(tensors, { ...metadata, "laplace-ts.document": JSON.stringify(document) });
}

function refusal(file: Uint8Array): string {
  try {
    loadPosterior(file);
  } catch (error) {
    if (error instanceof FileError) return `${error.reason}: ${error.message}`;
    throw error;
  }
  return "none";
}

test("cut anywhere", () => {
  for (let length = 0; length < bytes.length; length += length < 100 ? 1 : 97) {
    expect(refusal(bytes.subarray(0, length))).toMatch(/^truncated: .*(begins|ends at|take)/);
  }
});

test("any single bit turned", () => {
  for (let bit = 0; bit < 8 * bytes.length; bit += 29) {
    const changed = bytes.slice();
    changed[bit >> 3] ^= 1 << (bit & 7);
    expect(refusal(changed), `bit ${bit}`).not.toBe("none");
  }
});

test.each([
  ["kind", "network", /^foreign: .*"network"/],
  ["format", "4", /^newer: .*format version 4.*update/],
  ["format", "0", /^malformed: .*version is missing/],
  ["format", "", /^malformed: .*version is missing/],
  ["library", "0.0.0", /^altered: .*checksum/],
  ["checksum", "0000000000000000", /^altered: .*checksum/],
  ["document", "{}", /^altered: .*checksum/],
  ["more", "x", /^altered: .*checksum/],
])("the metadata %s changed to %j", (name, value, message) => {
  const { tensors, metadata } = opened();
  expect(refusal(writeSafetensors(tensors, { ...metadata, [`laplace-ts.${name}`]: value }))).toMatch(message);
});

test("a file of another kind, and one without a checksum", () => {
  expect(refusal(writeSafetensors({}))).toMatch(/^foreign: .*none of laplace-ts/);
  const { tensors, metadata } = opened();
  delete metadata["laplace-ts.checksum"];
  expect(refusal(writeSafetensors(tensors, metadata))).toMatch(/^altered/);
});

const REMOVED = Symbol("removed");

/** Sets the value at a path such as "network.nodes.1.site". */
function set(document: unknown, path: string, value: unknown): void {
  const names = path.split(".");
  const last = names.pop() as string;
  let place = document as Record<string, unknown>;
  for (const name of names) place = place[name] as Record<string, unknown>;
  if (value === REMOVED) delete place[last];
  else place[last] = value;
}

describe("a document that contradicts itself, though its checksum is right", () => {
  const input = { primitive: "input", inputs: [], attributes: { shape: [1] } };

  test.each([
    ["more", 1, "unknown field"],
    ["fitted", REMOVED, "expected an object"],
    ["network.nodes.1.primitive", "constructor", "not a primitive"],
    ["network.nodes.1.primitive", "__proto__", "not a primitive"],
    ["network.nodes.1.inputs", [1], "must come before"],
    ["network.nodes.1.inputs", [0, 0], "takes 1 inputs"],
    ["network.nodes.1.inputs", [-1], "integers of at least 0"],
    ["network.nodes.1.inputs", [0.5], "integers of at least 0"],
    ["network.nodes.1.site", 7, "needs linear site"],
    ["network.nodes.1.attributes", {}, "no attributes"],
    ["network.nodes.2.site", 0, "needs no site"],
    ["network.nodes.2.attributes.function", "hasOwnProperty", "one of relu"],
    ["network.nodes.2.attributes.alpha", "NaN", "finite"],
    ["network.nodes.0.attributes.shape", [2 ** 40], "more than"],
    ["network.nodes.0.attributes.shape", new Array(32).fill(2 ** 53 - 1), "more than"],
    ["network.nodes.0.attributes.shape", [4], "takes 3 inputs"],
    ["network.nodes.0.attributes.shape", new Array(33).fill(1), "at most 32"],
    ["network.nodes.4", input, "the input"],
    ["network.nodes.4", { primitive: "softmax", inputs: [3] }, "ends in softmax"],
    ["network.nodes.4", { primitive: "add", inputs: [0, 3] }, "differ"],
    ["network.nodes.4", { primitive: "concatenate", inputs: [] }, "one or more"],
    ["network.nodes.4", { primitive: "add", inputs: [2, 2] }, "does not reach"],
    ["network.nodes.2", { primitive: "softmax", inputs: [0] }, "takes 4 inputs"],
    ["network.nodes", [], "no nodes"],
    ["network.nodes", [input], "not used"],
    ["network.nodes", {}, "a list"],
    ["network.sites.0.weight.shape", [4, 2], "expected"],
    ["network.sites.0.weight.shape", [4], "expected"],
    ["network.sites.0.weight.shape", [2 ** 30, 2 ** 30], "too many values"],
    ["network.sites.0.weight.name", "0.bias", "must end"],
    ["network.sites.0.bias.offset", 0, "@12"],
    ["network.sites.0.bias.name", "1.bias", "@12"],
    ["network.sites.1.weight.name", "0.weight", "Two layers"],
    ["network.sites.0.weight", REMOVED, "lacks"],
    ["network.sites.0.bias", REMOVED, "expected"],
    ["network.sites.0.scale", { name: "0.scale", shape: [4], offset: 0 }, "no scale"],
    ["network.frozen.0", "9.weight", "frozen name"],
    ["network.dtype", "float16", "one of float32"],
    ["likelihood.name", "__proto__", "one of gaussian"],
    ["likelihood.noise", -1, "noise"],
    ["likelihood.ratios", [1], "2 positive"],
    ["likelihood.ratios", [1, 0], "2 positive"],
    ["fit.structure", "ekfac", "missing"],
    ["fit.structure", "full", "missing"],
    ["fit.weights", ["0.weight"], "a list of at most 1"],
    ["fit.weights", [], "no weights"],
    ["fit.weights", ["nothing"], "no parameter"],
    ["fit.weights", REMOVED, '"weights" is missing'],
    ["fit.seed", -1, "integer"],
    ["curvature.counts", [1, 1, 1, 0], "4 positive"],
    ["curvature.examples", 0, "a number above 0"],
    ["temperature", 0, "temperature"],
    ["damping", "yes", "true or false"],
    ["fitted.loss", null, "a number"],
    ["fitted.examples", 0, "examples"],
    ["fitted.examples", "Infinity", "finite"],
    ["fitted.drawn", [{ seed: 0, first: 0, end: 2 }], "unknown field"],
    ["tuning", [], "an object"],
  ])("%s: %j", (path, value, message) => {
    const file = opened();
    set(file.document, path, value);
    expect(refusal(forge(file))).toMatch(/^malformed/);
    expect(refusal(forge(file))).toContain(message);
  });

  test("so are arrays that nobody asked for, and those that do not fit", () => {
    const change = (name: string, values: number[]) => {
      const file = opened();
      file.tensors[name] = array(values);
      return refusal(forge(file));
    };
    expect(change("more", [1])).toContain("no use");
    expect(change("theta", [1])).toContain("too many values");
    expect(change("theta", new Array(27).fill(0))).toContain("there are 27 values");
    expect(change("prior.precision", [-1])).toContain("must be positive");
    expect(change("prior.precision", [1, 2])).toContain("one number");
    expect(change("prior.mean", [1])).toContain("missing");
    const { tensors, ...rest } = opened();
    tensors.theta = tensors.theta.as("float32");
    expect(refusal(forge({ tensors, ...rest }))).toContain("missing");
    tensors.theta = array(tensors.theta.data.fill(Number.NaN));
    expect(refusal(forge({ tensors, ...rest }))).not.toBe("none");
  });

  test("though nothing else is wrong with it: frozen parameters and another likelihood are taken", () => {
    const file = opened();
    expect(refusal(forge(file))).toBe("none");
    set(file.document, "network.frozen.0", "0.weight");
    set(file.document, "likelihood", { name: "categorical" });
    expect(refusal(forge(file))).toBe("none");
  });
});

/** Every place in a document. */
function places(value: unknown): [container: object, name: string][] {
  if (value === null || typeof value !== "object") return [];
  return Object.keys(value).flatMap((name) => [[value, name], ...places(Reflect.get(value, name))]);
}

test("documents changed at random, with a checksum that is right", () => {
  const values = [
    null,
    true,
    -1,
    0,
    0.5,
    2,
    3,
    2 ** 31,
    2 ** 53,
    1e308,
    "",
    "NaN",
    "0.weight",
    "linear",
    [],
    {},
    [1],
    [0],
  ];
  const outcomes = { posterior: 0, error: 0 };
  fc.assert(
    fc.property(fc.nat(), fc.nat(), fc.nat(3), (where, what, how) => {
      const file = opened();
      const all = places(file.document);
      const [container, name] = all[where % all.length];
      const [other, otherName] = all[what % all.length];
      const value = values[what % values.length];
      if (how === 0) Reflect.deleteProperty(container, name);
      else if (how === 1) Reflect.set(container, name, structuredClone(Reflect.get(other, otherName)));
      else if (how === 2 && !Array.isArray(container))
        Reflect.set(container, String(value), Reflect.get(container, name));
      else Reflect.set(container, name, value);
      try {
        const loaded = loadPosterior(forge(file));
        outcomes.posterior++;
        const { input } = loaded.net.graph;
        loaded.predict(array(new Float64Array(2 * input.size), { shape: [2, ...input.shape] }));
        loaded.evidence();
      } catch (error) {
        if (!(error instanceof LaplaceError)) throw error;
        outcomes.error++;
      }
    }),
    { numRuns: 1000 },
  );
  // Most changes are found; how many runs there are is a matter of time.
  expect(outcomes.error).toBeGreaterThan(outcomes.posterior);
});
