// A posterior over the last layer of a large network, in a process of its own, so that its memory is its own: MODEL POSTERIOR.
import { readFileSync, writeFileSync } from "node:fs";
import { laplace, Random, savePosterior, zeros } from "laplace-ts";
import { fromOnnx } from "laplace-ts-models";

const [, , model, to] = process.argv;
const bytes = readFileSync(model);
const before = process.cpuUsage();
const { network, report } = fromOnnx(bytes);
const { user, system } = process.cpuUsage(before);

/** Images of a colour and some noise each, each of a class of its own. */
const random = new Random(1);
const x = zeros([1000, ...network.inputShape], { dtype: "float32" });
const size = x.size / 1000;
for (let i = 0; i < 1000; i++) {
  const colour = random.normal();
  for (let k = 0; k < size; k++)
    x.data[i * size + k] = colour + 0.3 * Math.sin(k * 0.1 * (i % 7)) + 0.1 * random.normal();
}
const y = Array.from({ length: 1000 }, (_, i) => i);
const options = { likelihood: "classification", weights: "lastLayer", structure: "kronecker", checks: false };
const posterior = await laplace(network, options).fit({ x, y });
const wave = zeros([1, ...network.inputShape], { dtype: "float32" });
for (let i = 0; i < wave.size; i++) wave.data[i] = Math.sin(i);
const { mean, functionVariance } = posterior.predict(wave, { approximation: "probit" });
writeFileSync(to, savePosterior(posterior));
console.log(
  JSON.stringify({
    parameters: network.parameterCount,
    operators: report.operators,
    opened: (user + system) / 1e6,
    memory: process.resourceUsage().maxRSS * 1024,
    mean: [...mean.data],
    variance: [...functionVariance.data],
  }),
);
