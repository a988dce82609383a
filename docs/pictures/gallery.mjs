// The gallery's pictures, each of what its program computes.
import { valuesOf } from "./programs.mjs";
import { axes, cells, clipped, dots, line, picture, scale, text } from "./svg.mjs";

const [left, top, width, height] = [40, 14, 660, 250];
const of = (heading, names) => valuesOf("gallery", heading, names);
const column = (array) => Array.from(array.data);
const deviation = (variance, factor = 1.96) => column(variance).map((v) => factor * Math.sqrt(v));

/** A plot from one number to another: its scales, and what is drawn within. */
function plot({ title, xs, ys, xTicks, yTicks, at = left, wide = width, high = height }, draw) {
  const x = scale(...xs, at, at + wide);
  // What is outside need not be exact, and should not be long.
  const y = (value) => scale(...ys, top + high, top)(Math.min(Math.max(value, 2 * ys[0] - ys[1]), 2 * ys[1] - ys[0]));
  const area = (grid, low, up) => [
    ...grid.map((v, i) => [x(v), y(up[i])]),
    ...grid.map((v, i) => [x(v), y(low[i])]).reverse(),
  ];
  const tools = {
    x,
    y,
    band: (grid, low, up, name = "band") => line(area(grid, low, up), name, true),
    around: (grid, mean, half, name = "band") =>
      line(
        area(
          grid,
          mean.map((m, i) => m - half[i]),
          mean.map((m, i) => m + half[i]),
        ),
        name,
        true,
      ),
    curve: (grid, values, name = "mean") =>
      line(
        grid.map((v, i) => [x(v), y(values[i])]),
        name,
      ),
    points: (xs, ys, name = "point", radius = 2.5) =>
      dots(
        xs.map((v, i) => [x(v), y(ys[i])]),
        name,
        radius,
      ),
  };
  return {
    title,
    parts: [
      axes({ left: at, top, width: wide, height: high, x, y, xTicks, yTicks }),
      clipped(at, top, wide, high, draw(tools).flat()),
    ],
  };
}
const drawn = ({ title, parts }, size = [720, 300]) => picture(...size, title, parts);

async function curve() {
  const { data, x, mean, variance, functionVariance } = await of(
    "A curve",
    "data, x, mean, variance, functionVariance",
  );
  const values = column(mean);
  return drawn(
    plot(
      {
        title: "A curve through points: its band is narrow on them and wide beyond",
        xs: [-8, 8],
        ys: [-6, 6],
        xTicks: [-8, -4, 0, 4, 8],
        yTicks: [-4, 0, 4],
      },
      (p) => [
        p.around(x, values, deviation(variance)),
        p.around(x, values, deviation(functionVariance), "curve"),
        p.curve(x, values),
        p.points(column(data.x), column(data.y)),
      ],
    ),
  );
}

async function gap() {
  const { xs, ys, x, curves } = await of("Across a gap", "xs, ys, x, curves");
  return drawn(
    plot(
      {
        title: "Twenty curves that agree on two groups of points and differ between them",
        xs: [-5, 5],
        ys: [-4, 4],
        xTicks: [-4, -2, 0, 2, 4],
        yTicks: [-2, 0, 2],
      },
      (p) => [Array.from({ length: 20 }, (_, i) => p.curve(x, column(curves.sub(i)), "draw")), p.points(xs, ys)],
    ),
  );
}

async function counts() {
  const { hours, counts: seen, grid, rates } = await of("Counts", "hours, counts, grid, rates");
  const each = (name) => rates.map((one) => one[name]);
  return drawn(
    plot(
      {
        title: "Counts in each hour of three days and the band of their rate, wider where hours are missing",
        xs: [0, 72],
        ys: [0, 20],
        xTicks: [0, 12, 24, 36, 48, 60, 72],
        yTicks: [0, 10, 20],
      },
      (p) => [p.band(grid, each("low"), each("high"), "curve"), p.curve(grid, each("median")), p.points(hours, seen)],
    ),
  );
}

async function outliers() {
  const { xs, ys, grid, fits } = await of("Outliers", "xs, ys, grid, fits");
  const x = grid.map(([at]) => at);
  const panel = (at, heading, { mean, functionVariance }) => [
    text(at, 12, heading, { class: "strong" }),
    plot(
      {
        xs: [-3, 3],
        ys: [-2.5, 3.5],
        xTicks: [-2, 0, 2],
        yTicks: at < 100 ? [-2, 0, 2] : [],
        at,
        wide: 320,
        high: 230,
      },
      (p) => [
        p.around(x, column(mean), deviation(functionVariance), "curve"),
        p.curve(x, column(mean)),
        p.points(xs, ys),
      ],
    ).parts.join("\n"),
  ];
  const parts = [panel(40, "Gaussian", fits[0]), panel(390, "Student's t", fits[1])];
  return drawn(
    {
      title: "The same points, some far off: the Gaussian curve is pulled to them, Student's is not",
      parts: shifted(parts),
    },
    [720, 296],
  );
}

