// The notebook "Batched Gradients" of LaplaceRedux.jl, from top to bottom: train a small network; take the gradients of
// a batch, one for each sample, from one backward pass; form the batch of their outer products in two ways; check
// everything; measure both ways. Last comes what derivatives are for here: a curve with its band.
//
//   npm start              the walk-through
//   npm start -- --json    the same as one JSON object

import { readFileSync } from "node:fs";
import {
  adam,
  array,
  batchedMatmul,
  batchedTranspose,
  chain,
  DataLoader,
  dense,
  einsum,
  gradient,
  jacobian,
  laplace,
  mse,
  type NDArray,
  type Network,
  perSampleGradients,
  sigmoid,
  tanh,
  toyRegression,
  train,
} from "laplace-ts";
import { type BandAt, draw } from "./draw.ts";
import { histogram, measure, type Timing } from "./measure.ts";

const json = process.argv.includes("--json");
const say = (...lines: unknown[]) => {
  if (!json) for (const line of lines) console.log(String(line));
};
const heading = (title: string) => say("", `── ${title} ${"─".repeat(Math.max(0, 76 - title.length))}`, "");

say("You will see: the gradient of each sample, checked and timed; then a 95 % band.");

// ── (a) Data, loader, network, training ──────────────────────────────────────────────────────────────────────────────

heading("(a) Data, network, training");
say("128 noisy points of a sine curve, visited one at a time, train a network with one hidden layer of 32 units.");
say("The loss is the squared error with a small penalty on large weights, ½ λ² ‖θ‖².", "");

const lambda = 0.01;
const data = toyRegression({ samples: 128, seed: 1 });
const net = chain({ inputs: [1], seed: 1, dtype: "float64" }, dense(32, sigmoid), dense(1));
say(net.summary(), "");

const training: { epoch: number; loss: number }[] = [];
await train(net, data, {
  loss: mse,
  weightDecay: lambda ** 2,
  optimizer: adam({ learningRate: 1e-3 }),
  epochs: 200,
  batchSize: 1,
  shuffle: false,
  onProgress({ epoch }) {
    if (epoch % 20 !== 0) return;
    const squaredNorm = einsum("i,i->", net.parameters, net.parameters).item();
    const loss = mse(net.forward(data.x), data.y) + 0.5 * lambda ** 2 * squaredNorm;
    training.push({ epoch, loss });
    say(`epoch ${String(epoch).padStart(3)}   average loss ${loss.toFixed(6)}`);
  },
});

// ── (b) The gradient of one sample, by parameter ─────────────────────────────────────────────────────────────────────

heading("(b) The notebook's own network: the gradients of two samples, each alone");
say(
  "From here on the weights and the two samples are those the notebook printed, so that every number can be compared",
);
say("with it. The loss of a sample is (f(x) − y)². Its gradient has a part for each of the four parameter arrays.", "");

const notebook = JSON.parse(readFileSync(new URL("./batched-gradients.data.json", import.meta.url), "utf8"));
const notebookNetwork = (dtype: "float32" | "float64"): Network => {
  const model = chain({ inputs: [1], dtype }, dense(32, sigmoid), dense(1));
  model.setParameters([...notebook.W1, ...notebook.b1, ...notebook.W2, notebook.b2]);
  return model;
};
const model = notebookNetwork("float64");
const x = array(notebook.x).reshape(2, 1);
const y = array(notebook.y).reshape(2, 1);
const sample = (i: number) => ({ x: x.sub(i).reshape(1, 1), y: y.sub(i).reshape(1, 1) });

const g1 = gradient(model, mse, sample(0));
const g2 = gradient(model, mse, sample(1));
for (const [i, g] of [g1, g2].entries()) {
  say(`Sample ${i + 1}: x = ${x.at(i, 0)}, y = ${y.at(i, 0)}, loss ${mse(model.forward(sample(i).x), sample(i).y)}`);
  for (const [name, part] of Object.entries(model.named(g))) {
    const first = [...part.data.slice(0, 4)].map((value) => value.toFixed(6));
    say(
      `  ${name.padEnd(9)} ${`[${part.shape.join(", ")}]`.padEnd(8)} ${first.join("  ")}${part.size > 4 ? "  …" : ""}`,
    );
  }
}

// ── (c) Both at once ─────────────────────────────────────────────────────────────────────────────────────────────────

heading("(c) The batch of two in one pass");
say(
  "One backward pass gives the gradient of every sample: a row each. Written as the notebook writes it, a column each:",
);
say("g is a matrix of 97 parameters by 2 samples.", "");

const rows = perSampleGradients(model, mse, { x, y });
const g = batchedTranspose(rows);
say(g);

// ── (d) Why the sum is not the batch ─────────────────────────────────────────────────────────────────────────────────

heading("(d) g gᵀ: why the sum is not the batch");
say("The matrix product g gᵀ adds the outer products of the samples: 97×97, with the samples mixed. That is the");
say("empirical Fisher matrix of the batch, but not yet what each sample contributed.", "");

const vg = batchedMatmul(g, batchedTranspose(g));
say(vg.toString({ maxRows: 7 }));

