// What a posterior knows of a function, and what the next value is expected to gain: the program of its page.
import { valuesOf } from "./programs.mjs";
import { axes, clipped, dots, line, picture, scale, text } from "./svg.mjs";

const names = ["dear", "x", "y", "grid", "functionMean", "functionVariance", "gains", "next"];
const seen = await valuesOf("where-to-look", "The smallest value of a function", names);

export function looking() {
  const { dear, x: points, y: values, grid, functionMean, functionVariance, gains, next } = seen;
  const [left, width] = [40, 660];
  const x = scale(-2, 2, left, left + width);
  const y = scale(-3, 3, 244, 34);
  const most = Math.max(...gains.data);
  const below = scale(0, 1.1 * most, 350, 270);
  const at = (i, sign) => functionMean.at(i, 0) + sign * 1.96 * Math.sqrt(functionVariance.at(i, 0));
  const edge = (sign) => grid.map(([value], i) => [x(value), y(at(i, sign))]);
  const inputs = grid.map(([value]) => value);
  return picture(
    720,
    380,
    "A curve through four points with its band, and below the expected improvement, which is highest between points",
    [
      text(left, 20, "What is known of the function, and what a value there is expected to improve", {
        class: "strong",
      }),
      axes({ left, top: 34, width, height: 210, x, y, xTicks: [], yTicks: [-2, 0, 2] }),
      clipped(left, 34, width, 210, [
        line([...edge(1), ...edge(-1).reverse()], "band", true),
        line(
          inputs.map((value) => [x(value), y(dear(value))]),
          "edge",
        ),
        line(
          inputs.map((value, i) => [x(value), y(functionMean.at(i, 0))]),
          "mean",
        ),
      ]),
      dots(
        points.map(([value], i) => [x(value), y(values[i][0])]),
        "point",
        4,
      ),
      axes({ left, top: 270, width, height: 80, x, y: below, xTicks: [-2, -1, 0, 1, 2], yTicks: [] }),
      clipped(left, 270, width, 80, [
        line(
          [[x(-2), below(0)], ...inputs.map((value, i) => [x(value), below(gains.data[i])]), [x(2), below(0)]],
          "curve",
          true,
        ),
      ]),
      dots([[x(next[0]), below(most)]], "point", 4),
    ],
  );
}
