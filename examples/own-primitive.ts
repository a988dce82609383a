// A primitive from outside of the library: softsign, x / (1 + |x|). A value and a slope are enough for every derivative,
// every curvature and for files.
//
//   node build/examples/own-primitive.js

import {
  chain,
  dense,
  jvp,
  laplace,
  loadPosterior,
  mse,
  type Posterior,
  savePosterior,
  toyRegression,
  train,
} from "laplace-ts";
import { applyPrimitive, definePrimitive, elementwiseRules } from "laplace-ts/graph";

const softsign = definePrimitive<undefined>({
  name: "softsign",
  ...elementwiseRules({ value: (x) => x / (1 + Math.abs(x)), slope: (x) => 1 / (1 + Math.abs(x)) ** 2 }),
});

// From there on it is a layer like any other.
const data = toyRegression({ samples: 100, noise: 0.3, centerOrigin: true, seed: 1 });
const net = chain(
  { inputs: 1, dtype: "float64", seed: 1 },
  dense(16, (x) => applyPrimitive(softsign, [x], undefined)),
  dense(1),
);
await train(net, data, { loss: mse, epochs: 300 });

// The slope is the caller's word: along the inputs, the exact derivative is held against a difference.
const at = (x: number) => net.forward([[x]]).at(0, 0);
const exact = jvp(net, [[0.5]], { inputs: [[1]] }).at(0, 0);
const difference = (at(0.5 + 1e-5) - at(0.5 - 1e-5)) / 2e-5;
console.log(`slope at 0.5: ${exact.toFixed(6)}, by differences ${difference.toFixed(6)}`);

const posterior = await laplace(net, { likelihood: "regression", structure: "kronecker" }).fit(data);
const sd = (of: Posterior, x: number) => Math.sqrt(of.predict([[x]]).functionVariance.at(0, 0));
console.log(`sd of the curve: ${sd(posterior, 0).toFixed(4)} at 0, ${sd(posterior, 8).toFixed(4)} at 8`);

// A file names the primitive; where it is defined, the posterior comes back.
const again = loadPosterior(savePosterior(posterior));
console.log(`from a file:     ${sd(again, 0).toFixed(4)} at 0, ${sd(again, 8).toFixed(4)} at 8`);
