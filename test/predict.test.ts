// laplace-ts/predict: posteriors out of files by values, with the numbers of laplace-ts.

import { describe, expect, test } from "vitest";
import * as library from "../src/index.ts";
import * as small from "../src/predict.ts";
import type { Structure } from "../src/structures/curvature.ts";

const rows: Record<Exclude<Structure, "operator">, small.StructureValue> = {
  full: small.full,
  diagonal: small.diagonal,
  kronecker: small.kronecker,
  ekfac: small.ekfac,
  kfoc: small.kfoc,
  lowRank: small.lowRank,
  functional: small.functional,
};
const { gaussian, categorical, bernoulli, poisson, heteroscedastic, layers } = small;

const x = library.randomNormal([9, 2], { seed: 1 });
const counts = Array.from({ length: 9 }, (_, i) => [(i * 7) % 5, i % 3]);
const cases = [
  [gaussian, library.gaussian({ noise: [0.3, 0.7] }), library.randomNormal([9, 2], { seed: 2 })],
  [gaussian, library.gaussian(), library.randomNormal([9, 2], { seed: 2 })],
  [categorical, library.categorical(), counts.map(([, label]) => label % 2)],
  [bernoulli, library.bernoulli(), counts.map((row) => row.map((count) => count % 2))],
  [poisson, library.poisson(), counts],
  [heteroscedastic, library.heteroscedastic(), counts.map(([one]) => [one])],
] as const;

const { chain, dense, tanh } = library;
const plain = chain({ inputs: 2, seed: 3, dtype: "float64" }, dense(4, tanh), dense(2));
const rich = chain(
  { inputs: 2, seed: 4 },
  dense(8, library.relu),
  library.layerNorm(),
  library.batchNorm(),
  library.dropout(0.1),
  dense(2),
);

describe.each(Object.keys(rows) as (keyof typeof rows)[])("a file with the structure %s", (structure) => {
  test.each(cases)("predicts the same numbers, to the bit (%#)", async (value, likelihood, y) => {
    for (const net of value === gaussian ? [plain, rich] : [plain]) {
      const data = { x, y: y as library.ArrayLike };
      const fitted = await library
        .laplace(net, { likelihood, structure, points: x, checks: false, priorPrecision: 2 })
        .fit(data);
      const bytes = library.savePosterior(fitted);
      const options = { structures: [rows[structure]], likelihoods: [value], ...(net === rich && { layers }) };
      const [ours, theirs] = [small.loadPosterior(bytes, options), library.loadPosterior(bytes)];
      const due = theirs.predict(x);
      expect(small.predict(ours, x)).toEqual(due);
      expect(await small.predictAsync(ours, x)).toEqual(due);
      const draws = { approximation: "network", samples: 5, seed: 6 } as const;
      expect(small.predict(ours, x, draws)).toEqual(theirs.predict(x, draws));
      // What takes any posterior takes these too.
      expect(library.evaluate(ours, data)).toEqual(library.evaluate(theirs, data));
    }
  });
});

test("what a file has and nobody named is said, with what to pass", async () => {
  const data = { x, y: library.randomNormal([9, 2], { seed: 2 }) };
  const of = async (net: library.Network) =>
    library.savePosterior(
      await library.laplace(net, { likelihood: library.gaussian(), structure: "full", checks: false }).fit(data),
    );
  const [bytes, other] = [await of(plain), await of(rich)];
  const load =
    (options: object, file = bytes) =>
    () =>
      small.loadPosterior(file, options as small.LoadOptions);
  const named = { structures: [small.full], likelihoods: [gaussian] };
  expect(load(named)).not.toThrow();
  const lacks = (what: string, option: string) =>
    `loadPosterior: the file has the ${what}. Import it from laplace-ts/predict, and pass it in ${option}.`;
  expect(load({ ...named, structures: [small.diagonal] })).toThrow(lacks('structure "full"', "structures"));
  expect(load({ ...named, likelihoods: [poisson, categorical] })).toThrow(
    lacks('likelihood "gaussian"', "likelihoods"),
  );
  expect(load(named, other)).toThrow(lacks('layer "normalise"', "layers"));
  expect(load({ ...named, layers }, other)).not.toThrow();
  for (const options of [
    undefined,
    {},
    { ...named, structures: ["full"] },
    { ...named, likelihoods: gaussian },
    { ...named, layers: 1 },
  ]) {
    expect(load(options as object)).toThrow(library.OptionError);
  }
  const exact = await library
    .laplace(plain, {
      likelihood: library.gaussian(),
      structure: "full",
      curvature: "hessian",
      checks: false,
      clip: true,
    })
    .fit(data);
  // The program has brought it: laplace of laplace-ts does.
  expect(small.predict(small.loadPosterior(library.savePosterior(exact), named), x)).toEqual(exact.predict(x));
  const prior = await library
    .laplace(plain, { likelihood: library.gaussian(), structure: "full", checks: false, prior: exact })
    .fit(data);
  expect(load(named, library.savePosterior(prior))).toThrow(
    new library.OptionError(
      "loadPosterior: the file has a prior that is a matrix or another posterior, which loadPosterior of laplace-ts reads.",
    ),
  );
  const along = library.swag(plain, { rank: 2 });
  await library.train(plain, data, { loss: library.mse, epochs: 3, onProgress: along.collect });
  const averaged = library.swagPosterior(along, { likelihood: library.gaussian() });
  expect(load({ ...named, structures: [small.diagonal] }, library.savePosterior(averaged))).toThrow(
    "the file has a posterior of swag(), which loadPosterior of laplace-ts reads.",
  );
  expect(load(named, bytes.slice(0, -1))).toThrow(library.FileError);
  expect(load(named, library.saveFit(library.loadPosterior(bytes).fit))).toThrow("expected a posterior");
});
