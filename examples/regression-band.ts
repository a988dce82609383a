// Regression with a band: how sure is a network of its curve, where it has seen data and where it has not?
//
//   node build/examples/regression-band.js

import { adam, chain, dense, laplace, mse, tanh, toyRegression, train } from "laplace-ts";
import { draw } from "./draw.ts";

// 100 noisy points of a sine curve between -4 and 4, and a small network trained on them as usual.
const data = toyRegression({ samples: 100, noise: 0.3, centerOrigin: true, seed: 1 });
const net = chain({ inputs: 1, seed: 1 }, dense(16, tanh), dense(1));
await train(net, data, { loss: mse, optimizer: adam({ learningRate: 0.01 }), epochs: 1500, batchSize: 100 });

// From the trained network to a Gaussian over its weights; then the data choose the prior's precision and the noise.
const fitted = await laplace(net, { likelihood: "regression" }).fit(data);
const posterior = fitted.optimizePrior();

console.log(`${posterior}`);
console.log(`log evidence: ${fitted.logMarginalLikelihood().toFixed(2)} before tuning,`);
console.log(`              ${posterior.logMarginalLikelihood().toFixed(2)} after; the true noise is 0.3`);
console.log();

// The prediction on a grid that reaches beyond the data.
const grid = Array.from({ length: 65 }, (_, i) => i / 4 - 8);
const { mean, variance, functionVariance } = posterior.predict(grid.map((x) => [x]));

// The band holds 95 % of new targets: uncertainty of the curve and noise around it, added as variances.
console.log("      x    mean    sd of the curve    95 % band of targets");
const rows = grid.map((x, i) => {
  const [m, sd, curve] = [mean.at(i, 0), Math.sqrt(variance.at(i, 0)), Math.sqrt(functionVariance.at(i, 0))];
  return { x, mean: m, curve, low: m - 1.96 * sd, high: m + 1.96 * sd };
});
const fixed = (value: number, width: number) => value.toFixed(2).padStart(width);
for (const { x, mean, curve, low, high } of rows.filter((_, i) => i % 4 === 0)) {
  const where = Math.abs(x) <= 4 ? "data" : "";
  console.log(
    `${fixed(x, 7)} ${fixed(mean, 7)} ${fixed(curve, 18)}   ${fixed(low, 8)} to ${fixed(high, 6)}   ${where}`,
  );
}
console.log();

// The same as a picture.
console.log("        the curve (*), its band (:) and the data (o)");
const points = [...data.x.data].map((x, i) => [x, data.y.data[i]] as const);
for (const line of draw(rows, points, { from: -6, to: 6 })) console.log(line);
