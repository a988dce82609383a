// The network of the front page: fitted to a few points, again and again, each time from where it was. The page and the
// picture that it begins with run this same code.

/** What is seen: the plane, and where the band is asked for. */
export const plane = { x: [-6, 6], y: [-3, 3] };
export const grid = Array.from({ length: 121 }, (_, i) => plane.x[0] + i / 10);

const wave = (x) => Math.sin(1.1 * x) * 1.1 + 0.1 * x;
const shaken = [0.12, -0.2, 0.05, 0.24, -0.1, -0.16, 0.18, -0.05, 0.1, -0.22, 0.15, -0.08, 0.2, -0.14];
const pointsAt = (xs, of) => xs.map((x, i) => [x, Math.round(100 * (of(x) + shaken[i])) / 100]);

/** Points to begin with, by what the page calls them. */
export const beginnings = {
  "A wave": pointsAt([-3.6, -3.1, -2.5, -2, -1.4, -0.9, -0.3, 0.2, 0.7, 1.3, 1.9, 2.4, 3], wave),
  "A gap": pointsAt([-5, -4.5, -4, -3.4, -2.9, -2.4, 2.3, 2.8, 3.2, 3.7, 4.3, 4.8], wave),
  "A line": pointsAt([-2.6, -2, -1.3, -0.7, 0, 0.6, 1.2, 1.9, 2.5], (x) => 0.6 * x),
};

/** 95 % of a Gaussian are within so many standard deviations. */
const width = 1.96;

/** @param library what "laplace-ts" exports; a page imports it when it is needed */
export function liveFit({ adam, chain, dense, laplace, mse, tanh, train }) {
  const net = chain({ inputs: 1, seed: 4, dtype: "float64" }, dense(14, tanh), dense(1));
  const untrained = net.parameters.clone();
  const columns = (points) => ({ x: points.map(([x]) => [x / 2]), y: points.map(([, y]) => [y]) });
  return {
    net,
    /** Forgets what was learned. */
    begin: () => net.setParameters(untrained),
    /** Goes on training. `turn` lets the page have its turn between two steps. */
    async step(points, epochs, turn = async () => {}) {
      const data = columns(points);
      const optimizer = adam({ learningRate: 0.02 });
      await train(net, data, { loss: mse, optimizer, epochs, batchSize: points.length, weightDecay: 0.002 });
      await turn();
      // It is asked for while the network still learns, which `fit` would warn of.
      const fitted = await laplace(net, { likelihood: "regression", checks: false }).fit(data);
      await turn();
      const posterior = await fitted.optimizePriorAsync();
      await turn();
      const { mean, variance, functionVariance } = await posterior.predictAsync(grid.map((x) => [x / 2]));
      const half = (of) => Array.from(of.data, (value) => width * Math.sqrt(value));
      return { mean: Array.from(mean.data), curve: half(functionVariance), target: half(variance) };
    },
  };
}
