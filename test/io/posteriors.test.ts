// Posterior files: what is read is what was saved, in everything it answers.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  array,
  LaplaceError,
  type LaplaceOptions,
  type Likelihood,
  laplace,
  loadPosterior,
  OptionError,
  type Posterior,
  poisson,
  readSafetensors,
  savePosterior,
  version,
  writeSafetensors,
} from "../../src/index.ts";
import { contentsChecksum } from "../../src/io/checksum.ts";
import { Posterior as PosteriorOf } from "../../src/laplace/posterior.ts";
import { Fit } from "../../src/posterior/fit.ts";
import { everyCase } from "../setup.ts";
import { needsBasis, storedStructures } from "../stored-structures.ts";
import { answers, everything, examples, fit, inputs, likelihoods, plain } from "./fits.ts";

function again(posterior: Posterior): Posterior {
  const bytes = savePosterior(posterior);
  const loaded = loadPosterior(bytes);
  expect(answers(loaded)).toEqual(answers(posterior));
  expect(savePosterior(loaded)).toEqual(bytes);
  return loaded;
}

describe("a posterior comes back to the bit", () => {
  describe.each(storedStructures)("%s", (structure) => {
    test.each(Object.keys(likelihoods))("%s", async (likelihood) => {
      const types = ["float32", "float64"] as const;
      const turn = (storedStructures.indexOf(structure) + Object.keys(likelihoods).indexOf(likelihood)) % 2;
      for (const dtype of types.filter((_, i) => everyCase || i === turn)) {
        const { outputs, shape } = likelihoods[likelihood];
        const posterior = await fit(plain(dtype, outputs, shape), likelihood, { structure, priorPrecision: 0.7 });
        const loaded = again(posterior);
        const tuned = posterior.optimizePrior({ steps: 5 });
        expect(answers(loaded.optimizePrior({ steps: 5 }))).toEqual(answers(tuned));
        again(tuned);
      }
    });

    test("of a network of everything, with other options", async () => {
      const net = everything("float64", 2).freeze("shared.bias");
      const options: Partial<LaplaceOptions> = {
        structure,
        curvature: "monteCarlo",
        monteCarloSamples: 2,
        seed: 5,
        sharing: "reduce",
        temperature: 0.3,
        priorMean: 0.1,
        priorPrecision: Array.from({ length: net.parameterTable.length - 1 }, (_, i) => i + 0.5),
        damping: structure === "kronecker",
      };
      const loaded = again(await fit(net, "gaussian", options));
      expect([...loaded.net.frozen]).toEqual(["shared.bias"]);
      expect(loaded.net.graph.sites.map((site) => loaded.net.graph.uses.get(site)?.length)).toEqual([2, 1, 1, 1, 1]);
    });

    test("merged with one that was not saved, and with another that was", async () => {
      const net = plain("float64", 2);
      const whole = await fit(net, "gaussian", { structure });
      const basis = needsBasis(structure) ? { basis: whole.curvature } : {};
      const part = await fit(net, "gaussian", { structure, ...basis }, 4);
      const merged = answers(whole.merge(part));
      const [wholeAgain, partAgain] = [again(whole), again(part)];
      expect(answers(wholeAgain.merge(part))).toEqual(merged);
      expect(answers(whole.merge(partAgain))).toEqual(merged);
      expect(answers(wholeAgain.merge(partAgain))).toEqual(merged);
    });
  });

  test("over the last layer, over parameters by name, over single weights", async () => {
    const net = plain("float32", 2);
    const all = [
      "lastLayer",
      { parameters: ["0.bias", "1.weight"] },
      { indices: [0, 1, 2, 13, 14, 24, 25] },
      { indices: [3, 20] },
    ] as const;
    for (const weights of all) {
      for (const structure of storedStructures) {
        if (typeof weights === "object" && "indices" in weights && structure !== "full" && structure !== "diagonal") {
          continue;
        }
        again(await fit(net, "gaussian", { structure, weights }));
      }
    }
  });

  test("with a prior for each weight, and after parameters were frozen and the network trained on", async () => {
    const net = plain("float32", 2);
    const size = net.parameterCount;
    const priorPrecision = Array.from({ length: size }, (_, i) => 1 + i / 7);
    const posterior = await fit(net, "gaussian", { structure: "full", priorPrecision, priorMean: priorPrecision });
    const before = net.parameters.clone();
    net.freeze("0");
    net.parameters.data.fill(9);
    const loaded = again(posterior);
    expect([...loaded.net.frozen]).toEqual(["0.bias", "0.weight"]);
    expect(loaded.net.parameters.data).toEqual(before.data);
  });

  test("with sums that JSON has no numbers for", async () => {
    const posterior = await fit(plain("float64", 2), "gaussian", { structure: "diagonal" });
    const { fit: sums } = posterior;
    const odd = { loss: Number.NaN, constant: -0, gradientNorms: Number.POSITIVE_INFINITY };
    const fitted = new Fit(sums.of, { ...sums, ...odd });
    const loaded = loadPosterior(savePosterior(new PosteriorOf({ ...posterior.parts, fit: fitted })));
    for (const name of ["examples", "loss", "losses", "constant", "gradient", "gradientNorms", "apart"] as const) {
      expect(loaded.fit[name]).toEqual(fitted[name]);
    }
  });
});

