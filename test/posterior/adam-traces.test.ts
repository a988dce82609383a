// The steps of Adam that LaplaceRedux.jl's notebooks print (dev/notebooks, at 3ba655c): prior precision and noise after 10, 20, … 100 steps
// of 0.1. The evidence knows a curvature by its eigenvalues alone, and those are of the matrices that the notebooks print.

import { expect, test } from "vitest";
import { chain, dense, gaussian, laplace } from "../../src/index.ts";

const tens = Array.from({ length: 10 }, (_, i) => 10 * (i + 1));

/** A posterior with that diagonal curvature, and ‖θ‖² of its weights. */
async function withCurvature(eigenvalues: readonly number[], square: number) {
  const inputs = eigenvalues.length;
  const net = chain({ inputs, dtype: "float64" }, dense(1, undefined, { bias: false }));
  net.setParameters(eigenvalues.map((_, i) => (i === 0 ? Math.sqrt(square) : 0)));
  const x = eigenvalues.map((value, i) => eigenvalues.map((_, j) => (i === j ? Math.sqrt(value) : 0)));
  const data = { x, y: net.forward(x) };
  return laplace(net, { likelihood: gaussian({ noise: 1 }), structure: "full", checks: false }).fit(data);
}

// As NumPy has them. What is below 0 by rounding is 0: of the second, −9e-12 altogether, which is taken off a small one, since of those
// their sum counts.
const ggn = [
  ...[0, 0, 9.97059079853562e-17, 6.54678231713008e-16, 2.895904928358575e-7, 6.424477432053378e-7],
  ...[1.5880283434268043e-6, 3.5774156520527196e-6, 3.884617823602961e-5, 5.770196828888499e-5, 0.0001105613807091503],
  ...[0.00041040323573907984, 0.0006579235988509719, 0.0010685582726296466, 0.004467104925665062],
  ...[0.007939082930437205, 0.03296210384339139, 0.0472547720992819, 0.07103838629481851, 0.0745255981810869],
  ...[0.12120068268031063, 0.32593644383882237, 0.5696527631128518, 0.9157130888210033, 4.199219564702064],
];
const fisher = [
  ...[0, 0, 0, 0, 2.279190650883557e-13, 2.408065573710698e-13, 6.889387022891326e-13, 1.7374017298406022e-12],
  ...[3.1399815815897212e-12, 8.713031385467713e-12, 1.048481074056792e-11, 1.283632442741047e-10],
  ...[3.3126634888871625e-10, 6.096774308055736e-10, 1.128947605702019e-9, 5.958938764997069e-9],
  ...[1.4842203514510313e-8, 3.994806234874869e-8, 5.285969744239588e-8, 1.8352869752829126e-7],
  ...[1.0570105793316978e-6, 0.00016058199281204303, 0.00028248602375207526, 0.001720847304255283],
  ...[0.0021253939461536534],
];
test.each<[string, number[], number, number[]]>([
  [
    "GGN-Julia.ipynb",
    ggn,
    380.272187877002,
    [
      ...[0.3848888090532633, 0.18013611929199855, 0.10577604910062696, 0.07388806068514735, 0.05778481206695744],
      ...[0.04843209462802649, 0.04235776304937732, 0.03807141865451998, 0.034867933027250324, 0.03238107756434279],
    ],
  ],
  [
    "Multi-Class-Julia-SGD.ipynb",
    fisher,
    395.6233974524464,
    [
      ...[0.3845887342688898, 0.17896912735072892, 0.1036198007388621, 0.0707463619291495, 0.05367952802473911],
      ...[0.04340717438655891, 0.036478796423013334, 0.03141465016193548, 0.02750888096784476, 0.024387528670763547],
    ],
  ],
])("the prior precision, in %s", async (_, eigenvalues, square, trace) => {
  const posterior = await withCurvature(eigenvalues, square);
  const found = tens.map((steps) =>
    posterior.optimizePrior({ method: "adam", steps, learningRate: 0.1, noise: false }).priorPrecision.at(0),
  );
  expect(found).toBeAllClose(trace, { relative: 1e-12 });
});

test("the noise, in batching/regression.ipynb", async () => {
  // 300 examples whose losses have that sum. There the curvature is not divided by the noise's square, and here it is 0.
  const loss = 16.57528885409789;
  const net = chain({ inputs: 1, dtype: "float64" }, dense(1, undefined, { bias: false }));
  const x = Array.from({ length: 300 }, () => [0]);
  const y = x.map(() => [Math.sqrt((2 * loss) / 300)]);
  const posterior = await laplace(net, { likelihood: gaussian({ noise: 1 }), structure: "full", checks: false }).fit({
    x,
    y,
  });
  const found = tens.map((steps) => posterior.optimizePrior({ method: "adam", steps, learningRate: 0.1 }).noise.at(0));
  expect(found).toBeAllClose(
    [
      ...[0.37820655863927616, 0.2711522260853522, 0.37112717490481134, 0.34209052760770314, 0.3167934799539536],
      ...[0.3420981955854785, 0.3301151867329614, 0.33154697465156074, 0.3340310144815033, 0.3311327507895544],
    ],
    { relative: 1e-12 },
  );
});