// ── (e) The batch of outer products, two ways ────────────────────────────────────────────────────────────────────────

heading("(e) The batch of outer products, two ways");
say("What we want is one 97×97 matrix for each sample. Way 1: reshape each gradient to a column and multiply it with");
say('its transpose, as a batch. Way 2: say it in one line, einsum("bi,bj->bij"). The batch axis comes first here,');
say("2×97×97; the notebook counts axes the other way round, 97×97×2.", "");

const batchedProduct = (gradients: NDArray) => {
  const columns = gradients.reshape(gradients.shape[0], -1, 1);
  return batchedMatmul(columns, batchedTranspose(columns));
};
const byEinsum = (gradients: NDArray) => einsum("bi,bj->bij", gradients, gradients);

const vgm = batchedProduct(rows);
const H = byEinsum(rows);
say(H.toString({ maxRows: 7 }));

// ── (f) The notebook's checks ────────────────────────────────────────────────────────────────────────────────────────

heading("(f) Checks");

const checks: { name: string; value: number; tolerance: number; passed: boolean }[] = [];
const check = (name: string, value: number, tolerance: number) => {
  const passed = value <= tolerance;
  checks.push({ name, value, tolerance, passed });
  say(`${passed ? "ok  " : "FAIL"} ${name.padEnd(66)} ${value.toExponential(1)} ≤ ${tolerance.toExponential(1)}`);
};
const largest = (a: NDArray, b: NDArray) => Math.max(...a.data.map((value, i) => Math.abs(value - b.data[i])));
/** The Frobenius norm of a difference: how the notebook compares arrays. */
const distance = (a: NDArray, b: NDArray) => Math.hypot(...a.data.map((value, i) => value - b.data[i]));
const outer = (v: NDArray) => batchedMatmul(v.reshape(-1, 1), v.reshape(1, -1));

check("the network has 97 parameters", Math.abs(model.parameterCount - 97), 0);
check("they lie in 4 arrays", Math.abs(model.parameterTable.length - 4), 0);
check("a gradient has 97 numbers", Math.abs(g1.size - 97), 0);
check("the gradients of the batch have 194", Math.abs(rows.size - 194), 0);
check("row 1 of the batch is the gradient of sample 1 alone", largest(rows.sub(0), g1), 1e-14);
check("row 2 of the batch is the gradient of sample 2 alone", largest(rows.sub(1), g2), 1e-14);

const printed = (gradients: NDArray, error: (ours: number, theirs: number) => number) =>
  Math.max(
    ...[0, 1].flatMap((b) =>
      notebook.printed_rows.map((row: number, i: number) => error(gradients.at(b, row), notebook.printed_g[b][i])),
    ),
  );
check(
  "the 25 rows of g the notebook prints, both samples",
  printed(rows, (a, b) => Math.abs(a - b)),
  1e-7,
);
const rows32 = perSampleGradients(notebookNetwork("float32"), mse, { x, y });
check(
  "the same in float32, relative",
  printed(rows32, (a, b) => Math.abs(a - b) / Math.abs(b)),
  5e-6,
);

const Jf = jacobian(model, x);
const column = model.forward(x).data.map((f, i) => 2 * (f - y.data[i]));
check(
  "Jacobian times the loss's derivative gives the same rows",
  largest(einsum("bcp,b->bp", Jf, column), rows),
  1e-14,
);
check(
  "the rows sum to the gradient of the summed loss",
  largest(einsum("bp->p", rows), gradient(model, mse, { x, y }, { reduction: "sum" })),
  1e-14,
);
check("g₁ g₁ᵀ + g₂ g₂ᵀ is g gᵀ", distance(einsum("bij->ij", H), vg), 5e-4);
check("slice 1 of the batch of products is g₁ g₁ᵀ", distance(vgm.sub(0), outer(g1)), 5e-4);
check("slice 2 of the batch of products is g₂ g₂ᵀ", distance(vgm.sub(1), outer(g2)), 5e-4);
check("both ways agree within machine precision", distance(vgm, H), Number.EPSILON);
check("and bit for bit: elements that differ", vgm.data.filter((value, i) => !Object.is(value, H.data[i])).length, 0);
const corners = (values: Record<string, number>, ours: NDArray) =>
  Math.max(
    ...Object.entries(values).map(([at, value]) => {
      const [i, j] = at.split(",").map(Number);
      return Math.abs(ours.at(i, j) - value) / Math.abs(value);
    }),
  );
check("the entries of g gᵀ the notebook prints, to its six digits", corners(notebook.printed_vg_corners, vg), 5e-6);
check("the entries of H₁ it prints", corners(notebook.printed_H.b0, H.sub(0)), 5e-6);
check("the entries of H₂ it prints", corners(notebook.printed_H.b1, H.sub(1)), 5e-6);

// ── (g) Benchmarks ───────────────────────────────────────────────────────────────────────────────────────────────────

heading("(g) How fast are the two ways?");
say("Both ways run in turn on the same gradients, each call with a new array for its result.");

