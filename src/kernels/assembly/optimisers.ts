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

/** Two numbers, in float64. */
// @ts-ignore: decorator
@inline
function pair<T>(at: usize): v128 {
  return sizeof<T>() == 8 ? v128.load(at) : f64x2.promote_low_f32x4(v128.load64_zero(at));
}

// @ts-ignore: decorator
@inline
function storePair<T>(at: usize, values: v128): void {
  if (sizeof<T>() == 8) v128.store(at, values);
  else v128.store64_lane(at, f32x4.demote_f64x2_zero(values), 0);
}

/**
 * Adam (Kingma & Ba 2015, algorithm 1) with `decay` added to the gradient, and AdamW's decoupled decay
 * (Loshchilov & Hutter 2019). correction1 = 1 - beta1^t, correction2 = 1 - beta2^t.
 */
export function adamStep<T>(
  n: usize, theta: usize, g: usize, m: usize, v: usize, rate: f64, beta1: f64, beta2: f64, epsilon: f64,
  correction1: f64, correction2: f64, decay: f64, decoupledDecay: f64,
): void {
  // Two at a time, by the operations of the loop below in their order: the same bits.
  const pairs = n & ~1;
  const keep1 = f64x2.splat(beta1);
  const keep2 = f64x2.splat(beta2);
  const take1 = f64x2.splat(1 - beta1);
  const take2 = f64x2.splat(1 - beta2);
  // first / correction1 / (√(second / correction2) + ε) by one quotient: these and roots are most of the time.
  const scale = correction1 / Math.sqrt(correction2);
  const shift = correction1 * epsilon;
  const scales = f64x2.splat(scale);
  const shifts = f64x2.splat(shift);
  const rates = f64x2.splat(rate);
  const decays = f64x2.splat(decay);
  const decoupled = f64x2.splat(decoupledDecay);
  for (let i: usize = 0; i < pairs; i += 2) {
    const at = i * sizeof<T>();
    const parameter = pair<T>(theta + at);
    const gradient = f64x2.add(pair<T>(g + at), f64x2.mul(decays, parameter));
    const first = f64x2.add(f64x2.mul(keep1, pair<T>(m + at)), f64x2.mul(take1, gradient));
    const second = f64x2.add(f64x2.mul(keep2, pair<T>(v + at)), f64x2.mul(f64x2.mul(take2, gradient), gradient));
    storePair<T>(m + at, first);
    storePair<T>(v + at, second);
    const step = f64x2.div(first, f64x2.add(f64x2.mul(f64x2.sqrt(second), scales), shifts));
    const change = f64x2.mul(rates, f64x2.add(step, f64x2.mul(decoupled, parameter)));
    storePair<T>(theta + at, f64x2.sub(parameter, change));
  }
  for (let i = pairs; i < n; i++) {
    const at = i * sizeof<T>();
    const parameter = <f64>load<T>(theta + at);
    const gradient = <f64>load<T>(g + at) + decay * parameter;
    const first = beta1 * <f64>load<T>(m + at) + (1 - beta1) * gradient;
    const second = beta2 * <f64>load<T>(v + at) + (1 - beta2) * gradient * gradient;
    store<T>(m + at, <T>first);
    store<T>(v + at, <T>second);
    const step = first / (Math.sqrt(second) * scale + shift);
    store<T>(theta + at, <T>(parameter - rate * (step + decoupledDecay * parameter)));
  }
}
