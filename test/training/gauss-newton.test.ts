import { describe, expect, test } from "vitest";
import {
  add,
  array,
  batchNorm,
  bernoulli,
  categorical,
  chain,
  cholesky,
  crossEntropy,
  dense,
  dropout,
  type EpochReport,
  gaussian,
  gaussNewton,
  gradient,
  type Likelihood,
  laplace,
  mse,
  type Network,
  network,
  OptionError,
  poisson,
  Random,
  randomNormal,
  tanh,
  train,
} from "../../src/index.ts";

const norm = (net: Network, rule: Likelihood, x: unknown, y: unknown, weightDecay: number) => {
  const g = gradient(net, rule as never, { x, y } as never).data;
  return Math.hypot(...Array.from(g, (one: number, i: number) => one + weightDecay * net.parameters.data[i]));
};

const random = new Random(3);
// Numbers of float32, which networks of both types take as they are.
const x = randomNormal([60, 3], { seed: 1, dtype: "float32" }).as("float64");
const row = (n: number) => Array.from(x.data.subarray(3 * n, 3 * n + 3)) as number[];
const smooth = Array.from({ length: 60 }, (_, n) =>
  Math.fround(Math.sin(2 * row(n)[0]) + 0.5 * row(n)[1] + 0.1 * random.normal()),
);

const small = (dtype: "float32" | "float64", outputs = 1, seed = 0) =>
  chain({ inputs: 3, dtype, seed }, dense(5, tanh), dense(outputs));

/** A network with a linear way around its hidden layer. */
const skipping = (inputs: number, width: number, seed = 0) =>
  network({ inputs, seed, dtype: "float64" }, (z) =>
    add(
      dense(1, undefined, { name: "out" })(dense(width, tanh, { name: "hidden" })(z)),
      dense(1, undefined, { bias: false, name: "skip" })(z),
    ),
  );