type Figures = Omit<Timing, "samples" | "deviationUs"> & { batchSize: number };
const benchmarks: (Figures & { method: string })[] = [];
const fill: (Figures & { kind: string; gigabytesPerSecond: number })[] = [];
const microseconds = (t: number) => `${t < 1000 ? t.toFixed(1) : t.toFixed(0)} µs`;
for (const batchSize of [2, 128]) {
  const batch = new DataLoader(data, { batchSize }).first();
  const gradients = perSampleGradients(model, mse, batch);
  const ways = [batchedProduct, byEinsum];
  const names = ["batched matrix product", "einsum"];
  // Part (h) below reports the last two: how fast memory of that size can be filled at all.
  const length = batchSize * 97 * 97;
  const reused = new Float64Array(length);
  const fills = [() => new Float64Array(length).fill(0.5), () => reused.fill(0.5)];
  const timings = measure([...ways.map((way) => () => way(gradients)), ...fills], 2000);

  say("", `Batch of ${batchSize}: gradients ${gradients.shape.join("×")}, result ${batchSize}×97×97`);
  for (const [i, method] of names.entries()) {
    const { samples, deviationUs, ...figures } = timings[i];
    benchmarks.push({ method, batchSize, ...figures });
    const { bars, from, to } = histogram(timings[i]);
    say(
      `  ${method}`,
      `    min ${microseconds(figures.minUs)}, median ${microseconds(figures.medianUs)}, mean ${microseconds(figures.meanUs)} ± ${microseconds(deviationUs)}, max ${microseconds(figures.maxUs)}, ${samples.length} runs, ${figures.bytes} bytes`,
      `    ${microseconds(from)} ${bars} ${microseconds(to)}`,
    );
  }
  const [first, second] = timings.map((timing) => timing.medianUs);
  const ratio = Math.max(first, second) / Math.min(first, second);
  const faster = first < second ? names[0] : names[1];
  say(
    ratio < 1.05
      ? `  By their medians the two ways are equally fast (ratio ${ratio.toFixed(2)}).`
      : `  By the medians, ${faster} is ${ratio.toFixed(2)} times as fast.`,
  );
  for (const [i, kind] of ["new array", "same array again"].entries()) {
    const { samples: _, deviationUs: __, ...figures } = timings[names.length + i];
    const bytes = 8 * length;
    fill.push({ kind, batchSize, ...figures, bytes, gigabytesPerSecond: bytes / figures.medianUs / 1000 });
  }
}

// ── (h) The limit ────────────────────────────────────────────────────────────────────────────────────────────────────

heading("(h) The limit: filling as many bytes with a constant");
say(
  "No way can be faster than writing the result once. A new array also has to be given its memory, page by page.",
  "",
);
for (const { kind, batchSize, bytes, medianUs, gigabytesPerSecond } of fill) {
  const fastest = Math.min(...benchmarks.filter((b) => b.batchSize === batchSize).map((b) => b.medianUs));
  say(
    `Batch of ${String(batchSize).padStart(3)}, ${kind.padEnd(16)} ${bytes} bytes in ${microseconds(medianUs)}, ${gigabytesPerSecond.toFixed(1)} GB/s; the faster way takes ${(fastest / medianUs).toFixed(1)} times as long.`,
  );
}

const failed = checks.filter(({ passed }) => !passed).length;
say("", failed === 0 ? `All ${checks.length} checks passed.` : `${failed} of ${checks.length} checks failed.`);

// ── (i) What it is for ───────────────────────────────────────────────────────────────────────────────────────────────

heading("(i) What it is for: how sure a network is of its curve");
const noisy = toyRegression({ samples: 100, centerOrigin: true, seed: 1 });
const curve = chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(16, tanh), dense(1));
await train(curve, noisy, { loss: mse, optimizer: adam({ learningRate: 0.01 }), epochs: 1000, batchSize: 100 });

const fitted = await laplace(curve, { likelihood: "regression" }).fit(noisy);
const posterior = fitted.optimizePrior();
const grid = Array.from({ length: 73 }, (_, i) => (i - 36) / 4.5);
const { mean, variance } = posterior.predict(grid.map((at) => [at]));

const band: BandAt[] = grid.map((at, i) => {
  const [center, deviation] = [mean.at(i, 0), Math.sqrt(variance.at(i, 0))];
  return { x: at, mean: center, low: center - 1.96 * deviation, high: center + 1.96 * deviation };
});
const points = [...noisy.x.data].map((at, i) => [at, noisy.y.data[i]] as const);
say("Another network has learned the points (o). Three lines fit, tune and ask its posterior:", "");
say('  const fitted = await laplace(net, { likelihood: "regression" }).fit(data);');
say("  const posterior = fitted.optimizePrior();");
say("  const { mean, variance } = posterior.predict(grid);", "");
say("Its curve (*) with the band (:) that 95 of 100 new points should fall into: narrow where there are data, wide");
say("where there are none.", "");
say(...draw(band, points, { from: -5, to: 5 }));
if (json) {
  const shape = { parameters: net.parameterCount, arrays: net.parameterTable.length };
  console.log(JSON.stringify({ model: shape, training, g: g.toArray(), checks, benchmarks, fill, band }));
}
process.exitCode = failed === 0 ? 0 : 1;
