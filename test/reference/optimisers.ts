// The optimisers, a parameter at a time, with plain numbers.

/** Takes a step: the gradient's entry and the parameter, gives the new parameter. One rule for each parameter. */
export type Rule = (gradient: number, theta: number) => number;

/** v ← μ v + g; θ ← θ − η v, or θ − η (g + μ v) with Nesterov's look ahead. */
export function sgdRule(rate: number, momentum = 0, nesterov = false): Rule {
  let v = 0;
  return (g, theta) => {
    v = momentum * v + g;
    return theta - rate * (nesterov ? g + momentum * v : v);
  };
}

/** Algorithm 1 of Kingma & Ba 2015; `decay` as Loshchilov & Hutter 2019 have it: θ shrinks by η · decay beside it. */
export function adamRule(rate: number, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, decay = 0): Rule {
  let m = 0;
  let v = 0;
  let t = 0;
  return (g, theta) => {
    t += 1;
    m = beta1 * m + (1 - beta1) * g;
    v = beta2 * v + (1 - beta2) * g ** 2;
    const mean = m / (1 - beta1 ** t);
    const square = v / (1 - beta2 ** t);
    return theta - rate * decay * theta - (rate * mean) / (Math.sqrt(square) + epsilon);
  };
}

/** Algorithm 1 of Shen et al. 2024 (arXiv:2402.17641) for one parameter, as it stands there. */
export function ivonRule(how: {
  rate: number;
  beta1: number;
  beta2: number;
  /** h₀ */
  first: number;
  lambda: number;
  delta: number;
}) {
  const { beta1, beta2, first, lambda, delta } = how;
  let [g, h, t] = [0, first, 0];
  const sigma = () => 1 / Math.sqrt(lambda * (h + delta));
  return {
    /** θ ~ N(m, σ²), by a standard normal number. */
    draw: (m: number, normal: number) => m + sigma() * normal,
    /** The next m, by the gradient at θ; the learning rate is times a factor. */
    step(gradient: number, m: number, theta: number, factor = 1): number {
      t += 1;
      const seen = (gradient * (theta - m)) / sigma() ** 2;
      g = beta1 * g + (1 - beta1) * gradient;
      h = beta2 * h + (1 - beta2) * seen + (0.5 * (1 - beta2) ** 2 * (h - seen) ** 2) / (h + delta);
      const mean = g / (1 - beta1 ** t);
      return m - (how.rate * factor * (first + delta) * (mean + delta * m)) / (h + delta);
    },
    precision: () => 1 / sigma() ** 2,
  };
}