describe("gaussNewton", () => {
  const problems: [string, Likelihood, number, number[]][] = [
    ["numbers", gaussian(), 1, smooth],
    ["counts", poisson(), 1, smooth.map((t) => Math.round(Math.exp(t)))],
    ["labels", bernoulli(), 1, smooth.map((t) => (t > 0 ? 1 : 0))],
    ["classes", categorical(), 3, smooth.map((t) => (t > 0.4 ? 2 : t > -0.3 ? 1 : 0))],
  ];

  test.each(problems)("ends at a minimum of the loss of %s, the same for both types", async (_, loss, outputs, y) => {
    const weightDecay = 0.01;
    const nets = [small("float64", outputs), small("float32", outputs)];
    nets[0].setParameters(Float64Array.from(nets[1].parameters.data));
    const targets = outputs > 1 ? array(y) : array(y).reshape(60, 1);
    const before = norm(nets[0], loss, x, targets, weightDecay);
    const ends: number[] = [];
    for (const net of nets) {
      const { converged, history, steps } = await train(
        net,
        { x, y: targets },
        { loss, optimizer: gaussNewton(), weightDecay },
      );
      expect(converged).toBe(true);
      expect(history.length).toBe(steps);
      for (let k = 1; k < steps; k++) expect(history[k].loss).toBeLessThanOrEqual(history[k - 1].loss);
      ends.push(history[steps - 1].loss);
    }
    expect(norm(nets[0], loss, x, targets, weightDecay)).toBeLessThan(1e-6 * before);
    expect(ends[1]).toBeCloseTo(ends[0], 12);
    nets[1].parameters.data.forEach((one: number, i: number) => {
      expect(one).toBeCloseTo(nets[0].parameters.data[i], 5);
    });
  });

  test.each(problems)("by conjugate gradients, of %s, ends where a factorisation does", async (_, loss, outputs, y) => {
    const targets = outputs > 1 ? array(y) : array(y).reshape(60, 1);
    const ends: ArrayLike<number>[] = [];
    for (const solver of ["cholesky", "conjugateGradients"] as const) {
      const net = chain({ inputs: 3, dtype: "float64" }, dense(outputs));
      const options = { loss, optimizer: gaussNewton({ solver }), weightDecay: 0.01 };
      expect((await train(net, { x, y: targets }, options)).converged).toBe(true);
      ends.push(net.parameters.data);
    }
    Array.from(ends[0], (one, i) => expect(ends[1][i]).toBeCloseTo(one, 6));
  });

  test("ends in few steps where the residuals are large, since it goes by the exact Hessian", async () => {
    // Nothing but noise, of which the Gauss-Newton matrix knows little: by it alone 275 steps, and a gradient of 1e-7.
    const data = { x: randomNormal([60, 3], { seed: 1 }), y: randomNormal([60, 1], { seed: 2 }) };
    const net = chain({ inputs: 3, dtype: "float64", seed: 4 }, dense(5, tanh), dense(1));
    const before = norm(net, gaussian(), data.x, data.y, 0.01);
    const { converged, steps } = await train(net, data, {
      loss: gaussian(),
      optimizer: gaussNewton(),
      weightDecay: 0.01,
    });
    expect(converged).toBe(true);
    expect(steps).toBeLessThan(60);
    expect(norm(net, gaussian(), data.x, data.y, 0.01)).toBeLessThan(1e-9 * before);
  });

  test.each([
    ["cholesky", [3]],
    ["cholesky", [4, 3]],
    ["conjugateGradients", [4, 3]],
  ] as const)(
    "by %s with layers of %j has not converged where outputs of raw columns leave no curvature",
    async (solver, widths) => {
      const raw = Array.from({ length: 60 }, (_, n) => row(n).map((one) => 1e6 * one));
      const y = smooth.map((t) => (t > 0.4 ? 2 : t > -0.3 ? 1 : 0));
      const net = chain({ inputs: 3, dtype: "float64" }, ...widths.map((width) => dense(width)));
      const curvature = await laplace(net, { likelihood: "classification", structure: "diagonal", checks: false }).sum({
        x: raw,
        y,
      });
      expect(Math.max(...curvature.curvature.diagonal().data)).toBe(0);
      const { converged } = await train(net, { x: raw, y }, { loss: crossEntropy, optimizer: gaussNewton({ solver }) });
      expect(norm(net, categorical(), raw, y, 0)).toBeGreaterThan(1);
      expect(converged).toBe(false);
    },
  );

  test("solves ridge regression as its normal equations do", async () => {
    const net = chain({ inputs: 3, dtype: "float64" }, dense(1, undefined, { bias: false }));
    await train(net, { x, y: smooth }, { loss: mse, optimizer: gaussNewton(), weightDecay: 0.3 });
    // (2/N) XᵀX w + 0.3 w = (2/N) Xᵀy
    const matrix = [0, 1, 2].map((i) =>
      [0, 1, 2].map((j) => smooth.reduce((sum, _, n) => sum + (row(n)[i] * row(n)[j]) / 30, i === j ? 0.3 : 0)),
    );
    const right = [0, 1, 2].map((i) => smooth.reduce((sum, t, n) => sum + (row(n)[i] * t) / 30, 0));
    const expected = cholesky(matrix).solve(right).data;
    for (let i = 0; i < 3; i++) expect(net.parameters.data[i]).toBeCloseTo(expected[i], 10);
  });

  test("leaves frozen parameters, tells its steps, and keeps what it learned where it is stopped", async () => {
    const net = small("float64");
    net.freeze("0");
    const frozen = net.named()["0.weight"].clone();
    const reports: EpochReport[] = [];
    const stop = new AbortController();
    const onProgress = (report: EpochReport) => {
      reports.push(report);
      expect(net.forward(x).size).toBe(60);
      if (report.epoch === 2) stop.abort(new Error("enough"));
    };
    const begun = net.parameters.clone();
    const options = { loss: mse, optimizer: gaussNewton({ damping: 10 }), epochs: 7, onProgress, signal: stop.signal };
    await expect(train(net, { x, y: smooth }, options)).rejects.toThrow("enough");
    expect(reports.map(({ epoch, epochs }) => [epoch, epochs])).toEqual([
      [1, 7],
      [2, 7],
    ]);
    expect(net.named()["0.weight"].data).toEqual(frozen.data);
    expect(net.parameters.data).not.toEqual(begun.data);
    const f = net.forward(x).data;
    expect(reports[1].loss).toBeCloseTo(
      smooth.reduce((sum, t, n) => sum + (f[n] - t) ** 2 / 60, 0),
      10,
    );
  });

  test("refuses what it is not for", async () => {
    const data = { x, y: smooth };
    const optimizer = gaussNewton();
    const on = (net: Network, options: object) => train(net, data, { loss: mse, optimizer, ...options });
    const dropping = chain({ inputs: 3 }, dense(4), dropout(0.5), dense(1));
    await expect(on(dropping, {})).rejects.toThrow(/no dropout: leave it out/);
    const norming = chain({ inputs: 3 }, dense(4), batchNorm(), dense(1));
    await expect(on(norming, {})).rejects.toThrow(/freeze it/);
    await expect(on(norming.freeze("1"), { epochs: 2 })).resolves.toBeDefined();
    await expect(on(small("float32"), { batchSize: 8 })).rejects.toThrow(/batchSize says nothing/);
    await expect(on(small("float32"), { optimizer: gaussNewton({ memoryBudget: 1000 }) })).rejects.toThrow(
      /conjugateGradients/,
    );
    await expect(on(small("float32"), { evidence: {}, weightDecay: 0.1 })).rejects.toThrow(OptionError);
    await expect(on(small("float32"), { evidence: { groups: [["0.wait"]] } })).rejects.toThrow(
      /not among the free parameters/,
    );
    await expect(on(small("float32"), { evidence: { groups: [["0"], ["0.bias"]] } })).rejects.toThrow(/twice/);
    await expect(train(small("float32"), data, { loss: mse, evidence: {} })).rejects.toThrow(
      /evidence of adam\(\) must be marginalLikelihood/,
    );
    expect(() => gaussNewton({ solver: "lu" as never })).toThrow(OptionError);
  });
});

