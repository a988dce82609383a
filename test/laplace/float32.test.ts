// Posteriors of float32 networks where the noise is small, so that what rounding leaves of the curvature is magnified.

import { expect, test } from "vitest";
import { adam, chain, dense, gaussian, laplace, mse, tanh, toyRegression, train } from "../../src/index.ts";

test.each([0.003, 0.03])(
  "with noise %f the whole matrix of a float32 network is that of the same one in float64",
  async (noise) => {
    const data = toyRegression({ samples: 100, seed: 1, noise, centerOrigin: true });
    const single = chain({ inputs: 1, seed: 1 }, dense(32, tanh), dense(1));
    await train(single, data, { loss: mse, optimizer: adam({ learningRate: 0.01 }), epochs: 1500, batchSize: 100 });
    const double = chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(32, tanh), dense(1));
    double.setParameters(single.parameters.as("float64"));
    const [ours, exact] = await Promise.all(
      [single, double].map(async (net) =>
        (await laplace(net, { likelihood: "regression", checks: false }).fit(data)).optimizePrior(),
      ),
    );
    // The Jacobian itself is in float32: what is left is its rounding.
    expect(ours.priorPrecision.data).toBeAllClose(exact.priorPrecision.data, { relative: 0.01 });
    expect([ours.likelihood.hyper.value]).toBeAllClose([exact.likelihood.hyper.value], { relative: 1e-3 });
    const x = [[-6], [-1], [0], [2.5], [7]];
    expect(ours.predict(x).functionVariance).toBeAllClose(exact.predict(x).functionVariance, { relative: 0.02 });
  },
);

test.each(["kronecker", "ekfac"] as const)(
  "with noise 0.03 and fixed priors the %s posterior agrees with float64",
  async (structure) => {
    const data = toyRegression({ samples: 100, seed: 1, noise: 0.03, centerOrigin: true });
    const single = chain({ inputs: 1, seed: 1 }, dense(20, tanh), dense(20, tanh), dense(1));
    await train(single, data, { loss: mse, optimizer: adam({ learningRate: 0.01 }), epochs: 1000, batchSize: 100 });
    const double = chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(20, tanh), dense(20, tanh), dense(1));
    double.setParameters(single.parameters.as("float64"));
    const likelihood = gaussian({ noise: 0.03 });
    const [ours, exact] = await Promise.all(
      [single, double].map((net) =>
        laplace(net, { likelihood, structure, priorPrecision: 0.1, checks: false }).fit(data),
      ),
    );
    const x = [[-6], [-1], [0], [2.5], [7]];
    expect(ours.predict(x).functionVariance).toBeAllClose(exact.predict(x).functionVariance, { relative: 0.02 });
    expect([ours.logMarginalLikelihood()]).toBeAllClose([exact.logMarginalLikelihood()], { relative: 1e-3 });
  },
);
