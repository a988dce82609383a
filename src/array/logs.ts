// Sums of logarithms.

/** The product of two numbers between these has an exponent. */
const [LEAST, MOST] = [2 ** -500, 2 ** 500];

/**
 * Σ log x of positive numbers: the logarithms of products of as many as have an exponent, in a compensated sum (Neumaier 1974). It is
 * as exact as a few roundings, where a plain sum of logarithms loses digits with each.
 */
export function sumOfLogs(values: Float64Array): number {
  let [sum, lost, product] = [0, 0, 1];
  const add = (term: number) => {
    const next = sum + term;
    lost += Math.abs(sum) >= Math.abs(term) ? sum - next + term : term - next + sum;
    sum = next;
  };
  for (let i = 0; i < values.length; i++) {
    const x = values[i];
    if (!(x > LEAST && x < MOST)) {
      add(Math.log(x));
      continue;
    }
    product *= x;
    if (product > LEAST && product < MOST) continue;
    add(Math.log(product));
    product = 1;
  }
  add(Math.log(product));
  return Number.isFinite(sum) ? sum + lost : sum;
}
