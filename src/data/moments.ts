// Mean and standard deviation of values.

/** Mean and standard deviation (of the population). */
export function momentsOf(values: ArrayLike<number>): { mean: number; sd: number } {
  const n = values.length;
  let mean = 0;
  // Divided first: sums of huge values would overflow.
  for (let i = 0; i < n; i++) mean += values[i] / n;
  let square = 0;
  for (let i = 0; i < n; i++) square += (values[i] - mean) ** 2 / n;
  return { mean, sd: Math.sqrt(square) };
}
