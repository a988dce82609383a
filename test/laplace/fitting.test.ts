// Fitting: data it cannot take, what it says meanwhile and how it stops, its warning, and the memory budget. Nothing is half
// changed behind a fit that fails.

import { afterEach, describe, expect, test, vi } from "vitest";
import {
  adam,
  array,
  chain,
  curvatureOf,
  curvatureProduct,
  DataLoader,
  dense,
  exp,
  gradient,
  type LaplaceError,
  laplace,
  MemoryBudgetError,
  mse,
  OptionError,
  randomNormal,
  ShapeError,
  tanh,
  toyRegression,
  train,
  ValueError,
  zeros,
} from "../../src/index.ts";
import { memoryUse } from "../../src/kernels/memory.ts";
import type { KroneckerCurvature } from "../../src/structures/kronecker/curvature.ts";

const net = chain({ inputs: 2, dtype: "float64", seed: 1 }, dense(3, tanh), dense(2));
const x = randomNormal([6, 2], { seed: 1 });
const y = randomNormal([6, 2], { seed: 2 });
const data = { x, y };
const likelihood = "regression";
const before = net.parameters.clone();
const quiet = { likelihood, checks: false } as const;
const fitted = await laplace(net, quiet).fit(data);
const evidence = fitted.logMarginalLikelihood();

afterEach(() => {
  expect(net.parameters).toEqual(before);
  expect(fitted.logMarginalLikelihood()).toBe(evidence);
  expect(memoryUse().inUse).toBe(0);
});

type Kind = new (...values: never[]) => LaplaceError;

function refuses(call: () => unknown, error: Kind, message: RegExp): void {
  expect(call).toThrow(error);
  expect(call).toThrow(message);
}

async function rejects(call: () => Promise<unknown>, error: Kind, message: RegExp): Promise<void> {
  await expect(call()).rejects.toThrow(error);
  await expect(call()).rejects.toThrow(message);
}

