import { describe, expect, test } from "vitest";
import {
  chain,
  dense,
  epistemicScore,
  epistemicScoreAsync,
  evaluate,
  evaluateAsync,
  kernels,
  laplace,
  NDArray,
  outOfDistributionAuroc,
  outOfDistributionAurocAsync,
  type Posterior,
  randomNormal,
  type Structure,
  tanh,
  uncertainty,
  uncertaintyAsync,
} from "../../src/index.ts";
import { burstsOverAtOnce } from "../clock.ts";

const clock = burstsOverAtOnce();

const x = randomNormal([40, 3], { seed: 1 });
const sums = Array.from({ length: 40 }, (_, i) => x.data[3 * i] - x.data[3 * i + 1] * x.data[3 * i + 2]);
const targets = {
  regression: new NDArray(Float64Array.from(sums.flatMap((s) => [s, Math.sin(3 * s)])), [40, 2]),
  classification: sums.map((s) => (s > 0.3 ? 2 : s > -0.3 ? 1 : 0)),
  binary: new NDArray(
    Float64Array.from(sums, (s) => (s > 0 ? 1 : 0)),
    [40, 1],
  ),
};
type Task = keyof typeof targets;
const outputs = { regression: 2, classification: 3, binary: 1 };

const fitted = async (task: Task, structure: Structure): Promise<Posterior> => {
  const net = chain({ inputs: 3, seed: 2 }, dense(7, tanh), dense(outputs[task]));
  return laplace(net, { likelihood: task, structure, checks: false }).fit({ x, y: targets[task] });
};

/** Every asynchronous form beside its synchronous one. */
function forms(posterior: Posterior, task: Task) {
  const y = targets[task];
  const data = { x, y };
  const weights = [0, 1, 2].map((s) => posterior.mean.data.map((w: number, i: number) => w + ((s + i) % 5) / 10));
  const numbers = (tuned: Posterior) => [tuned.priorPrecision, tuned.noise, tuned.tuning, tuned.evidence()];
  type Options = { signal?: AbortSignal };
  const all: Record<string, [() => unknown, (options: Options) => Promise<unknown>]> = {
    optimizePrior: [
      () => numbers(posterior.optimizePrior()),
      async (options) => numbers(await posterior.optimizePriorAsync(options)),
    ],
    "optimizePrior with adam": [
      () => numbers(posterior.optimizePrior({ method: "adam", steps: 5 })),
      async (options) => numbers(await posterior.optimizePriorAsync({ method: "adam", steps: 5, ...options })),
    ],
    evidence: [() => posterior.evidence(), (options) => posterior.evidenceAsync(options)],
    evidenceGradient: [() => posterior.evidenceGradient(), (options) => posterior.evidenceGradientAsync(options)],
    covariance: [() => posterior.covariance(), (options) => posterior.covarianceAsync(options)],
    precision: [() => posterior.precision(), (options) => posterior.precisionAsync(options)],
    variance: [() => posterior.variance(), (options) => posterior.varianceAsync(options)],
    logProb: [() => posterior.logProb(weights), (options) => posterior.logProbAsync(weights, options)],
    epistemicScore: [() => epistemicScore(posterior, x), (options) => epistemicScoreAsync(posterior, x, options)],
    outOfDistributionAuroc: [
      () => outOfDistributionAuroc(posterior, x, x),
      (options) => outOfDistributionAurocAsync(posterior, x, x, options),
    ],
    sample: [() => posterior.sample(3, { seed: 4 }), (options) => posterior.sampleAsync(3, { seed: 4, ...options })],
    predict: [
      () => ({ ...posterior.predict(x) }),
      async (options) => ({ ...(await posterior.predictAsync(x, options)) }),
    ],
    "predict by networks": [
      () => posterior.predict(x, { approximation: "network", samples: 3 }),
      (options) => posterior.predictAsync(x, { approximation: "network", samples: 3, ...options }),
    ],
    functionCovariance: [
      () => posterior.functionCovariance(x),
      (options) => posterior.functionCovarianceAsync(x, options),
    ],
    "joint functionCovariance": [
      () => posterior.functionCovariance(x, { joint: true }),
      (options) => posterior.functionCovarianceAsync(x, { joint: true, ...options }),
    ],
    functionSamples: [
      () => posterior.functionSamples(x, 3),
      (options) => posterior.functionSamplesAsync(x, 3, options),
    ],
    diagnose: [() => posterior.diagnose(data), (options) => posterior.diagnoseAsync(data, options)],
    "diagnose without data": [() => posterior.diagnose(), (options) => posterior.diagnoseAsync(undefined, options)],
    evaluate: [() => evaluate(posterior, data), (options) => evaluateAsync(posterior, data, options)],
    uncertainty: [() => uncertainty(posterior, x), (options) => uncertaintyAsync(posterior, x, options)],
  };
  if (task !== "regression") {
    all.logProbabilities = [
      () => posterior.logProbabilities(x),
      (options) => posterior.logProbabilitiesAsync(x, options),
    ];
  }
  return Object.entries(all);
}

