// What is estimated from a seed, by a library that is given: the same numbers on every runtime, but for rounding.

/** @returns names with their numbers */
export async function estimates({
  chain,
  curvatureOf,
  curvatureOperator,
  dense,
  gaussian,
  laplace,
  randomNormal,
  solver,
  tanh,
}) {
  const net = chain({ inputs: 3, seed: 5, dtype: "float64" }, dense(8, tanh), dense(2));
  const data = (inputs, rows = 30) => ({
    x: randomNormal([rows, inputs], { seed: 1, dtype: "float64" }),
    y: randomNormal([rows, 2], { seed: 2, dtype: "float64" }),
  });
  const [few, likelihood] = [data(3), gaussian({ noise: 0.7 })];
  const operator = curvatureOperator(net, likelihood, few);
  const { values, weights } = operator.spectrum({ products: 24, vectors: 3, seed: 5 });
  const drawn = curvatureOf(net, likelihood, few, { structure: "diagonal", curvature: "monteCarlo", seed: 6 });
  const wide = chain({ inputs: 100, seed: 3, dtype: "float64" }, dense(10, tanh), dense(2));
  // Of few rows all are kept, and nothing is estimated.
  const lowRank = (curvature, rows) =>
    curvatureOf(wide, likelihood, data(100, rows), { structure: "lowRank", rank: 4, curvature }).lowRank();
  const fit = (options) => laplace(net, { likelihood, priorPrecision: 2, checks: false, ...options }).fit(few);
  const products = await fit({ structure: "operator", solver: solver({ probes: 6, seed: 8, tolerance: 1e-8 }) });
  const draws = await fit({ structure: "operator", solver: solver({ draws: 5, seed: 9, tolerance: 1e-8 }) });
  const points = await fit({ structure: "functional", points: 4, seed: 10 });
  const found = {
    "trace, Hutch++": operator.trace({ products: 9, seed: 3 }).value,
    "trace, Hutchinson": operator.trace({ method: "hutchinson", products: 9, seed: 3 }).value,
    diagonal: operator.diagonal({ products: 9, seed: 4 }).value.data,
    "the spectrum's nodes": values.data,
    "the spectrum's weights": weights.data,
    eigenvalues: operator.eigenvalues(3, { tolerance: 1e-10 }).values.data,
    "curvature by drawn targets": drawn.diagonal().data,
    "low rank of the GGN": lowRank("ggn", 600).values.data,
    "low rank of the Hessian": lowRank("hessian", 40).values.data,
    "evidence by probes": products.evidence().logMarginalLikelihood,
    "its standard error": products.evidence().standardError,
    "draws by products": products.sample(2, { seed: 11 }).data,
    "variances by draws": draws.predict(few.x).functionVariance.data,
    "points drawn from the data": points.evidence().logMarginalLikelihood,
  };
  return Object.fromEntries(Object.entries(found).map(([name, x]) => [name, typeof x === "number" ? [x] : [...x]]));
}
