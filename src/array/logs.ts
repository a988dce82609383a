// Sums of logarithms.

/** The product of two such numbers has an exponent. */
const within = (x: number) => x > 2 ** -500 && x < 2 ** 500;

/**
 * Σ log x of positive numbers: the logarithms of products of as many as have an exponent, in a compensated sum (Neumaier 1974). It is
 * as exact as a few roundings, where a plain sum of logarithms loses digits with each.
 */
export function sumOfLogs(values: Float64Array): number {
  const { length } = values;
  let [sum, lost] = [0, 0];
  for (let i = 0; i < length; ) {
    const first = i;
    let product = 1;
    // Four at a time, whose products do not wait for each other, as long as none leaves the range.
    for (; i + 4 <= length; i += 4) {
      const left = values[i] * values[i + 1];
      const right = values[i + 2] * values[i + 3];
      const next = product * (left * right);
      // Of two negative numbers the product is positive.
      if (!(values[i] > 0 && values[i + 2] > 0 && within(left) && within(right) && within(next))) break;
      product = next;
    }
    // Then one, or the last: a number out of the range stands alone.
    for (const end = Math.min(length, i + 4); i < end; i++) {
      const next = product * values[i];
      if (!within(next)) break;
      product = next;
    }
    const log = Math.log(i === first ? values[i++] : product);
    const next = sum + log;
    lost += Math.abs(sum) >= Math.abs(log) ? sum - next + log : log - next + sum;
    sum = next;
  }
  return Number.isFinite(sum) ? sum + lost : sum;
}
