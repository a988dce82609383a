// One curvature stored in four ways: matrices of a small network, computed.
import { adam, chain, crossEntropy, curvatureOf, dense, tanh, toyMulti, train } from "laplace-ts";
import { cells, picture, rectangle, text } from "./svg.mjs";

const data = toyMulti({ samples: 100, seed: 1, dtype: "float64" });
const net = chain({ inputs: 2, seed: 2, dtype: "float64" }, dense(4, tanh), dense(4));
await train(net, data, {
  loss: crossEntropy,
  optimizer: adam({ learningRate: 0.01 }),
  epochs: 300,
  batchSize: 100,
  weightDecay: 0.01,
});

const shown = [
  ["full", "full"],
  ["kronecker", "Kronecker"],
  ["ekfac", "EKFAC"],
  ["diagonal", "diagonal"],
];

export function matrices() {
  const found = shown.map(([structure]) => curvatureOf(net, "classification", data, { structure }).dense());
  const n = net.parameterCount;
  const largest = Math.max(...found[0].data.map(Math.abs));
  // The square root shows small entries too.
  const shade = (value) => Math.sign(value) * Math.min(1, Math.sqrt(Math.abs(value) / largest));
  const [size, top] = [5, 34];
  const side = n * size;
  const total = (matrix) => Math.sqrt(matrix.data.reduce((sum, value) => sum + value * value, 0));
  const panels = shown.map(([, name], k) => {
    const left = 2 + k * (side + 18);
    const matrix = found[k];
    const off = matrix.clone();
    for (let i = 0; i < off.size; i++) off.data[i] -= found[0].data[i];
    const error = `${Math.round((100 * total(off)) / total(found[0]))} % off`;
    return [
      text(left, 20, name, { class: "strong" }),
      text(left + side, 20, k === 0 ? `${n} × ${n}` : error, { class: "quiet", anchor: "end" }),
      cells(left, top, size, n, n, (r, c) => shade(matrix.at(r, c))),
      rectangle(left, top, side, side, "frame"),
    ];
  });
  return picture(
    4 * side + 3 * 18 + 4,
    side + top + 6,
    "The curvature of one network as four matrices: full, Kronecker, EKFAC, diagonal",
    panels,
  );
}
