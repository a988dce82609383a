// What all kinds of pages do with their worker.
import { chain, dense, mse, tanh, toyRegression } from "laplace-ts";
export async function ask(remote) {
  const net = await remote.send(chain({ inputs: 1, seed: 1 }, dense(8, tanh), dense(1)));
  const data = toyRegression({ samples: 50, seed: 1 });
  await remote.train(net, data, { loss: mse, epochs: 20 });
  const posterior = await remote.laplace(net, { likelihood: "regression", checks: false }).fit(data);
  const { variance } = await posterior.predict([[0.5]]);
  const { build } = await remote.kernelInfo();
  remote.close();
  return `${build} ${variance.item()}`;
}
