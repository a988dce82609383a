// Pages that do not block. In headless Chromium, not isolated and with a processor four times slower than a usual one, no task of
// the page is longer than 50 ms (the Long Tasks API's threshold) while a full posterior of 1,827 weights is fitted to 2,000 rows,
// tuned, asked and diagnosed by the asynchronous forms; the numbers are those of Node on the same build of the kernels, to the bit;
// and abort works in each phase. Tasks are measured by the processor's time, from a trace, and a phase counts by the best of some
// runs: other programs have their turns, too, and slow down what shares the processor's caches with them. Where new memory is slower
// than on usual machines, three tasks of a phase may take as much longer as a new matrix does.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { inChromium } from "./chromium.mjs";

const LONGEST = 50;
const TRIES = 4;

/** What Node and the page compute: each phase gives what tells its result; the clock of Node may be anything. */
const program = `
import { chain, dense, evaluateAsync, kernels, laplace, NDArray, randomNormal, tanh, uncertaintyAsync } from "laplace-ts";

const rows = 2000;
export const x = randomNormal([rows, 10], { seed: 1 });
const noise = randomNormal([rows], { seed: 2 });
export const y = new NDArray(
  Float64Array.from({ length: rows }, (_, i) => x.data[10 * i] - x.data[10 * i + 1] * x.data[10 * i + 2] + 0.1 * noise.data[i]),
  [rows, 1],
);
const net = chain({ inputs: 10, seed: 3 }, dense(40, tanh), dense(33, tanh), dense(1));
if (net.parameterCount !== 1827) throw new Error(String(net.parameterCount));
const plan = laplace(net, { likelihood: "regression", structure: "full", checks: false });

/** FNV-1a over the bytes of arrays. It is asked for behind a phase: it takes 20 ms of a slow page itself. */
function bitsOf(...arrays) {
  let hash = 0x811c9dc5;
  for (const { data } of arrays) {
    for (const byte of new Uint8Array(data.buffer, data.byteOffset, data.byteLength)) hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return (hash >>> 0).toString(16);
}

// What a fit has computed once, its eigenvalues and its factor, the next try is not to find: a posterior of the same sums anew.
let fitted;
let sums;
export const again = async () => {
  sums ??= await plan.sum({ x, y });
  fitted = plan.posterior(sums.scale(1));
};
export const phases = {
  async fit(options) {
    const { curvature } = await plan.fit({ x, y }, options);
    return () => bitsOf(curvature.diagonal());
  },
  async tune(options) {
    const tuned = await fitted.optimizePriorAsync(options);
    // Logarithms and exponentials of Math differ in last bits between engines: the climb is the same, its end nearly.
    return () => tuned.priorPrecision.data[0].toPrecision(9);
  },
  async evidence(options) {
    const { logDetPosterior } = await fitted.evidenceAsync(options);
    return () => logDetPosterior.toPrecision(12);
  },
  async predict(options) {
    const { mean, variance, functionVariance } = await fitted.predictAsync(x, options);
    return () => bitsOf(mean, variance, functionVariance);
  },
  async draw(options) {
    const drawn = await fitted.functionSamplesAsync(x, 10, options);
    return () => bitsOf(drawn);
  },
  async evaluate(options) {
    const { crps } = await evaluateAsync(fitted, { x, y }, options);
    return () => crps.toPrecision(9);
  },
  async explain(options) {
    const { epistemic } = await uncertaintyAsync(fitted, x, options);
    return () => bitsOf(epistemic);
  },
  async diagnose(options) {
    const { ok, findings } = await fitted.diagnoseAsync({ x, y }, options);
    return () => [ok, ...findings.map(({ code }) => code)].join();
  },
};
export const build = () => kernels.info().build;
export const held = () => kernels.info().bytesInUse;
`;