describe("the file", () => {
  test("says what it is, and keeps the caller's metadata beside it", async () => {
    const posterior = await fit(plain("float64", 2), "gaussian", { structure: "kronecker" });
    const bytes = savePosterior(posterior, { metadata: { name: "Bärbel 🐘", preprocessing: '{"mean":[0]}' } });
    const { tensors, metadata } = readSafetensors(bytes);
    expect(metadata).toMatchObject({
      name: "Bärbel 🐘",
      preprocessing: '{"mean":[0]}',
      "laplace-ts.kind": "posterior",
      "laplace-ts.format": "3",
      "laplace-ts.library": version,
    });
    expect(version).toBe(JSON.parse(readFileSync("package.json", "utf8")).version);
    expect(Object.keys(tensors).sort()).toContain("curvature.0.weight.a");
    expect(answers(loadPosterior(bytes))).toEqual(answers(posterior));
    expect(() => savePosterior(posterior, { metadata: { "laplace-ts.kind": "x" } })).toThrow(OptionError);
    expect(() => savePosterior(posterior, { metadata: { a: 1 as never } })).toThrow(LaplaceError);
  });

  test("of an earlier format is read as well", async () => {
    const posterior = await fit(plain("float64", 3), "categorical");
    const { tensors, metadata } = readSafetensors(savePosterior(posterior));
    const { "laplace-ts.checksum": _, ...own } = metadata;
    const rest = { ...own, "laplace-ts.format": "1" };
    const earlier = writeSafetensors(tensors, { ...rest, "laplace-ts.checksum": contentsChecksum(tensors, rest) });
    expect(answers(loadPosterior(earlier))).toEqual(answers(posterior));
  });

  test("is refused where the likelihood is the caller's own", async () => {
    const own: Likelihood = { ...poisson(), name: "own" };
    const y = array(inputs.toArray(), { shape: [examples, 3] });
    const x = inputs;
    const counts = array(
      y.data.map(() => 1),
      { shape: [examples, 3] },
    );
    const posterior = await laplace(plain("float64", 3), { likelihood: own, checks: false }).fit({ x, y: counts });
    expect(() => savePosterior(posterior)).toThrow('not "own"');
  });

  test("read from a Buffer within a larger one, and from an ArrayBuffer", async () => {
    const posterior = await fit(plain("float64", 2), "gaussian");
    const bytes = savePosterior(posterior);
    const within = Buffer.concat([Buffer.alloc(3), bytes, Buffer.alloc(5)]).subarray(3, 3 + bytes.length);
    expect(answers(loadPosterior(within))).toEqual(answers(posterior));
    expect(answers(loadPosterior(bytes.buffer))).toEqual(answers(posterior));
    expect(() => loadPosterior("file" as never)).toThrow(OptionError);
  });
});
