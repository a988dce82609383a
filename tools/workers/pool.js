// A fit, predictions and scores on this thread and by a pool of two workers: whether they are the same bits, and which.
import { chain, dense, evaluateAsync, laplace, randomNormal, relu, savePosterior, workers } from "laplace-ts";

/** The sum of all bytes, each by its place (FNV-1a). */
function hash(bytes) {
  let sum = 0x811c9dc5;
  for (const byte of bytes) sum = Math.imul(sum ^ byte, 0x01000193) >>> 0;
  return sum.toString(16);
}

export async function askPool(make) {
  const net = chain({ inputs: 100, seed: 1 }, dense(100, relu), dense(3));
  const x = randomNormal([16384, 100], { seed: 1, dtype: "float32" });
  const y = Array.from({ length: 16384 }, (_, i) => i % 3);
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
  return `${made} workers: ${alone}`;
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