const inPage = `
import { again, build, held, phases } from "./program.mjs";

if (crossOriginIsolated) throw new Error("The page is isolated: it does not show what it should.");
const turn = () => new Promise((resolve) => setTimeout(resolve));
console.log(JSON.stringify({ build: build() }));
for (const [name, phase] of Object.entries(phases)) {
  await again();
  // What comes before a phase is a task of its own, and so is what the page does with its result.
  await turn();
  performance.mark("begin " + name);
  const resultOf = await phase();
  performance.mark("end " + name);
  await turn();
  const result = resultOf();
  // Stopped after a while: nothing is held then that was not before.
  await again();
  const before = held();
  const controller = new AbortController();
  const reason = new Error("enough");
  const running = phase({ signal: controller.signal }).then(() => "not at all", (error) => error === reason ? "in time" : String(error));
  setTimeout(() => controller.abort(reason), 20);
  let aborted = await running;
  if (held() !== before) aborted = "but holds memory";
  console.log(JSON.stringify({ name, result, aborted }));
}
`;

/** The page's tasks by the time that they had the processor, in milliseconds, between the marks of each phase. */
function tasksOf(events) {
  const marks = events.filter(({ cat }) => cat.includes("blink.user_timing"));
  const names = marks.filter(({ name }) => name.startsWith("end ")).map(({ name }) => name.slice(4));
  const tasks = (name) => {
    const mark = (what) => marks.find((event) => event.name === `${what} ${name}`);
    const [begin, end] = [mark("begin"), mark("end")];
    return events
      .filter((event) => event.name === "RunTask" && event.pid === begin.pid && event.tid === begin.tid)
      .filter(({ ts, dur }) => ts + dur > begin.ts && ts < end.ts)
      .map(({ tdur }) => tdur / 1000);
  };
  return { names, tasks };
}

/** A module of the folder in the Node whose build of the kernels is the page's. */
const inNode = (folder, file) =>
  execFileSync("npx", ["-y", "-p", "node@24", "--", "node", file], { cwd: folder, encoding: "utf8" });

/** The packed library in `folder`. */
export async function testBlocking(folder) {
  writeFileSync(join(folder, "program.mjs"), program);
  writeFileSync(join(folder, "page.mjs"), inPage);
  writeFileSync(
    join(folder, "in-node.mjs"),
    `import { again, build, phases } from "./program.mjs";
console.log(JSON.stringify({ build: build() }));
await again();
for (const [name, phase] of Object.entries(phases)) console.log(JSON.stringify({ name, result: (await phase())() }));`,
  );
  const longest = new Map();
  const traced = ({ events, memory }) => {
    const { names, tasks } = tasksOf(events);
    for (const name of names) {
      const [first, , , fourth = 0] = tasks(name).sort((a, b) => b - a);
      longest.set(name, Math.min(longest.get(name) ?? Infinity, Math.max(first - memory, fourth)));
    }
  };
  let lines = [];
  const short = () => longest.size > 0 && [...longest.values()].every((ms) => ms <= LONGEST);
  for (let i = 0; i < TRIES && !short(); i++) {
    lines = await inChromium(folder, ["/page.mjs"], { slower: 4, traced, seconds: 900 });
  }
  const [world, ...found] = lines.map((line) => JSON.parse(line));
  const [here, ...expected] = inNode(folder, "in-node.mjs")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  if (world.build !== here.build) throw new Error(`Node runs the build "${here.build}", the page "${world.build}".`);
  const wrong = [];
  for (const [i, { name, result, aborted }] of found.entries()) {
    console.log(
      `A page four times slower, ${name}: no task above ${longest.get(name).toFixed(0)} ms, but for new memory`,
    );
    if (result !== expected[i].result) wrong.push(`${name} gives ${result}, and ${expected[i].result} in Node`);
    if (!(longest.get(name) <= LONGEST)) wrong.push(`${name} blocks the page`);
    if (aborted !== "in time") wrong.push(`${name} was to be stopped, ${aborted}`);
  }
  if (wrong.length > 0) throw new Error(`${wrong.join("; ")}.`);
}
