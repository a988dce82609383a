// Long work by its phases, each of several shards: what a pool has to bring to the bits of one thread, also where its workers are killed.
import {
  chain,
  crossEntropy,
  dense,
  evaluateAsync,
  folds,
  laplace,
  randomNormal,
  relu,
  saveFit,
  savePosterior,
  train,
  workers,
} from "laplace-ts";

/** The sum of all bytes, each by its place (FNV-1a). */
export function hash(bytes) {
  let sum = 0x811c9dc5;
  for (const byte of bytes) sum = Math.imul(sum ^ byte, 0x01000193) >>> 0;
  return sum.toString(16);
}

const rows = 16384;
const network = () => chain({ inputs: 100, seed: 1 }, dense(100, relu), dense(3));
const data = {
  x: randomNormal([rows, 100], { seed: 1, dtype: "float32" }),
  y: Array.from({ length: rows }, (_, i) => i % 3),
};
const options = { likelihood: "classification", structure: "diagonal", checks: false };
const numbers = ({ data: { buffer, byteOffset, byteLength } }) => hash(new Uint8Array(buffer, byteOffset, byteLength));
let posterior;
const fitted = async () => {
  posterior ??= await laplace(network(), options).fit(data);
  return posterior;
};

/**
 * By their names: do the work by an executor, or this thread, call `told` in the midst of it, some times, and give what came of it as a
 * text.
 */
export const phases = {
  async sum(on, told) {
    return hash(saveFit(await laplace(network(), options).sum(data, { on, onProgress: told })));
  },
  /** Passes that go by each other. */
  async "sums in passes"(on, told) {
    const ekfac = { ...options, structure: "ekfac" };
    return hash(savePosterior(await laplace(network(), ekfac).fit(data, { on, onProgress: told })));
  },
  async predict(on, told) {
    const { mean, variance } = await (await fitted()).predictAsync(data.x, { on, onProgress: told });
    return `${numbers(mean)} ${numbers(variance)}`;
  },
  async probabilities(on, told) {
    return numbers(await (await fitted()).logProbabilitiesAsync(data.x, { on, onProgress: told }));
  },
  async evaluate(on, told) {
    return JSON.stringify(await evaluateAsync(await fitted(), data, { on, onProgress: told }));
  },
  async tuning(on, told) {
    const heldOut = { on: data, steps: 5, onWarning() {}, onProgress: told };
    const tuned = await (await fitted()).optimizePriorAsync({ ...heldOut, ...(on && { workers: on }) });
    return JSON.stringify(tuned.tuning);
  },
  async training(on, told) {
    const net = network();
    const schedule = () => {
      told();
      return 1;
    };
    // So many epochs are worth the workers' copy of the data.
    const { history } = await train(net, data, { loss: crossEntropy, epochs: 6, batchSize: 4096, on, schedule });
    return `${numbers(net.parameters)} ${JSON.stringify(history)}`;
  },
  async folds(on, told) {
    const make = async (rest) => {
      const net = network();
      await train(net, rest, { loss: crossEntropy, epochs: 6, batchSize: 4096, on, onProgress: told });
      return laplace(net, options).fit(rest, { on, onProgress: told });
    };
    const made = await folds(data, 2, make, { concurrency: 2 });
    return made.map((one) => hash(savePosterior(one.posterior))).join(" ");
  },
};

/**
 * Does each phase by pools, killing the last worker that was made at each of the first times that it is told of.
 * @param make makes a worker @throws Error where the bits differ
 */
export async function killedInEach(make, times = 2) {
  const found = [];
  for (const [name, work] of Object.entries(phases)) {
    const due = await work(undefined, () => {});
    for (let at = 0; at <= times; at++) {
      const made = [];
      const pool = workers({
        count: 3,
        // A page is not told that a worker ends which has not begun.
        patience: 5000,
        make() {
          const worker = make();
          made.push(worker);
          return worker;
        },
      });
      let told = 0;
      const result = await work(pool, () => {
        if (told++ === at) made.at(-1)?.terminate();
      });
      pool.close();
      if (result !== due) throw new Error(`${name}: ${result} instead of ${due}, where a worker is killed at ${at}.`);
      if (made.length === 0) throw new Error(`${name} has no workers: it is one shard.`);
    }
    found.push(due);
  }
  return found.join(" ");
}
