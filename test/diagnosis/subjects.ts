// Data drawn from a function and a likelihood, and networks trained on them as one should.

import {
  adam,
  array,
  binaryCrossEntropy,
  chain,
  crossEntropy,
  dense,
  einsum,
  type LaplaceOptions,
  laplace,
  mse,
  type Network,
  type Posterior,
  Random,
  tanh,
  train,
  vjp,
} from "../../src/index.ts";

const wave = ([a, b]: readonly number[]) => [Math.sin(1.5 * a) + 0.3 * b, b * Math.cos(a), -0.5 * a];

/** Functions of two inputs, and what is drawn at their values. */
export const kinds = {
  regression: {
    outputs: 1,
    values: (x: readonly number[]) => wave(x).slice(0, 1),
    draw: ([f]: number[], random: Random) => f + 0.3 * random.normal(),
  },
  classification: {
    outputs: 3,
    values: wave,
    draw: (f: number[], random: Random) => {
      const weights = f.map((value) => Math.exp(1.5 * value));
      let rest = random.uniform() * weights.reduce((a, b) => a + b);
      return weights.findIndex((weight) => {
        rest -= weight;
        return rest < 0;
      });
    },
  },
  binary: {
    outputs: 1,
    values: (x: readonly number[]) => wave(x).slice(0, 1),
    draw: ([f]: number[], random: Random) => (random.uniform() < 1 / (1 + Math.exp(-2 * f)) ? 1 : 0),
  },
  count: {
    outputs: 1,
    values: ([a, b]: readonly number[]) => [1 + 0.5 * a - 0.3 * b],
    draw: ([f]: number[], random: Random) => {
      const limit = Math.exp(-Math.exp(f));
      let [count, product] = [0, random.uniform()];
      for (; product > limit; count++) product *= random.uniform();
      return count;
    },
  },
} as const;

export type Kind = keyof typeof kinds;

/** n examples with two inputs each. */
export function draw(kind: Kind, n: number, seed: number, shift = 0) {
  const random = new Random(seed);
  const x = Array.from({ length: n }, () => [4 * random.uniform() - 2, 4 * random.uniform() - 2]);
  const y = x.map(([a, b]) => kinds[kind].draw(kinds[kind].values([a, b]), random));
  return { x: array(x.map(([a, b]) => [a + shift, b + shift])), y: array(y) };
}

/** A network trained to a minimum: of counts, on which nothing trains a network, a linear one by Newton's steps. */
export async function trained(
  kind: Kind,
  data: ReturnType<typeof draw>,
  { seed = 1, hidden = 6, epochs = 1200, weightDecay = kind === "regression" ? 0 : 0.003 } = {},
): Promise<Network> {
  if (kind === "count") return newton(chain({ inputs: 2, seed, dtype: "float64" }, dense(1)), data);
  const net = chain({ inputs: 2, seed, dtype: "float64" }, dense(hidden, tanh), dense(kinds[kind].outputs));
  const loss = { classification: crossEntropy, binary: binaryCrossEntropy, regression: mse }[kind];
  const batchSize = data.x.shape[0];
  for (const [learningRate, share] of [
    [0.02, 0.6],
    [0.003, 0.4],
  ]) {
    const optimizer = adam({ learningRate });
    await train(net, data, { loss, optimizer, epochs: Math.ceil(share * epochs), batchSize, weightDecay });
  }
  return net;
}

async function newton(net: Network, data: ReturnType<typeof draw>): Promise<Network> {
  for (let step = 0; step < 30; step++) {
    const cotangents = net.forward(data.x).data.map((f: number, i: number) => Math.exp(f) - data.y.data[i]);
    const gradient = vjp(net, data.x, array(cotangents).reshape(-1, 1));
    const covariance = (await fitted("count", net, data, { structure: "full", priorPrecision: 1e-9 })).covariance();
    const move = einsum("ij,j->i", covariance, gradient).data;
    net.setParameters(net.parameters.data.map((theta: number, i: number) => theta - move[i]));
  }
  return net;
}

/** A posterior without tuning. */
export async function fitted(
  kind: Kind,
  net: Network,
  data: ReturnType<typeof draw>,
  options: Partial<LaplaceOptions> = {},
): Promise<Posterior> {
  return laplace(net, { likelihood: kind, checks: false, ...options }).fit(data);
}
