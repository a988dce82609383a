import { expect, test } from "vitest";
import {
  batchedOuter,
  chain,
  DataLoader,
  dense,
  einsum,
  mse,
  perSampleGradients,
  sigmoid,
  toyRegression,
} from "../src/index.ts";

test("the lines of the README: per-sample gradients and their outer products, two ways", () => {
  const data = toyRegression({ samples: 128, seed: 1 });
  const net = chain({ inputs: [1], seed: 1 }, dense(32, sigmoid), dense(1));
  const batch = new DataLoader(data, { batchSize: 2 }).first();
  const g = perSampleGradients(net, mse, batch);
  expect(g.shape).toEqual([2, 97]);
  const H = batchedOuter(g);
  expect(H.shape).toEqual([2, 97, 97]);
  expect(einsum("bi,bj->bij", g, g).data).toEqual(H.data);
});
