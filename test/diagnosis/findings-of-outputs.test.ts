// Findings of several outputs: what one of them shows is not lost among the others, whatever their units.

import { describe, expect, test } from "vitest";
import {
  bernoulli,
  chain,
  dense,
  gaussian,
  type LaplaceOptions,
  laplace,
  type Network,
  type Posterior,
  poisson,
  Random,
  type Structure,
} from "../../src/index.ts";

type Data = { x: number[][]; y: number[][] };

/** Targets W x + b + noise of a dense layer on inputs of four features, in the outputs' units. */
function linear(units: readonly number[], n: number, seed: number, inputs = 4): { net: Network; data: Data } {
  const random = new Random(seed);
  // Every input twice, with opposite residuals: the gradients cancel exactly.
  const half = Array.from({ length: n / 2 }, () => Array.from({ length: inputs }, () => random.normal()));
  const x = [...half, ...half];
  const net = chain({ inputs, seed: 1, dtype: "float64" }, dense(units.length));
  const weights = new Random(7);
  const width = units.length * inputs;
  net.setParameters(
    Array.from(net.parameters.data, (_, i) => {
      const unit = units[i < width ? Math.floor(i / inputs) : i - width];
      return unit * weights.normal();
    }),
  );
  const noise = half.map(() => units.map((unit) => 0.3 * unit * random.normal()));
  const y = x.map((row, i) => {
    const f = net.forward([row]).data;
    return units.map((_, c) => f[c] + (i < n / 2 ? 1 : -1) * noise[i % (n / 2)][c]);
  });
  return { net, data: { x, y } };
}

const fit = (net: Network, data: Data, options: Partial<LaplaceOptions> = {}): Promise<Posterior> =>
  laplace(net, { likelihood: "regression", checks: false, ...options }).fit(data);

/** The findings of a code, by the outputs that they name. */
const outputsOf = (posterior: Posterior, code: string, data?: Data) =>
  posterior
    .diagnose(data)
    .findings.filter((finding) => finding.code === code)
    .map(({ measured, message }) => {
      if (measured.output !== undefined) expect(message).toContain(`output ${measured.output}`);
      return measured.output;
    });

const noiseOf = (units: readonly number[]) => units.map((unit) => 0.3 * unit);

