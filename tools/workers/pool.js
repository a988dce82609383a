// A fit, predictions and scores on this thread and by a pool of two workers, and fits of every structure by pools of 1, 2, 3 and 8:
// whether they are the same bits, and which; and each phase of long work, with workers that are killed.
import {
  chain,
  dense,
  evaluateAsync,
  laplace,
  randomNormal,
  relu,
  saveFit,
  savePosterior,
  solver,
  workers,
} from "laplace-ts";
import { hash, killedInEach } from "./killed.js";

const y = Array.from({ length: 16384 }, (_, i) => i % 3);

/** Networks by their inputs and their hidden units, where fits of these structures are several shards. */
const several = [
  [20, 20, ["full", "lowRank", "functional"]],
  [100, 100, ["diagonal", "kronecker", "ekfac", "kfoc", "operator"]],
];

/** Fits of every structure and type: a hash of all. @throws Error if a pool has others, or nothing to share out */
async function everyStructure(make) {
  const pools = [1, 2, 3, 8].map((count) => workers({ count, make }));
  const hashes = [];
  for (const [inputs, hidden, structures] of several) {
    for (const dtype of ["float32", "float64"]) {
      const net = chain({ inputs, seed: 1, dtype }, dense(hidden, relu), dense(3));
      const x = randomNormal([16384, inputs], { seed: 1, dtype });
      for (const structure of structures) {
        const options = { likelihood: "classification", structure, points: 20, solver: solver({}), checks: false };
        const hashOn = async (on) => {
          const fit = await laplace(net, options).sum({ x, y }, { on });
          return hash(structure === "operator" ? new Uint8Array(fit.curvature.diagonal().data.buffer) : saveFit(fit));
        };
        const due = await hashOn(undefined);
        for (const pool of dtype === "float32" ? pools : [pools[2]]) {
          let shards = 0;
          const counted = function* (jobs) {
            for (const job of jobs) {
              shards++;
              yield job;
            }
          };
          const found = await hashOn({
            run: (work, rest) => pool.run({ ...work, prepare: () => work.prepare(), jobs: counted(work.jobs) }, rest),
          });
          if (found !== due) throw new Error(`${structure} of ${dtype} is ${found} by a pool, instead of ${due}.`);
          if (shards < 2) throw new Error(`${structure} of ${dtype} is one shard.`);
        }
        hashes.push(due);
      }
    }
  }
  for (const pool of pools) pool.close();
  return hashes.join(" ");
}

export async function askPool(make) {
  const net = chain({ inputs: 100, seed: 1 }, dense(100, relu), dense(3));
  const x = randomNormal([16384, 100], { seed: 1, dtype: "float32" });
  let made = 0;
  const counted = () => {
    made++;
    return make();
  };
  const pool = workers({ count: 2, make: counted });
  const found = [];
  for (const on of [undefined, pool]) {
    const options = { likelihood: "classification", structure: "diagonal", checks: false };
    const posterior = await laplace(net, options).fit({ x, y }, { on });
    const predicted = await posterior.predictAsync(x, { on });
    const scores = await evaluateAsync(posterior, { x, y }, { on });
    found.push([
      hash(savePosterior(posterior)),
      hash(new Uint8Array(predicted.mean.data.buffer)),
      JSON.stringify(scores),
    ]);
  }
  pool.close();
  const [alone, shared] = found.map((one) => one.join(" "));
  if (alone !== shared) throw new Error(`By workers it is ${shared} instead of ${alone}.`);
  return `${made} workers: ${alone} ${await everyStructure(make)} ${await killedInEach(make, 0)}`;
}

if ("document" in globalThis) {
  const make = () => new Worker(import.meta.resolve("laplace-ts/worker"), { type: "module" });
  askPool(make).then(
    (answer) => {
      globalThis.answer = answer;
    },
    (error) => {
      globalThis.answer = String(error);
    },
  );
}
