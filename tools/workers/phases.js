// A full posterior of 1,827 weights on 2,000 rows: fitted, tuned, asked and diagnosed; hashes of all bits.
import { chain, dense, mse, randomNormal, tanh } from "laplace-ts";

const hashOf = (value) => {
  let hash = 0;
  const add = (text) => {
    for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) >>> 0;
  };
  const visit = (one) => {
    if (ArrayBuffer.isView(one?.data))
      for (const bits of new Uint32Array(one.data.buffer)) hash = (Math.imul(hash, 31) + bits) >>> 0;
    else if (one !== null && typeof one === "object")
      for (const [key, each] of Object.entries(one)) {
        add(key);
        visit(each);
      }
    else add(String(one));
  };
  visit(value);
  return hash;
};
export const x = randomNormal([2000, 20], { seed: 1 });
const noise = randomNormal([2000, 1], { seed: 2 });
for (let i = 0; i < 2000; i++) noise.data[i] = Math.fround(x.data[20 * i] * x.data[20 * i + 1] + 0.3 * noise.data[i]);
export const data = { x, y: noise };
export const net = chain({ inputs: 20, seed: 3 }, dense(83, tanh), dense(1));
/** What each phase gives, and when it began. */
export async function run(remote) {
  const [values, begun] = [{}, {}];
  const phase = async (name, call) => {
    begun[name] = performance.now();
    values[name] = await call();
    return values[name];
  };
  const of = { likelihood: "regression", structure: "full", checks: false };
  begun.send = performance.now();
  const there = await remote.send(net);
  await phase("train", () => remote.train(there, data, { loss: mse, epochs: 20 }));
  begun.fit = performance.now();
  const fitted = await remote.laplace(there, of).fit(data);
  begun.tune = performance.now();
  const posterior = await fitted.optimizePrior();
  values.tuning = { ...posterior.tuning, noise: posterior.noise };
  await phase("predict", () => posterior.predict(x));
  await phase("evaluate", () => remote.evaluate(posterior, data));
  await phase("diagnose", () => posterior.diagnose(data));
  await phase("samples", () => posterior.functionSamples(x, 5));
  return { values, begun };
}

/** The values' bits. */
export const hashesOf = ({ values }) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, hashOf(value)]));