const cases = (["regression", "classification", "binary"] as const).flatMap((task) =>
  (["full", "kronecker", "diagonal", "ekfac"] as const).map((structure) => [task, structure] as const),
);

describe.each(cases)("of a %s with %s", (task, structure) => {
  test("asynchronous forms give the bits of the synchronous ones, and hold nothing afterwards", async () => {
    // Posteriors of their own: what one has computed, the other does not find.
    const [one, other] = [await fitted(task, structure), await fitted(task, structure)];
    const asynchronous = new Map(forms(other, task).map(([name, [, form]]) => [name, form]));
    for (const [name, [synchronous]] of forms(one, task)) {
      const form = asynchronous.get(name) as (options: object) => Promise<unknown>;
      const before = kernels.info().bytesInUse;
      expect(await form({}), name).toEqual(synchronous());
      expect(kernels.info().bytesInUse, name).toBe(before);
    }
  });

  test("abort works in every burst, changes nothing and leaves nothing held", async () => {
    const names = forms(await fitted(task, structure), task).map(([name]) => name);
    const formOf = (posterior: Posterior, name: string) => {
      const found = new Map(forms(posterior, task)).get(name);
      if (found === undefined) throw new Error(name);
      return found;
    };
    for (const name of names) {
      const [, form] = formOf(await fitted(task, structure), name);
      clock.looks = 0;
      const expected = await form({});
      const bursts = clock.looks;
      // The first, some in the middle, and the last.
      for (const share of [0, 0.3, 0.6, 0.95]) {
        const posterior = await fitted(task, structure);
        const [synchronous, again] = formOf(posterior, name);
        const [at, reason] = [Math.floor(share * bursts), new Error("enough")];
        clock.looks = 0;
        const signal = {
          throwIfAborted() {
            if (clock.looks >= at) throw reason;
          },
        } as AbortSignal;
        const before = kernels.info().bytesInUse;
        await expect(again({ signal }), `${name} at ${at} of ${bursts}`).rejects.toBe(reason);
        expect(kernels.info().bytesInUse, name).toBe(before);
        expect(synchronous(), name).toEqual(expected);
      }
    }
  });

  test("several at once, and calls in between, have the same bits", async () => {
    const posterior = await fitted(task, structure);
    const all = forms(posterior, task);
    const [, [inBetween]] = all.find(([name]) => name === "predict") as (typeof all)[number];
    const results = all.map(([, [, form]]) => form({}));
    const meanwhile = setInterval(inBetween, 0);
    const found = await Promise.all(results);
    clearInterval(meanwhile);
    const own = forms(await fitted(task, structure), task);
    for (const [i, [name, [synchronous]]] of own.entries()) expect(found[i], name).toEqual(synchronous());
  });
});

test("errors are the same, as rejections", async () => {
  const posterior = await fitted("regression", "full");
  const wrong = [[1, 2]] as never;
  const pairs: [() => unknown, () => Promise<unknown>][] = [
    [() => posterior.predict(wrong), () => posterior.predictAsync(wrong)],
    [() => posterior.predict(x, { sample: 3 } as never), () => posterior.predictAsync(x, { sample: 3 } as never)],
    [() => posterior.predict(x, 3 as never), () => posterior.predictAsync(x, 3 as never)],
    [() => posterior.predict(x, null as never), () => posterior.predictAsync(x, null as never)],
    [() => posterior.logProbabilities(x), () => posterior.logProbabilitiesAsync(x)],
    [() => posterior.optimizePrior({ steps: -1 }), () => posterior.optimizePriorAsync({ steps: -1 })],
    [() => posterior.sample(-1), () => posterior.sampleAsync(-1)],
    [() => posterior.logProb(wrong), () => posterior.logProbAsync(wrong)],
    [() => posterior.covariance({ memoryBudget: 8 }), () => posterior.covarianceAsync({ memoryBudget: 8 })],
    [() => posterior.precision({ memory: 8 } as never), () => posterior.precisionAsync({ memory: 8 } as never)],
    [() => epistemicScore(posterior, wrong), () => epistemicScoreAsync(posterior, wrong)],
    [() => posterior.functionSamples(x, 0.5), () => posterior.functionSamplesAsync(x, 0.5)],
    [() => posterior.functionCovariance(wrong), () => posterior.functionCovarianceAsync(wrong)],
    [() => posterior.diagnose({ x, y: wrong }), () => posterior.diagnoseAsync({ x, y: wrong })],
    [() => evaluate(3 as never, { x, y: wrong }), () => evaluateAsync(3 as never, { x, y: wrong })],
    [() => uncertainty(posterior, wrong), () => uncertaintyAsync(posterior, wrong)],
  ];
  for (const [synchronous, asynchronous] of pairs) {
    let thrown: unknown;
    try {
      synchronous();
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(Error);
    await expect(asynchronous()).rejects.toEqual(thrown);
  }
  for (const options of [{ signal: 3 }, { onProgress: "yes" }] as never[]) {
    await expect(posterior.predictAsync(x, options)).rejects.toThrow(/predict: (signal|onProgress) must be/);
  }
});
