// Steps of the optimisers, in place, elementwise.

/** v = momentum v + g;  theta -= rate * (nesterov ? g + momentum v : v), with g += decay theta first. */
export function sgdStep<T>(
  n: usize, theta: usize, g: usize, v: usize, rate: f64, momentum: f64, nesterov: bool, decay: f64,
): void {
  for (let i: usize = 0; i < n; i++) {
    const at = i * sizeof<T>();
    const parameter = <f64>load<T>(theta + at);
    const gradient = <f64>load<T>(g + at) + decay * parameter;
    let direction = gradient;
    if (momentum != 0) {
      const velocity = momentum * <f64>load<T>(v + at) + gradient;
      store<T>(v + at, <T>velocity);
      direction = nesterov ? gradient + momentum * velocity : velocity;
    }
    store<T>(theta + at, <T>(parameter - rate * direction));
  }
}

/**
 * Adam (Kingma & Ba 2015, algorithm 1) with `decay` added to the gradient, and AdamW's decoupled decay
 * (Loshchilov & Hutter 2019). correction1 = 1 - beta1^t, correction2 = 1 - beta2^t.
 */
export function adamStep<T>(
  n: usize, theta: usize, g: usize, m: usize, v: usize, rate: f64, beta1: f64, beta2: f64, epsilon: f64,
  correction1: f64, correction2: f64, decay: f64, decoupledDecay: f64,
): void {
  for (let i: usize = 0; i < n; i++) {
    const at = i * sizeof<T>();
    const parameter = <f64>load<T>(theta + at);
    const gradient = <f64>load<T>(g + at) + decay * parameter;
    const first = beta1 * <f64>load<T>(m + at) + (1 - beta1) * gradient;
    const second = beta2 * <f64>load<T>(v + at) + (1 - beta2) * gradient * gradient;
    store<T>(m + at, <T>first);
    store<T>(v + at, <T>second);
    const step = first / correction1 / (Math.sqrt(second / correction2) + epsilon);
    store<T>(theta + at, <T>(parameter - rate * (step + decoupledDecay * parameter)));
  }
}
