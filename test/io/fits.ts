// Posteriors to save, and all that they answer.

import {
  type Approximation,
  add,
  array,
  bernoulli,
  categorical,
  chain,
  concatenate,
  type DType,
  dense,
  gaussian,
  type LaplaceOptions,
  type Likelihood,
  laplace,
  multiply,
  type NDArray,
  type Network,
  network,
  type Posterior,
  poisson,
  relu,
  reshape,
  residual,
  scaleShift,
  softmax,
  tanh,
} from "../../src/index.ts";

/** A network of everything: a shared layer, a residual block, scales and shifts, constants, two branches. */
export function everything(dtype: DType, outputs: number): Network {
  const shared = dense(3, tanh, { name: "shared" });
  return network({ inputs: 3, dtype, seed: 4 }, (x) => {
    const h = residual(dense(3, relu), scaleShift())(shared(x));
    const side = softmax(multiply(shared(add(h, -0)), 0.5));
    return dense(outputs, undefined, { bias: false })(concatenate(h, scaleShift({ shift: false })(side)));
  });
}

export const plain = (dtype: DType, outputs: number, shape: readonly number[] = [outputs]) =>
  chain({ inputs: 3, dtype, seed: 2 }, dense(4, tanh), dense(outputs), (x) => reshape(x, shape));

export const likelihoods: Record<
  string,
  { make: () => Likelihood; target: (i: number) => number[] | number; outputs: number; shape?: readonly number[] }
> = {
  gaussian: { make: () => gaussian({ noise: 0.3 }), target: (i) => [Math.sin(i), i % 3], outputs: 2 },
  "gaussian, a noise each": {
    make: () => gaussian({ noise: [0.3, 0.7] }),
    target: (i) => [Math.sin(i), i % 3],
    outputs: 2,
  },
  categorical: { make: () => categorical(), target: (i) => i % 3, outputs: 3 },
  "categorical at two positions": {
    make: () => categorical({ classAxis: "last", ignoredLabel: -100 }),
    target: (i) => [i % 2, i % 3 === 0 ? -100 : 1],
    outputs: 4,
    shape: [2, 2],
  },
  "bernoulli, some ignored": {
    make: () => bernoulli({ ignoredLabel: -1 }),
    target: (i) => [i % 2, (i % 3) - 1],
    outputs: 2,
  },
  bernoulli: { make: () => bernoulli(), target: (i) => [i % 2], outputs: 1 },
  poisson: { make: poisson, target: (i) => [i % 4, 1], outputs: 2 },
};

export const examples = 9;
export const inputs = array(Array.from({ length: examples }, (_, i) => [Math.cos(i), i / examples, (i % 2) - 0.5]));

export async function fit(
  net: Network,
  likelihood: keyof typeof likelihoods,
  options: Partial<LaplaceOptions> = {},
  first = 0,
): Promise<Posterior> {
  const { make, target } = likelihoods[likelihood];
  const y = array(Array.from({ length: examples - first }, (_, i) => target(i + first)));
  const x = array(Array.from({ length: examples - first }, (_, i) => inputs.sub(i + first)));
  return laplace(net, { likelihood: make(), checks: false, points: inputs, ...options }).fit({ x, y });
}

const bits = (values: NDArray) => ({ shape: values.shape, dtype: values.dtype, data: values.data });

/** Everything that a posterior says. */
export function answers(posterior: Posterior) {
  const { links } = posterior.likelihood;
  return {
    text: String(posterior),
    predictions: [...links, "network"].map((approximation) => {
      const prediction = posterior.predict(inputs, { approximation: approximation as Approximation, samples: 3 });
      return Object.values(prediction).map(bits);
    }),
    evidence: posterior.evidence(),
    gradient: posterior.evidenceGradient(),
    samples: bits(posterior.sample(2, { seed: 3 })),
    functions: bits(posterior.functionSamples(inputs, 2, { seed: 3 })),
    mean: bits(posterior.mean),
    priorMean: bits(posterior.priorMean),
    priorPrecision: bits(posterior.priorPrecision),
    indices: posterior.indices,
    curvature: bits(posterior.curvature.dense()),
    noise: posterior.noise && bits(posterior.noise),
    tuning: posterior.tuning,
    summary: posterior.net.summary(),
    numbers: [posterior.examples, posterior.loss, posterior.temperature, posterior.curvature.examples],
  };
}