describe("gaussNewton with the evidence", () => {
  test("of a linear model maximises it as optimizePrior does", async () => {
    const net = chain({ inputs: 3, dtype: "float64" }, dense(1));
    const { evidence } = await train(
      net,
      { x, y: smooth },
      { loss: gaussian(), optimizer: gaussNewton(), evidence: { groups: "all", tolerance: 1e-9 } },
    );
    const best = (await laplace(net, { likelihood: gaussian(), checks: false }).fit({ x, y: smooth })).optimizePrior();
    expect(evidence?.logMarginalLikelihood).toBeCloseTo(best.logMarginalLikelihood(), 4);
    expect(evidence?.noise).toBeCloseTo(best.noise?.data[0] as number, 3);
  });

  test.each(["all", "layers", "inputs", "weights", [["hidden", "out.weight"]]] as const)(
    "by groups %j gives what laplace computes of its prior and noise, and ends at a minimum",
    async (groups) => {
      const net = skipping(3, 4);
      const { evidence, converged } = await train(
        net,
        { x, y: smooth },
        { loss: gaussian(), optimizer: gaussNewton(), evidence: { groups } },
      );
      expect(converged).toBe(true);
      if (evidence === undefined) throw new Error("There is no evidence.");
      const { priorPrecision, noise, logMarginalLikelihood } = evidence;
      const options = { likelihood: gaussian({ noise: noise as number }), priorPrecision, structure: "full" } as const;
      const posterior = await laplace(net, { ...options, onWarning: (text) => expect(text).toBe("") }).fit({
        x,
        y: smooth,
      });
      expect(posterior.logMarginalLikelihood()).toBeCloseTo(logMarginalLikelihood, 8);
      expect(evidence.groups.reduce((sum, { weights }) => sum + weights, 0)).toBe(net.parameterCount);
      for (const { effective, weights } of evidence.groups) expect(effective).toBeLessThanOrEqual(weights);
      expect(logMarginalLikelihood).toBeGreaterThan(evidence.history[0]);
    },
  );

  test("finds the inputs that say something, through a network and a way around it together", async () => {
    const data = { x: randomNormal([300, 5], { seed: 2, dtype: "float64" }), y: [] as number[] };
    for (let n = 0; n < 300; n++) {
      const [a, b] = data.x.data.subarray(5 * n);
      data.y.push(Math.sin(2 * a) + b + 0.1 * random.normal());
    }
    const net = skipping(5, 6);
    const { evidence } = await train(net, data, {
      loss: gaussian(),
      optimizer: gaussNewton(),
      evidence: { groups: "inputs" },
    });
    const relevance = Array.from(evidence?.relevance?.data ?? []);
    expect(relevance.length).toBe(5);
    expect(Math.min(...relevance.slice(0, 2))).toBeGreaterThan(100 * Math.max(...relevance.slice(2)));
    expect(evidence?.noise).toBeCloseTo(0.1, 1);
  });

  test.each([
    ["numbers", gaussian(), smooth] as const,
    ["labels", bernoulli(), smooth.map((t) => (t > 0 ? 1 : 0))] as const,
  ])(
    "of %s ends at a minimum under the prior that it learned, the same for both types",
    async (_, loss: Likelihood, y) => {
      const nets = [skipping(3, 3, 1), skipping(3, 3, 1)];
      const single = network({ inputs: 3, seed: 1 }, (z) =>
        add(
          dense(1, undefined, { name: "out" })(dense(3, tanh, { name: "hidden" })(z)),
          dense(1, undefined, { bias: false, name: "skip" })(z),
        ),
      );
      nets[0].setParameters(Float64Array.from(single.parameters.data));
      const start = nets[0].clone();
      const ends: number[] = [];
      for (const net of [nets[0], single]) {
        const { converged, evidence } = await train(
          net,
          { x, y },
          { loss, optimizer: gaussNewton(), evidence: { groups: "inputs" } },
        );
        expect(converged).toBe(true);
        ends.push(evidence?.logMarginalLikelihood as number);
        if (net === single) continue;
        // The gradient of the objective in nats, with the prior and the noise of the end.
        const norm = (at: Network) => {
          const g = gradient(at, loss as never, { x, y } as never, { reduction: "sum" }).data;
          const noise = (evidence?.noise as number | undefined) ?? 1;
          const delta = evidence?.priorPrecision.data as Float64Array;
          return Math.hypot(...Array.from(g, (one, i) => one / noise ** 2 + delta[i] * at.parameters.data[i]));
        };
        expect(norm(net)).toBeLessThan(1e-6 * norm(start));
      }
      expect(ends[1]).toBeCloseTo(ends[0], 8);
      single.parameters.data.forEach((one: number, i: number) => {
        expect(one).toBeCloseTo(nets[0].parameters.data[i], 5);
      });
    },
  );

  test.each([
    ["numbers", gaussian(), smooth] as const,
    ["labels", bernoulli(), smooth.map((t) => (t > 0 ? 1 : 0))] as const,
  ])("of %s may end at the greatest evidence, in fewer steps", async (_, loss: Likelihood, y) => {
    const learn = async (settle: boolean | undefined, epochs = 1000) => {
      const net = skipping(3, 8, 2);
      const reports: number[] = [];
      const found = await train(
        net,
        { x, y },
        {
          loss,
          optimizer: gaussNewton(),
          epochs,
          evidence: { groups: "inputs", tolerance: 0.01, settle },
          onProgress: ({ epoch }) => reports.push(epoch),
        },
      );
      if (found.evidence === undefined) throw new Error("There is no evidence.");
      expect(reports.length).toBe(found.steps);
      const { priorPrecision, noise } = found.evidence;
      const likelihood = noise === undefined ? loss : gaussian({ noise });
      const posterior = await laplace(net, { likelihood, priorPrecision, structure: "full", checks: false }).fit({
        x,
        y,
      });
      expect(posterior.logMarginalLikelihood()).toBeCloseTo(found.evidence.logMarginalLikelihood, 8);
      return { ...found, evidence: found.evidence };
    };
    const [early, late] = [await learn(false), await learn(true)];
    expect((await learn(undefined)).evidence.logMarginalLikelihood).toBe(late.evidence.logMarginalLikelihood);
    expect(early.converged).toBe(true);
    expect(early.steps).toBeLessThan(late.steps);
    // The same way to prior and noise; what is kept is the best on it, but for the tolerance.
    expect(early.evidence.history).toEqual(late.evidence.history);
    expect(early.evidence.logMarginalLikelihood).toBeGreaterThanOrEqual(Math.max(...early.evidence.history) - 0.01);
    // Also where steps end before.
    const { evidence, converged } = await learn(false, 8);
    expect(converged).toBe(false);
    expect(evidence.logMarginalLikelihood).toBeGreaterThanOrEqual(Math.max(...evidence.history) - 0.01);
    await expect(learn("no" as never)).rejects.toThrow(/settle/);
  });

  test("of classes has no noise", async () => {
    const y = smooth.map((t) => (t > 0 ? 1 : 0));
    const { evidence, converged } = await train(
      small("float32", 2),
      { x, y },
      { loss: crossEntropy, optimizer: gaussNewton(), evidence: {} },
    );
    expect(converged).toBe(true);
    expect(evidence?.noise).toBeUndefined();
    expect(evidence?.priorPrecision.shape).toEqual([4]);
  });
});
