// What the examples of "where to look next" measured over ten seeds: the tables of the page, which are what the examples print.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { axes, dots, line, picture, scale, text } from "./svg.mjs";

const page = readFileSync(fileURLToPath(new URL("../where-to-look.md", import.meta.url)), "utf8");

/** The rows of the table that begins with a word: [count, posterior, random, difference, two errors]. @throws Error if there is none */
function tableOf(word) {
  const [, body] = page.split(new RegExp(`^${word} +posterior +random +difference +two errors$`, "m"));
  const rows = [];
  for (const row of (body ?? "").trimStart().split("\n")) {
    const numbers = row.trim().split(/ +/).map(Number);
    if (numbers.length !== 5 || numbers.some(Number.isNaN)) break;
    rows.push(numbers);
  }
  if (rows.length === 0) throw new Error(`docs/where-to-look.md has no table of ${word}.`);
  return rows;
}

/** Both means above, and below by how much the posterior is ahead, with two standard errors of the mean difference. */
function compared({ rows, title, label, count, ticks, gains }) {
  const [left, width, top, height, second, low] = [48, 640, 40, 170, 250, 90];
  const counts = rows.map(([n]) => n);
  const range = (values) => {
    const [least, most] = [Math.min(...values), Math.max(...values)];
    return [least - 0.08 * (most - least), most + 0.08 * (most - least)];
  };
  const gap = 0.03 * (counts.at(-1) - counts[0]);
  const x = scale(counts[0] - gap, counts.at(-1) + gap, left, left + width);
  const y = scale(...range(rows.flatMap(([, ours, theirs]) => [ours, theirs])), top + height, top);
  const ahead = scale(...range(rows.flatMap(([, , , d, e]) => [0, d - e, d + e])), second + low, second);
  const curve = (column) => rows.map((row) => [x(row[0]), y(row[column])]);
  const middle = left + width / 2;
  return picture(720, 386, title, [
    text(left, 24, label, { class: "strong" }),
    axes({ left, top, width, height, x, y, xTicks: [], yTicks: ticks }),
    line(curve(2), "edge"),
    dots(curve(2), "point", 2.5),
    line(curve(1), "mean"),
    dots(curve(1), "point", 3.5),
    text(left + width - 10, y(rows.at(-1)[1]) + (y(rows.at(-1)[1]) > y(rows.at(-1)[2]) ? -14 : 22), "posterior", {
      anchor: "end",
    }),
    text(left + width - 10, y(rows.at(-1)[2]) + (y(rows.at(-1)[1]) > y(rows.at(-1)[2]) ? -10 : 24), "random", {
      anchor: "end",
      class: "quiet",
    }),
    axes({ left, top: second, width, height: low, x, y: ahead, xTicks: counts, yTicks: gains }),
    line(
      [
        [left, ahead(0)],
        [left + width, ahead(0)],
      ],
      "edge",
    ),
    rows.map(([n, , , d, e]) =>
      line(
        [
          [x(n), ahead(d - e)],
          [x(n), ahead(d + e)],
        ],
        "mean",
      ),
    ),
    dots(
      rows.map(([n, , , d]) => [x(n), ahead(d)]),
      "point",
      3.5,
    ),
    text(left + 8, second - 8, "difference of the means, ± two standard errors", { class: "quiet" }),
    text(middle, second + low + 38, count, { anchor: "middle", class: "quiet" }),
  ]);
}

export const optimising = () =>
  compared({
    rows: tableOf("values"),
    title:
      "The distance to the least value of Branin's function falls faster with the posterior than with random points",
    label: "Distance to the least value of Branin's function, powers of ten, mean of ten seeds",
    count: "values of the function",
    ticks: [-0.5, 0, 0.5],
    gains: [0, 0.5, 1],
  });

export const labelling = () =>
  compared({
    rows: tableOf("labels"),
    title: "Accuracy on held-out digits rises faster with labels that the posterior asks for than with random ones",
    label: "Accuracy on 600 held-out digits, mean of ten seeds",
    count: "labels",
    ticks: [0.7, 0.8, 0.9],
    gains: [0, 0.05],
  });
