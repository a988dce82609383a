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
