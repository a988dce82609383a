// How sure a classifier is far from its data: the network alone, and with a posterior over its weights.
import { adam, chain, crossEntropy, dense, laplace, tanh, train, twoMoons } from "laplace-ts";
import { axes, cells, dots, picture, scale, text } from "./svg.mjs";

const data = twoMoons({ samples: 100, noise: 0.25, seed: 1, dtype: "float64" });
const net = chain({ inputs: 2, seed: 1, dtype: "float64" }, dense(16, tanh), dense(16, tanh), dense(2));
const weightDecay = 0.001;
await train(net, data, {
  loss: crossEntropy,
  optimizer: adam({ learningRate: 0.01 }),
  epochs: 1500,
  batchSize: 100,
  weightDecay,
});
// The prior that this weight decay is, on 100 samples.
const options = { likelihood: "classification", priorPrecision: 100 * weightDecay };
const posterior = await laplace(net, options).fit(data);

export function moons() {
  const [size, rows, columns] = [5, 46, 62];
  const [width, height, top] = [size * columns, size * rows, 34];
  const panel = (left, heading, approximation) => {
    const [x, y] = [scale(-5, 6, left, left + width), scale(-4, 4.16, top + height, top)];
    const at = (row, column) => [-5 + (11 * (column + 0.5)) / columns, 4.16 - (8.16 * (row + 0.5)) / rows];
    const grid = Array.from({ length: rows * columns }, (_, i) => at(Math.floor(i / columns), i % columns));
    const { mean } = posterior.predict(grid, { approximation });
    const of = (label) =>
      [...data.y.data].flatMap((y0, i) => (y0 === label ? [[x(data.x.at(i, 0)), y(data.x.at(i, 1))]] : []));
    return [
      text(left, 20, heading, { class: "strong" }),
      cells(left, top, size, rows, columns, (r, c) => 2 * mean.at(r * columns + c, 1) - 1),
      axes({ left, top, width, height, x, y, xTicks: [-4, 0, 4], yTicks: left < 100 ? [-2, 0, 2] : [] }),
      dots(of(0), "first", 2.4),
      dots(of(1), "second", 2.4),
    ];
  };
  const title =
    "Two maps of the probability of a class. The network alone is certain almost everywhere; with a posterior it is unsure where there are no data";
  return picture(720, 295, title, [
    panel(40, "The network alone", "plugin"),
    panel(390, "With a posterior over its weights", "probit"),
  ]);
}