describe("fit and curvatureOf refuse data", () => {
  const overflowing = chain({ inputs: 2, dtype: "float64", seed: 1 }, dense(3, exp), dense(2));
  const bad: [string, object, unknown, Kind, RegExp][] = [
    [
      "inputs that are not finite",
      {},
      { x: [[1, Number.NaN]], y: [[1, 2]] },
      ValueError,
      /x has the value NaN at \[0, 1\]/,
    ],
    ["targets that are not finite", {}, { x: [[1, 2]], y: [[1, Infinity]] }, ValueError, /y has the value Infinity/],
    ["inputs of another width", {}, { x: [[1, 2, 3]], y: [[1, 2]] }, ShapeError, /inputs of shape \[B, 2\]/],
    ["targets of another width", {}, { x: [[1, 2]], y: [[1, 2, 3]] }, ShapeError, /targets have shape \[1, 3\]/],
    ["fewer targets than inputs", {}, { x, y: y.sub(0).reshape(1, 2) }, ShapeError, /\[6, 2\] and \[1, 2\]/],
    ["no examples", {}, { x: [], y: [] }, ShapeError, /no samples/],
    ["no batches", {}, [], ValueError, /there are no data/],
    ["no batches, twice", { structure: "ekfac" }, [], ValueError, /there are no data/],
    ["no targets", {}, { x }, ValueError, /an object \{ x, y \} of inputs and targets, or batches/],
    ["nothing", {}, undefined, ValueError, /an object \{ x, y \}/],
    ["a number", {}, 3, ValueError, /an object \{ x, y \}/],
    ["a batch among batches without targets", {}, [data, { x }], ValueError, /an object \{ x, y \}/],
    [
      "an iterator that is gone through twice",
      { structure: "ekfac" },
      [data].values(),
      ValueError,
      /"ekfac" goes through the data more than once, .* DataLoader/,
    ],
  ];

  test.each(bad)("%s", async (_, options, given, error, message) => {
    const named = (name: string) => new RegExp(`^${name}: `);
    const call = () => curvatureOf(net, likelihood, given as never, options);
    refuses(call, error, message);
    expect(call).toThrow(named("curvatureOf"));
    const fit = () => laplace(net, { ...quiet, ...options }).fit(given as never);
    await rejects(fit, error, message);
    await expect(fit()).rejects.toThrow(named("fit"));
  });

  test("values of the network that are not finite, by example and layer", async () => {
    const far = {
      x: [
        [0, 0],
        [1e4, 1e4],
        [-1e4, -1e4],
      ],
      y: zeros([3, 2]),
    };
    const message = /at example [12] the network's value after "exp" is not finite/;
    refuses(() => curvatureOf(overflowing, likelihood, far), ValueError, message);
    refuses(() => curvatureProduct(overflowing, likelihood, far, new Float64Array(17)), ValueError, message);
    // Examples are counted over batches.
    refuses(() => curvatureOf(overflowing, likelihood, [data, far]), ValueError, /at example [78] the network's value/);
    const wide = await laplace(overflowing, quiet).fit(data);
    refuses(() => wide.predict(far.x), ValueError, /^predict: at example [12] the network's value after "exp"/);
    const broken = net.clone();
    broken.parameters.data[0] = Number.NaN;
    const cause = /example 0 .* "linear" .* parameters that are not finite/;
    await rejects(() => laplace(broken, quiet).fit(data), ValueError, cause);
  });

  test("a loss or a curvature that overflows", () => {
    const rates = chain({ inputs: 1, dtype: "float32" }, dense(1));
    rates.setParameters([1, 0]);
    const counts = { x: [[1], [800]], y: [[1], [2]] };
    const loss = /loss of examples 0 to 1 is not finite.* overflows float32/;
    refuses(() => curvatureOf(rates, "count", counts), ValueError, loss);
    // Of few weights all is summed in float64, which does not overflow here, as are a Gaussian's factors of many.
    const many = chain({ inputs: 3000, dtype: "float32" }, dense(1));
    many.setParameters(zeros([3001]));
    const far = { x: [new Float32Array(3000).fill(1e20)], y: [[0]] };
    const curvature = /curvature is not finite.* squares overflow float32/;
    refuses(() => curvatureOf(many, likelihood, far, { structure: "diagonal" }), ValueError, curvature);
    const one = { x: [[1], [1e20]], y: [[1], [0]] };
    expect(curvatureOf(rates, likelihood, one, { structure: "diagonal" }).diagonal().at(0)).toBeCloseTo(1e40, -35);
  });

  test("data that change between two passes", async () => {
    const ekfac = { ...quiet, structure: "ekfac" } as const;
    const moved = {
      x,
      y: array(
        y.data.map((t: number) => t + 1),
        { shape: y.shape },
      ),
    };
    let calls = 0;
    const changing = {
      *[Symbol.iterator]() {
        yield calls++ % 2 === 0 ? data : moved;
      },
    };
    const changed = /^fit: the data changed between two passes: 6 examples with the loss .* first, 6 with/;
    await rejects(() => laplace(net, ekfac).fit(changing), ValueError, changed);
    const batches = [data];
    const emptied = {
      *[Symbol.iterator]() {
        yield* batches.splice(0);
      },
    };
    const exhausted = laplace(net, ekfac).fit(emptied);
    await expect(exhausted).rejects.toThrow(/6 examples .* first, 0 with 0 then.* only once/);
    // A loader that shuffles gives the same data in another order, and a basis makes one pass of two.
    const shuffled = new DataLoader(data, { batchSize: 4, shuffle: true });
    expect((await laplace(net, ekfac).fit(shuffled)).examples).toBe(6);
    const basis = curvatureOf(net, likelihood, data, { structure: "kronecker" });
    expect((await laplace(net, { ...ekfac, basis }).fit([data].values())).examples).toBe(6);
  });
});

test.each([
  ["float64", 1e-9],
  ["float64", 1e9],
  ["float32", 1e-9],
  ["float32", 1e6],
] as const)("changes between two passes are seen in any unit: %s, %d", async (dtype, unit) => {
  const net = chain({ inputs: 2, seed: 1, dtype }, dense(2));
  const weights = net.parameters.data.map((w, i) => w * (i === 0 || i === 1 || i === 4 ? unit : 1));
  net.setParameters(weights);
  const x = randomNormal([30, 2], { seed: 1, dtype });
  // Residuals of a thousandth: the rounding of the function counts, and is not a change.
  const noise = randomNormal([30, 2], { seed: 2 }).data;
  const exact = net.forward(x).data;
  const near = (factor: number) =>
    array(
      exact.map((f: number, i: number) => f + factor * (i % 2 === 0 ? unit : 1) * 1e-3 * noise[i]),
      { shape: [30, 2] },
    );
  const options = { likelihood: "regression", structure: "ekfac", checks: false } as const;
  const changing = (output: number) => {
    let calls = 0;
    const [y, other] = [near(1), near(1.01)];
    const moved = y.data.map((t: number, i: number) => (i % 2 === output ? other.data[i] : t));
    return {
      *[Symbol.iterator]() {
        yield { x, y: calls++ === 0 ? y : array(moved, { shape: [30, 2] }) };
      },
    };
  };
  for (const output of [0, 1]) {
    await expect(laplace(net, options).fit(changing(output))).rejects.toThrow("the data changed between two passes");
  }
  // The same data in batches of other sizes and another order.
  let calls = 0;
  const cut = {
    *[Symbol.iterator]() {
      yield* new DataLoader({ x, y: near(1) }, { batchSize: 7 + 4 * calls++, shuffle: true, seed: calls });
    },
  };
  expect((await laplace(net, options).fit(cut)).examples).toBe(30);
  // Nothing is left over: rounding alone.
  expect((await laplace(net, options).fit({ x, y: near(0) })).examples).toBe(30);
});

describe("a fit", () => {
  const batches = () => new DataLoader({ x: randomNormal([40, 2]), y: zeros([40, 2]) }, { batchSize: 8 });

  test("tells how far it is, twice over for ekfac", async () => {
    const seen: number[] = [];
    const onProgress = ({ examples }: { examples: number }) => seen.push(examples);
    await laplace(net, quiet).fit(batches(), { onProgress });
    expect(seen).toEqual([8, 16, 24, 32, 40]);
    await laplace(net, { ...quiet, structure: "ekfac" }).fit(batches(), { onProgress });
    expect(seen.slice(5)).toEqual([8, 16, 24, 32, 40, 8, 16, 24, 32, 40]);
  });

  test("stops at an abort, before it begins and on its way, with the signal's reason", async () => {
    const reason = new Error("enough");
    const early = AbortSignal.abort(reason);
    await expect(laplace(net, quiet).fit(batches(), { signal: early })).rejects.toBe(reason);
    for (const structure of ["full", "ekfac"] as const) {
      const controller = new AbortController();
      const seen: number[] = [];
      const onProgress = ({ examples }: { examples: number }) => {
        seen.push(examples);
        if (seen.length === 2) controller.abort(reason);
      };
      const fit = laplace(net, { ...quiet, structure }).fit(batches(), { onProgress, signal: controller.signal });
      await expect(fit).rejects.toBe(reason);
      expect(seen).toEqual([8, 16]);
      // The sums in the kernels' memory were given back: afterEach looks.
    }
  });

  test("is over where onProgress or the data throw, and gives back its memory", async () => {
    const failure = new Error("mine");
    const onProgress = () => {
      throw failure;
    };
    await expect(laplace(net, quiet).fit(batches(), { onProgress })).rejects.toBe(failure);
    expect(memoryUse().inUse).toBe(0);
    const failing = {
      *[Symbol.iterator]() {
        yield data;
        throw failure;
      },
    };
    await expect(laplace(net, quiet).fit(failing)).rejects.toBe(failure);
  });

  test.each<[object, RegExp]>([
    [{ onprogress: () => {} }, /fit: unknown option "onprogress"\. Did you mean "onProgress"/],
    [{ onProgress: 3 }, /onProgress must be a function, not number/],
    [{ signal: new AbortController() }, /signal must be an AbortSignal/],
    [{ signal: null }, /signal must be an AbortSignal/],
  ])("refuses %o", async (options, message) => {
    await rejects(() => laplace(net, quiet).fit(data, options), OptionError, message);
  });

  test.each(["kronecker", "kfoc"] as const)(
    "after another has its factors where they are the same: %s",
    async (structure) => {
      const own = chain({ inputs: 2, dtype: "float64", seed: 1 }, dense(3, tanh), dense(2));
      const method = laplace(own, { ...quiet, structure });
      const first = await method.fit(data);
      own.parameters.data.forEach((w, i) => {
        own.parameters.data[i] = w + 0.1 * ((i % 3) - 1);
      });
      const [alone, after] = [await method.fit(data), await method.fit(data, { after: first })];
      const vectors = ({ curvature }: typeof first) =>
        (curvature as KroneckerCurvature).decompose().map(({ qa }) => qa);
      const [known, made, shared] = [first, alone, after].map(vectors);
      // The inputs' are the same on the same data, those of the hidden layer are not.
      if (structure === "kronecker") expect(shared[0]).toBe(known[0]);
      expect(made[0]).not.toBe(known[0]);
      expect(shared).toEqual(made);
      expect(after.logMarginalLikelihood()).toBe(alone.logMarginalLikelihood());
      const others = { x: randomNormal([6, 2], { seed: 3 }), y };
      const [there, beside] = [await method.fit(others), await method.fit(others, { after: first })];
      expect(vectors(beside)).toEqual(vectors(there));
      expect(beside.predict(x)).toEqual(there.predict(x));
    },
  );

  test("is after a posterior, and nothing else", async () => {
    const wrong = (await laplace(net, quiet).sum(data)) as unknown as typeof fitted;
    await rejects(() => laplace(net, quiet).fit(data, { after: wrong }), ValueError, /^fit: after must be a posterior/);
    const full = await laplace(net, { ...quiet, structure: "full" }).fit(data);
    const kronecker = laplace(net, { ...quiet, structure: "kronecker" });
    const [alone, after] = [await kronecker.fit(data), await kronecker.fit(data, { after: full })];
    expect(after.logMarginalLikelihood()).toBe(alone.logMarginalLikelihood());
  });

  test("is of the network as it was when it began, whatever is done to it meanwhile", async () => {
    const due = (await laplace(net, { ...quiet, structure: "ekfac" }).fit(batches())).covariance();
    const moving = net.clone();
    const fit = laplace(moving, { ...quiet, structure: "ekfac" }).fit(batches(), {
      onProgress: () => moving.parameters.data.fill(0.5),
    });
    const posterior = await fit;
    expect(posterior.covariance()).toEqual(due);
    expect(posterior.mean).toEqual(net.parameters);
    // Also afterwards.
    expect(posterior.predict(x).functionMean).toEqual(net.forward(x));
  });
});

describe("the warning of a loss that is not stationary", () => {
  const samples = toyRegression({ samples: 60, seed: 4, noise: 0.2, centerOrigin: true });
  const make = () => chain({ inputs: 1, dtype: "float64", seed: 2 }, dense(8, tanh), dense(1));
  const warningsOf = async (model: ReturnType<typeof make>, options: object = {}) => {
    const warnings: string[] = [];
    const onWarning = (message: string) => warnings.push(message);
    await laplace(model, { likelihood, onWarning, ...options }).fit(samples);
    return warnings;
  };

  test("comes for an untrained network, with the norm of the mean gradient", async () => {
    const [warning, ...more] = await warningsOf(make());
    expect(more).toEqual([]);
    // The loss of a Gaussian is half the squared error.
    const norm = Math.hypot(...gradient(make(), mse, samples).data) / 2;
    expect(warning).toContain(
      `laplace: The loss is not near a stationary point: its mean gradient has the norm ${norm.toPrecision(3)},`,
    );
    expect(await warningsOf(make(), { checks: false })).toEqual([]);
    expect(await warningsOf(make(), { weights: "lastLayer" })).toHaveLength(1);
  });

  test("goes to the console where nobody else takes it", async () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    await laplace(make(), { likelihood }).fit(samples);
    expect(warn).toHaveBeenCalledExactlyOnceWith(expect.stringContaining("laplace: The loss is not near"));
    await laplace(make(), { likelihood, checks: false }).fit(samples);
    expect(warn).toHaveBeenCalledTimes(1);
    warn.mockRestore();
  });

  test("does not come after training to convergence, with weight decay or without", async () => {
    for (const weightDecay of [0, 0.01]) {
      const model = make();
      const options = { loss: mse, weightDecay, batchSize: 60, shuffle: false };
      await train(model, samples, { ...options, optimizer: adam({ learningRate: 0.02 }), epochs: 1500 });
      expect(await warningsOf(model)).toEqual([]);
      expect(await warningsOf(model, { weights: "lastLayer" })).toEqual([]);
      // It is not silent as such: a step away from the minimum it comes.
      model.setParameters(model.parameters.data.map((w) => w * 1.5 + 0.1));
      expect(await warningsOf(model)).toHaveLength(1);
    }
  });
});

describe("the memory budget", () => {
  const wide = chain({ inputs: 100, seed: 1 }, dense(200, tanh), dense(10));
  const options = { likelihood: "classification", structure: "full", checks: false } as const;
  const labels = { x: zeros([4, 100]), y: [0, 1, 2, 3] };

  test("a matrix beyond it is refused before anything is computed, with its bytes and what fits", async () => {
    const unread = {
      *[Symbol.iterator](): Generator<typeof labels> {
        expect.unreachable("the data were read");
        yield labels;
      },
    };
    const before = memoryUse();
    const failure = await laplace(wide, options)
      .fit(unread)
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(MemoryBudgetError);
    const { bytes, budget, message } = failure as MemoryBudgetError;
    const weights = wide.parameterCount;
    expect(bytes).toBeGreaterThan(4 * 8 * weights ** 2);
    expect(bytes).toBeLessThan(5.1 * 8 * weights ** 2);
    expect(budget).toBe(2 ** 30);
    expect(message).toContain(`fit: the structure "full" over ${weights} weights needs`);
    expect(message).toContain(`(${bytes} bytes), the memory budget is 1.000 GiB.`);
    expect(message).toMatch(/Structures that fit: "diagonal" \(.*\), "kronecker" \(.*\), "ekfac" \(.*\)\. Or raise/);
    expect(memoryUse()).toEqual(before);
  });

  test("is the caller's, to the byte", async () => {
    const small = { ...options, likelihood, structure: "diagonal" } as const;
    const needed = await laplace(net, { ...small, memoryBudget: 0 })
      .fit(data)
      .catch((error) => error.bytes);
    expect(needed).toBeGreaterThan(17 * 8);
    await laplace(net, { ...small, memoryBudget: needed }).fit(data);
    await expect(laplace(net, { ...small, memoryBudget: needed - 1 }).fit(data)).rejects.toThrow(MemoryBudgetError);
    await laplace(net, { ...small, memoryBudget: Number.POSITIVE_INFINITY }).fit(data);
  });

  test("fewer weights are the way out where no structure fits, and single ones have three structures", async () => {
    const none = laplace(wide, { ...options, memoryBudget: 1000 }).fit(labels);
    await expect(none).rejects.toThrow(/No structure fits over these weights; choose fewer/);
    const indices = Array.from({ length: 5000 }, (_, i) => i);
    const some = laplace(wide, { ...options, weights: { indices }, memoryBudget: 2 ** 27 }).fit(labels);
    await expect(some).rejects.toThrow(/Structures that fit: "diagonal" \([^"]*\), "lowRank" \([^"]*\)\. Or/);
  });
});