/** Room for headings above. */
const shifted = (parts) => [`<g transform="translate(0 6)">\n${parts.flat().join("\n")}\n</g>`];

/** A map over the plane of numbers from −1 to 1, with points of some classes. */
function mapParts({ xs, ys, xTicks, yTicks, rows, columns, data, classNames, at, size }, level) {
  const [wide, high] = [size * columns, size * rows];
  const [x, y] = [scale(...xs, at, at + wide), scale(...ys, top + high, top)];
  const pointsOf = (label) =>
    [...data.y.data].flatMap((y0, i) => (y0 === label ? [[x(data.x.at(i, 0)), y(data.x.at(i, 1))]] : []));
  return [
    cells(at, top, size, rows, columns, level),
    axes({ left: at, top, width: wide, height: high, x, y, xTicks, yTicks }),
    ...classNames.map((name, label) => dots(pointsOf(label), name, 2.4)),
  ].join("\n");
}

async function classes() {
  const { data, rows, columns, mean, alone } = await of("Two classes", "data, rows, columns, mean, alone");
  const panel = (at, heading, probability) => {
    const level = (r, c) => 2 * probability.at(r * columns + c, 1) - 1;
    const frame = { xs: [-5, 6], ys: [-4, 4.16], xTicks: [-4, 0, 4], yTicks: at < 100 ? [-2, 0, 2] : [] };
    const classNames = ["first", "second"];
    return [
      text(at, 12, heading, { class: "strong" }),
      mapParts({ ...frame, rows, columns, data, classNames, at, size: 5 }, level),
    ];
  };
  const parts = [panel(40, "The network alone", alone), panel(390, "With its posterior", mean)];
  const title =
    "The probability of one of two classes: the network alone is sure everywhere, with its posterior less so";
  return drawn({ title, parts: shifted(parts.flat()) }, [720, 290]);
}

async function unseen() {
  const { data, rows, columns, epistemic } = await of("What it has never seen", "data, rows, columns, epistemic");
  const most = Math.max(...epistemic.data);
  const level = (r, c) => -epistemic.at(r * columns + c) / most;
  const title = "How unsure a classifier of four groups of points is: not on them, and more and more beyond";
  const frame = { xs: [-13, 13], ys: [-10, 10], xTicks: [-10, -5, 0, 5, 10], yTicks: [-5, 0, 5] };
  const classNames = ["first", "first", "first", "first"];
  const parts = [mapParts({ ...frame, rows, columns, data, classNames, at: 112, size: 8 }, level)];
  return drawn({ title, parts }, [720, 410]);
}

async function next() {
  const { grid, steps, truth } = await of("Where to measure next", "grid, steps, truth");
  const panel = ({ measured, mean, functionVariance, next: at }, i) =>
    plot(
      {
        xs: [-2, 2],
        ys: [-2.5, 2.5],
        xTicks: [-1, 0, 1],
        yTicks: i === 0 ? [-2, 0, 2] : [],
        at: 40 + 168 * i,
        wide: 156,
        high: 190,
      },
      (p) => [
        p.around(grid, column(mean), deviation(functionVariance), "curve"),
        p.curve(grid, column(mean)),
        line(
          [
            [p.x(at), p.y(-2.5)],
            [p.x(at), p.y(2.5)],
          ],
          "pick",
        ),
        p.points(measured, measured.map(truth), "point", 3),
      ],
    ).parts;
  const title = "Four steps: each measures where the band is widest, and the band shrinks";
  return drawn({ title, parts: steps.flatMap(panel) }, [720, 235]);
}

async function conformal() {
  const { fresh, lower, upper, holds } = await of("Intervals that hold", "fresh, lower, upper, holds");
  const xs = column(fresh.x);
  const title = "Intervals for new targets, as wide as the model is unsure: nine of ten hold theirs";
  return drawn(
    plot({ title, xs: [-5, 5], ys: [-3, 3], xTicks: [-4, -2, 0, 2, 4], yTicks: [-2, 0, 2] }, (p) => [
      xs.map((at, i) =>
        line(
          [
            [p.x(at), p.y(lower.at(i, 0))],
            [p.x(at), p.y(upper.at(i, 0))],
          ],
          holds[i] ? "bar" : "bar missed",
        ),
      ),
      dots(
        xs.map((at, i) => [p.x(at), p.y(fresh.y.at(i, 0))]),
        "point",
        2,
      ),
    ]),
  );
}

export const gallery = { curve, gap, counts, outliers, classes, unseen, next, conformal };