describe.each([[[1e-3, 1]], [[1, 1e3]], [[1e6, 1]], [[1e-9, 1e9]], [[1, 1, 1e5]]])(
  "outputs in units of %j",
  (units) => {
    const { net, data } = linear(units, 300, 1);
    const held = linear(units, 200, 2).data;
    const precision = units.flatMap((unit) => Array(4).fill(unit ** -2)).concat(units.map((unit) => unit ** -2));

    test("nothing is found where nothing is wrong", async () => {
      const posterior = await fit(net, data, {
        likelihood: gaussian({ noise: noiseOf(units) }),
        structure: "full",
        priorPrecision: precision,
      });
      expect(posterior.diagnose(held).findings.filter(({ code }) => code !== "prior-far-from-weights")).toEqual([]);
      expect(posterior.diagnose(data).findings).toEqual([]);
    });

    test.each(["full", "diagonal", "kronecker", "ekfac"] as Structure[])(
      "%s: one that is not at its minimum",
      async (structure) => {
        for (const c of units.keys()) {
          const off = net.clone();
          off.setParameters(net.parameters.data.map((w, i) => (i === 4 * units.length + c ? w + units[c] : w)));
          const warnings: string[] = [];
          const onWarning = (message: string) => warnings.push(message);
          const largest = units[c] === Math.max(...units);
          for (const likelihood of [
            "regression",
            gaussian({ noise: noiseOf(units) }),
            gaussian({ noise: 1 }),
          ] as const) {
            const posterior = await fit(off, data, { likelihood, structure, checks: true, onWarning });
            const found = outputsOf(posterior, "not-at-minimum");
            expect(found.length).toBe(1);
            if (!largest && typeof likelihood === "string") expect(found).toEqual([c]);
            expect(warnings.length).toBe(1);
            if (found[0] !== undefined) expect(warnings[0]).toContain(`of output ${found[0]} is not near`);
            warnings.length = 0;
            if (likelihood === "regression") {
              expect(outputsOf(posterior.with({ noise: noiseOf(units) }), "not-at-minimum")).toEqual(found);
            }
          }
        }
        const fine = await fit(net, data, { structure });
        expect(outputsOf(fine, "not-at-minimum")).toEqual([]);
      },
    );

    test("one that is open, one that is certain, one that is the same everywhere", async () => {
      const likelihood = gaussian({ noise: noiseOf(units) });
      const few = { x: data.x.slice(0, 2), y: data.y.slice(0, 2) };
      for (const c of units.keys()) {
        const own = (i: number) => (i < 4 * units.length ? Math.floor(i / 4) : i - 4 * units.length) === c;
        const at = (factor: number) => precision.map((p, i) => (own(i) ? factor * p : p));
        const open = await fit(net, few, { likelihood, priorPrecision: at(1e-3).map((p, i) => (own(i) ? p : 30 * p)) });
        expect(outputsOf(open, "function-variance-dominating", held)).toEqual([c]);
        const certain = await fit(net, data, { likelihood, priorPrecision: at(1e12) });
        expect(outputsOf(certain, "function-variance-negligible", held)).toEqual([c]);
        const indices = precision.flatMap((_, i) => (own(i) && i < 4 * units.length ? [] : [i]));
        const constant = await fit(net, data, { likelihood, weights: { indices } });
        expect(outputsOf(constant, "uncertainty-constant", held)).toEqual([c]);
      }
      const everywhere = await fit(net, data, { likelihood, weights: { parameters: ["0.bias"] } });
      expect(outputsOf(everywhere, "uncertainty-constant", held)).toEqual([undefined]);
    });
  },
);

test("inputs that are far for one output, and not for another that determines many more weights", async () => {
  const units = [1e3, 1];
  const { net, data } = linear(units, 300, 1, 20);
  // Output 0 goes with one feature, output 1 with all.
  const indices = [0, ...Array.from({ length: 20 }, (_, i) => 20 + i), 41];
  const far = { ...data, x: data.x.map((row) => row.map((v, i) => (i === 0 ? 5 * (Math.abs(v) + 1) : v))) };
  const posterior = (await fit(net, data, { weights: { indices } })).with({
    noise: noiseOf(units),
    priorPrecision: 1e-6,
  });
  expect(outputsOf(posterior, "far-from-training-data", far)).toEqual([0]);
  expect(outputsOf(posterior, "far-from-training-data", linear(units, 200, 2, 20).data)).toEqual([]);
});

test.each([
  ["binary", bernoulli(), 2],
  ["counts", poisson(), 0.7],
] as const)("%s: the output whose predictions say nothing", async (kind, likelihood, size) => {
  const { net, data } = linear([size, size, size], 300, 1);
  const f = data.x.map((row) => [...net.forward([row]).data]);
  const r = new Random(1);
  const drawn = (v: number) => (r.uniform() < 1 / (1 + Math.exp(-v)) ? 1 : 0);
  const y = f.map((row) => row.map((v) => (kind === "binary" ? drawn(v) : Math.round(Math.exp(v + 2)))));
  const posterior = await fit(net, { x: data.x, y }, { likelihood });
  const order = r.permutation(300);
  for (const c of [0, 1, 2]) {
    const shuffled = y.map((row, n) => row.map((target, k) => (k === c ? y[order[n]][k] : target)));
    // Not the data of the fit, whatever their loss.
    const others = { x: data.x.slice(1), y: shuffled.slice(1) };
    expect(outputsOf(posterior, "worse-than-baseline", others)).toEqual([c]);
  }
  expect(outputsOf(posterior, "worse-than-baseline", { x: data.x.slice(1), y: y.slice(1) })).toEqual([]);
});
