import { describe, expect, test } from "vitest";
import {
  adam,
  chain,
  cosineDecay,
  crossEntropy,
  dense,
  gaussian,
  gaussNewton,
  type Likelihood,
  laplace,
  type MarginalLikelihoodOptions,
  marginalLikelihood,
  mse,
  type Network,
  OptionError,
  Random,
  randomNormal,
  tanh,
  train,
} from "../../src/index.ts";

const random = new Random(5);
const x = randomNormal([40, 2], { seed: 1 });
const y = Array.from({ length: 40 }, (_, n) => [Math.sin(2 * x.at(n, 0)) + 0.2 * random.normal()]);
const labels = Array.from({ length: 40 }, (_, n) => (x.at(n, 0) + x.at(n, 1) > 0 ? 1 : 0));
const small = (outputs = 1) => chain({ inputs: 2, dtype: "float64", seed: 2 }, dense(5, tanh), dense(outputs));
const optimizer = adam({ learningRate: 0.02 });
const learn = (net: Network, options: MarginalLikelihoodOptions = {}, epochs = 60) =>
  train(net, { x, y }, { loss: gaussian(), optimizer, epochs, batchSize: 20, evidence: marginalLikelihood(options) });

describe("marginalLikelihood", () => {
  test.each(["full", "kronecker", "diagonal"] as const)(
    "%s: what it reports is the evidence of a fit there",
    async (structure) => {
      const net = small();
      const { evidence } = await learn(net, { structure, groups: "layers", burnIn: 20, every: 10 });
      const { noise, priorPrecision, logMarginalLikelihood, history, groups } = evidence as never as Required<
        NonNullable<typeof evidence>
      >;
      expect(groups.map(({ name }) => name)).toEqual(["0.weight", "0.bias", "1.weight", "1.bias"]);
      expect(history).toHaveLength(5);
      expect(logMarginalLikelihood).toBeCloseTo(Math.max(...history), 8);
      const options = { likelihood: gaussian({ noise }), structure, priorPrecision, checks: false } as const;
      const posterior = await laplace(net, options).fit({ x, y });
      expect(posterior.evidence().logMarginalLikelihood).toBeCloseTo(logMarginalLikelihood, 8);
    },
  );

  test("prior and noise go by the gradient of the evidence", async () => {
    // Weights that cannot move: what is left is an ascent of the evidence in log δ and log σ.
    const net = small();
    const still = { ...adam(), step: () => {} };
    const options = { structure: "kronecker", groups: "layers", burnIn: 1, steps: 300, noise: true } as const;
    const { evidence } = await train(
      net,
      { x, y },
      { loss: gaussian(), optimizer: still, epochs: 2, evidence: marginalLikelihood(options) },
    );
    const posterior = await laplace(net, {
      likelihood: gaussian({ noise: evidence?.noise }),
      structure: "kronecker",
      priorPrecision: evidence?.priorPrecision,
      checks: false,
    }).fit({ x, y });
    const gradient = posterior.evidenceGradient();
    for (const slope of [...gradient.logPriorPrecision.data, gradient.logNoise as number]) {
      expect(Math.abs(slope)).toBeLessThan(0.05);
    }
  });

  test("the best evidence keeps its weights, and all is the same for a seed", async () => {
    const [one, other] = [small(), small()];
    const [a, b] = [await learn(one), await learn(other)];
    expect(one.parameters.data).toEqual(other.parameters.data);
    expect(a).toEqual(b);
    const far = small();
    // Steps far too large at the end: what they lead to is not kept.
    const { evidence } = await train(
      far,
      { x, y },
      {
        loss: mse,
        optimizer: adam({ learningRate: 0.02 }),
        schedule: (step: number) => (step > 100 ? 100 : 1),
        epochs: 60,
        batchSize: 20,
        evidence: marginalLikelihood(),
      },
    );
    const history = evidence?.history ?? [];
    expect(Math.max(...history)).toBeGreaterThan((history.at(-1) as number) + 1);
    expect(evidence?.logMarginalLikelihood).toBeCloseTo(Math.max(...history), 8);
  });

  test("classes, with one number for all weights and one for each; frozen ones stay", async () => {
    for (const groups of ["all", "weights"] as const) {
      const net = small(2);
      net.freeze("0.bias");
      const before = [...net.named()["0.bias"].data];
      const { evidence } = await train(
        net,
        { x, y: labels },
        { loss: crossEntropy, optimizer, epochs: 30, evidence: marginalLikelihood({ groups, structure: "diagonal" }) },
      );
      expect(evidence?.noise).toBeUndefined();
      expect(evidence?.priorPrecision.size).toBe(groups === "all" ? 1 : 22);
      expect([...net.named()["0.bias"].data]).toEqual(before);
    }
  });

  test("a penalty that is learned is that of its prior", async () => {
    // Without a change of the prior the steps are those of weightDecay.
    const [one, other] = [small(), small()];
    const options = { loss: gaussian(), optimizer, epochs: 5, batchSize: 20 };
    await train(
      one,
      { x, y },
      { ...options, evidence: marginalLikelihood({ burnIn: 5, priorPrecision: 2, noise: false, groups: "all" }) },
    );
    await train(other, { x, y }, { ...options, weightDecay: 2 / 40 });
    expect(one.parameters.data).toBeAllClose(other.parameters.data, { relative: 1e-10, absolute: 1e-12 });
  });

  test.each(["full", "kronecker"] as const)(
    "%s: with its determinant the evidence is stationary along the weights, where the prior's penalty leaves a slope",
    async (structure) => {
      const slopeOf = async (determinant: boolean) => {
        const net = small();
        // Where the training comes to, which need not be what had the best evidence on the way.
        let last = net.clone();
        await train(
          net,
          { x, y },
          {
            ...{ loss: gaussian(), optimizer: adam({ learningRate: 0.02 }), epochs: 1500, batchSize: 40 },
            schedule: cosineDecay(),
            evidence: marginalLikelihood({ structure, determinant, groups: "all", every: 5 }),
            onProgress({ epoch }) {
              if (epoch === 1499) last = net.clone();
            },
          },
        );
        const options = { likelihood: gaussian(), structure, checks: false } as const;
        const at = (t: number) =>
          laplace(last.clone(last.parameters.data.map((one) => t * one)), options).fit({ x, y });
        const { priorPrecision, noise } = (await at(1)).optimizePrior();
        const evidence = async (t: number) => (await at(t)).with({ priorPrecision, noise }).logMarginalLikelihood();
        return Math.abs((await evidence(1.01)) - (await evidence(0.99))) / 0.02;
      };
      expect(await slopeOf(true)).toBeLessThan(0.2 * (await slopeOf(false)));
    },
  );

  test("weights follow the determinant of numbers, and of classes where that is asked for", async () => {
    const learned = async (options: MarginalLikelihoodOptions) => {
      const how = { loss: crossEntropy, optimizer, epochs: 40, evidence: marginalLikelihood(options) };
      return (await train(small(2), { x, y: labels }, how)).evidence?.logMarginalLikelihood as number;
    };
    const without = await learned({ determinant: false });
    expect(await learned({})).toBe(without);
    expect(await learned({ determinant: true })).not.toBe(without);
    const [numbers, others] = [small(), small()];
    await learn(numbers);
    await learn(others, { determinant: true });
    expect(numbers.parameters).toEqual(others.parameters);
    await learn(others, { determinant: false });
    expect(numbers.parameters).not.toEqual(others.parameters);
  });

  test("what does not fit is refused", async () => {
    const data = { x, y };
    const evidence = marginalLikelihood();
    await expect(train(small(), data, { loss: mse, evidence: { groups: "all" } })).rejects.toThrow(
      /evidence of adam\(\) must be marginalLikelihood/,
    );
    await expect(train(small(), data, { loss: mse, evidence, optimizer: gaussNewton() })).rejects.toThrow(
      /here are plain options/,
    );
    await expect(train(small(), data, { loss: mse, evidence, weightDecay: 1 })).rejects.toThrow(
      /leave weightDecay out/,
    );
    expect(() => marginalLikelihood({ steps: 0 })).toThrow(OptionError);
    expect(() => marginalLikelihood({ tolerance: 1 } as never)).toThrow(/tolerance/);
    expect(() => JSON.stringify(evidence)).toThrow(/marginalLikelihood\(\), which is made of functions/);
    await expect(train(small(), data, { loss: {} as Likelihood, evidence })).rejects.toThrow();
  });
});
