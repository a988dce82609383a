// What a page loads: bundled by Vite, compressed by gzip. A program takes what it uses, and no page the wide kernels.

import { gzipSync } from "node:zlib";
import { build, type Rollup } from "vite";
import { expect, test } from "vitest";

const KERNELS = /[A-Za-z0-9+/=]{10000,}/;

const source = (entry = "index") => JSON.stringify(`${process.cwd()}/src/${entry}.ts`);

/** A program's one file, minified. */
async function bundled(code: string): Promise<string> {
  const id = "virtual:program";
  const program = {
    name: "program",
    resolveId: (name: string) => (name === id ? `\0${id}` : undefined),
    load: (name: string) =>
      name === `\0${id}` ? code.replace(/"laplace-ts(?:\/(\w+))?"/g, (_, entry) => source(entry)) : undefined,
  };
  const result = (await build({
    configFile: false,
    logLevel: "error",
    plugins: [program],
    build: { write: false, target: "es2022", minify: true, rollupOptions: { input: id } },
  })) as Rollup.RollupOutput;
  expect(result.output.length).toBe(1);
  return result.output[0].code;
}

const kilobytes = (text: string) => gzipSync(text, { level: 9 }).length / 1000;

test("einsum alone takes 14 kB without the kernels, and those 10", async () => {
  const text = await bundled(
    'import { einsum } from "laplace-ts"; globalThis.found = einsum("ij,jk->ik", globalThis.a, globalThis.b);',
  );
  const rest = text.replace(KERNELS, "");
  expect(rest.length).toBeLessThan(text.length);
  expect(kilobytes(rest)).toBeLessThan(14);
  // 0.04 are that threads share triangles of products of two matrices, 0.05 that products with the batch last are written where they lie, and
  // 0.08 that they share sums of weighted products.
  expect(kilobytes(text)).toBeLessThan(24.2);
  // Nothing of networks or posteriors comes along.
  expect(rest).not.toMatch(/posterior|layerNorm|cross-entropy/i);
});

test("a chain, its training, a posterior and predictions take 67 kB by laplace-ts/mini", async () => {
  const text =
    await bundled(`import { chain, dense, full, gaussian, laplace, mse, predict, tanh, train } from "laplace-ts/mini";
    const { data, x } = globalThis;
    const net = chain({ inputs: [1] }, dense(8, tanh), dense(1));
    await train(net, data, { loss: mse });
    globalThis.found = predict(await laplace(net, { likelihood: gaussian(), structure: full }).fit(data), x);`);
  // Of which 0.6 are that a batch is cut into shards, so that its bits are those of many threads, and 0.1 that parts are as large
  // as nodes ask for, and that a diagnosis's memory is known, and 0.1 that a last layer's blocks may be known by others, and 0.1 that
  // parts are as large as caches, and data that lie in order are read there.
  expect(kilobytes(text)).toBeLessThan(67.55);
  // What is not named is left out: other structures, likelihoods and primitives, tuning, diagnosis.
  expect(text).not.toMatch(
    /safetensors|einsum:|eigenbas[ie]s of|meanField|batchNormalise|convolution:|over-?confident/,
  );
});

test("a posterior out of a file and its predictions take 56 kB by laplace-ts/predict, and 70 with all layers", async () => {
  const program = (more: string) =>
    bundled(`import { full, gaussian, layers, loadPosterior, predict } from "laplace-ts/predict";
      const { bytes, x } = globalThis;
      globalThis.found = predict(loadPosterior(bytes, { structures: [full], likelihoods: [gaussian]${more} }), x);`);
  const text = await program("");
  expect(kilobytes(text)).toBeLessThan(56.2);
  expect(text).not.toMatch(/epochs|evidence|einsum:|eigenbas[ie]s of|meanField|convolution:|over-?confident/);
  const rich = await program(", layers");
  // Of which 1 is that gradients of convolutions' weights go by minimal filtering, and 0.1 that an input that is not finite is called so.
  expect(kilobytes(rich)).toBeLessThan(70.6);
  expect(rich).toMatch(/convolution/);
});

test("by laplace-ts, whose names and methods stand for more, they take 141 kB", async () => {
  const text = await bundled(`import { chain, dense, gaussian, laplace, mse, tanh, train } from "laplace-ts";
    const { data, x } = globalThis;
    const net = chain({ inputs: [1] }, dense(8, tanh), dense(1));
    await train(net, data, { loss: mse });
    globalThis.found = (await laplace(net, { likelihood: gaussian() }).fit(data)).predict(x);`);
  // Of which 1.5 are a structure that may be named, 1.4 that an earlier posterior, named by nothing, can be the prior of the next, and 1.6 that
  // it can be one of Kronecker factors, 1.5 the structure "kfoc", 0.5 one whose solver brings the rest, and 0.5 that points of "functional" are drawn; 1 is "lowRank"
  // of the exact Hessian, which names alone ask for too, 0.1 that machines hand over sums of many shards at once, 0.7 that "lowRank",
  // which may be named, keeps all rows where they are few, and adds such fits, 0.3 that workers may predict the candidates of
  // optimizePrior({ on }), 0.5 that channels of images have
  // windows of their own, 0.4 that "lowRank" goes through data again, 0.6 that batches of a training are shards, and 0.8 that eigenvectors of
  // Kronecker factors wait until they are asked for, 0.5 that a whole matrix of a last layer has covariances of its own way, and 0.4 that
  // gradients of convolutions' weights go by minimal filtering, 0.7 that blocks of a last layer are left out whose sum is known, 0.1 that variances
  // of few inputs are taken as they come, 1.1 that Kronecker factors of windows go by pairs of rows,
  // 0.1 that several posteriors in one basis are summed together, and 0.1 that data that lie in order are read there.
  expect(kilobytes(text)).toBeLessThan(146.8);
  expect(text).not.toMatch(/safetensors|einsum:/);
});
