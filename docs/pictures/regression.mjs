// Two pictures of one regression: the band that widens away from the data, and functions before and after the data.
import { adam, chain, dense, laplace, mse, randomNormal, tanh, toyRegression, train } from "laplace-ts";
import { axes, clipped, dots, line, picture, scale, text } from "./svg.mjs";

const data = toyRegression({ samples: 100, noise: 0.3, centerOrigin: true, seed: 1, dtype: "float64" });
const net = chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(16, tanh), dense(1));
await train(net, data, { loss: mse, optimizer: adam({ learningRate: 0.01 }), epochs: 1500, batchSize: 100 });
const posterior = (await laplace(net, { likelihood: "regression" }).fit(data)).optimizePrior();

const grid = Array.from({ length: 97 }, (_, i) => i / 6 - 8);
const [low, high] = [-5, 5];
// What is outside the picture need not be exact, and should not be long.
const inside = (value) => Math.min(Math.max(value, 3 * low), 3 * high);
const points = [...data.x.data].map((x, i) => [x, data.y.data[i]]);

/** The band: mean, its own uncertainty, and that of new targets, at 95 %. */
export function band(options) {
  const [left, top, width, height] = [40, 34, 660, 280];
  const [x, y] = [scale(-8, 8, left, left + width), scale(low, high, top + height, top)];
  const { mean, variance, functionVariance } = posterior.predict(grid.map((value) => [value]));
  const area = (of) => {
    const edge = (sign) =>
      grid.map((value, i) => [x(value), y(inside(mean.at(i, 0) + sign * 1.96 * Math.sqrt(of.at(i, 0))))]);
    return [...edge(1), ...edge(-1).reverse()];
  };
  const title = "A curve through noisy points with its 95 % band: narrow on the data, wide where they end";
  return picture(
    720,
    345,
    title,
    [
      text(left, 20, "95 % band", { class: "strong" }),
      text(left + width, 20, "pale: new targets; strong: the curve alone; dots: the 100 points it was fitted to", {
        class: "quiet",
        anchor: "end",
      }),
      axes({ left, top, width, height, x, y, xTicks: [-8, -4, 0, 4, 8], yTicks: [-4, -2, 0, 2, 4] }),
      clipped(left, top, width, height, [
        line(area(variance), "band", true),
        line(area(functionVariance), "curve", true),
        line(
          grid.map((value, i) => [x(value), y(inside(mean.at(i, 0)))]),
          "mean",
        ),
      ]),
      dots(
        points.map(([a, b]) => [x(a), y(b)]),
        "point",
      ),
    ],
    options,
  );
}

/** Functions that the prior allows, and those that are left when the data have been seen. */
export function functions() {
  const count = 12;
  const inputs = grid.map((value) => [value]);
  const deviation = 1 / Math.sqrt(posterior.priorPrecision.at(0));
  const weights = randomNormal([count, net.parameterCount], { seed: 3, dtype: "float64" });
  for (let i = 0; i < weights.size; i++) weights.data[i] *= deviation;
  const before = Array.from({ length: count }, (_, i) => net.clone(weights.sub(i)).forward(inputs));
  const draws = posterior.functionSamples(inputs, count, { seed: 1 });
  const after = Array.from({ length: count }, (_, i) => draws.sub(i));
  const panel = (left, heading, below, samples, shown) => {
    const [top, width, height] = [34, 320, 230];
    const [x, y] = [scale(-8, 8, left, left + width), scale(low, high, top + height, top)];
    return [
      text(left, 20, heading, { class: "strong" }),
      axes({ left, top, width, height, x, y, xTicks: [-8, -4, 0, 4, 8], yTicks: left < 100 ? [-4, -2, 0, 2, 4] : [] }),
      clipped(
        left,
        top,
        width,
        height,
        samples.map((f) =>
          line(
            grid.map((value, i) => [x(value), y(inside(f.data[i]))]),
            "draw",
          ),
        ),
      ),
      shown &&
        dots(
          points.map(([a, b]) => [x(a), y(b)]),
          "point",
          1.8,
        ),
      text(left, top + height + 42, below, { class: "quiet" }),
    ];
  };
  return picture(
    720,
    315,
    "Left: networks drawn from the prior. Right: functions drawn from the posterior, which agree where data are",
    [
      panel(40, "Before the data: the prior", "networks with weights from N(0, 1/δ)", before, false),
      panel(390, "After the data: the posterior", "draws of the linearised network", after, true),
    ],
  );
}
