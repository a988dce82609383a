// Whoever asks for a fit, as a process of its own: it prints the digest of the posterior that comes of it, by machines or alone.
import { createHash } from "node:crypto";
import { chain, dense, laplace, randomNormal, savePosterior, tanh } from "laplace-ts";
import { cluster } from "laplace-ts-cluster";

const [queue, store] = process.argv.slice(2);
const on = queue === undefined ? undefined : cluster({ queue, store });
const net = chain({ inputs: 32, seed: 1 }, dense(64, tanh), dense(64, tanh), dense(4));
const data = { x: randomNormal([16_000, 32], { seed: 2 }), y: randomNormal([16_000, 4], { seed: 3 }) };
const options = { likelihood: "regression", structure: "ekfac", checks: false };
const posterior = await laplace(net, options).fit(data, { on });
console.log(createHash("sha256").update(savePosterior(posterior)).digest("hex"));
await on?.close();
