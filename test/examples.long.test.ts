// The examples as a newcomer runs them: built, in Node. What they print has to be true, not just there.

import { execFileSync, spawnSync } from "node:child_process";
import { beforeAll, expect, test } from "vitest";

// Does nothing where the build is up to date.
beforeAll(() => execFileSync(process.execPath, ["tools/prepare.mjs"], { stdio: "ignore" }), 300_000);

/** The lines that an example prints; it must not warn. */
function run(name: string): string[] {
  const { status, stdout, stderr } = spawnSync(process.execPath, [`build/examples/${name}.js`], { encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).not.toMatch(/NaN|Infinity|undefined/);
  return stdout.split("\n");
}

/** The numbers in a line. */
const numbers = (line: string) => (line.match(/-?\d+(?:\.\d+)?/g) ?? []).map(Number);
/** The lines between the one that begins with `head` and the next empty one. */
const table = (lines: string[], head: string) => {
  const start = lines.findIndex((line) => line.trimStart().startsWith(head)) + 1;
  expect(start).toBeGreaterThan(0);
  return lines.slice(start, lines.indexOf("", start));
};

/** Of a curve that was drawn: what is left of it, and how many marks each column has. */
function pictureOf(lines: string[]) {
  const at = lines.findIndex((line) => /^ {7}[+]-+[+]/.test(line));
  expect(at).toBeGreaterThan(20);
  const width = lines[at].length - 7;
  const rows = lines.slice(at - 21, at).map((line) => line.slice(7).padEnd(width));
  const height = Array.from({ length: width }, (_, i) => rows.filter((row) => row[i] !== " ").length);
  return { rows, height, widest: Math.max(...lines.slice(at - 21, at + 2).map((line) => line.length)) };
}

test("regression-band: the band is the noise's on the data and widens beyond them", () => {
  const lines = run("regression-band");
  const rows = table(lines, "x    mean").map((line) => {
    const [x, mean, curve, low, high] = numbers(line);
    return { x, mean, curve, low, high, width: high - low, on: line.endsWith("data") };
  });
  expect(rows.map(({ x }) => x)).toEqual(Array.from({ length: 17 }, (_, i) => i - 8));
  for (const { x, mean, curve, low, high, width, on } of rows) {
    expect(on).toBe(Math.abs(x) <= 4);
    expect(Math.abs((low + high) / 2 - mean)).toBeLessThan(0.02);
    // The band's width is that of noise and curve together; the true noise is 0.3.
    const noise = Math.sqrt(Math.max(0, (width / 3.92) ** 2 - curve ** 2));
    if (on) {
      expect(noise).toBeGreaterThan(0.27);
      expect(noise).toBeLessThan(0.33);
      expect(Math.abs(mean - Math.sin(x))).toBeLessThan(3 * curve + 0.02);
    }
  }
  const widest = Math.max(...rows.filter(({ on }) => on).map(({ width }) => width));
  expect(widest).toBeLessThan(2);
  for (const side of [rows.slice(0, 5).reverse(), rows.slice(-5)]) {
    // From the edge outwards.
    for (let i = 1; i < side.length; i++) expect(side[i].width).toBeGreaterThan(side[i - 1].width);
    expect((side.at(-1)?.width ?? 0) / widest).toBeGreaterThan(4);
  }
  const [before] = numbers(lines.find((line) => line.includes("before tuning")) as string);
  const [after] = numbers(lines.find((line) => line.includes("after;")) as string);
  expect(after).toBeGreaterThan(before + 10);
  // The picture shows it too.
  const picture = pictureOf(lines);
  expect(picture.height).toHaveLength(65);
  expect(Math.max(...picture.height.slice(18, 47))).toBeLessThan(Math.min(picture.height[0], picture.height[64]));
});

/** Of a table that compares means over seeds: its rows, each ending with the difference and two standard errors of it. */
const compared = (lines: string[]) => lines.filter((line) => /^\d+ /.test(line)).map(numbers);

test("where-to-look: the posterior finds smaller values than random points, beyond two standard errors", () => {
  const rows = compared(run("where-to-look"));
  expect(rows.map(([n]) => n)).toEqual([10, 15, 20, 25, 30]);
  for (const [, ours, theirs, difference, errors] of rows.slice(2)) {
    expect(difference).toBeCloseTo(theirs - ours, 1);
    expect(difference).toBeGreaterThan(errors);
  }
});

test("what-to-label: labels that are asked for teach more than random ones, beyond two standard errors", () => {
  const rows = compared(run("what-to-label"));
  expect(rows.map(([n]) => n)).toEqual([20, 30, 40, 50, 60, 70, 80, 90, 100]);
  expect(rows[0].slice(3)).toEqual([0, 0]);
  for (const [, ours, theirs, difference, errors] of rows.slice(2)) {
    expect(difference).toBeCloseTo(ours - theirs, 2);
    expect(difference).toBeGreaterThan(errors);
  }
});

test("npm start says first what will be seen, and ends with a band", () => {
  const lines = run("batched-gradients").join("\n").trimEnd().split("\n");
  expect(lines[0]).toBe("You will see: the gradient of each sample, checked and timed; then a 95 % band.");
  expect(lines.filter((line) => line.startsWith("FAIL"))).toEqual([]);
  const { rows, height, widest } = pictureOf(lines);
  expect(lines.at(-1)).toMatch(/^ +-8\.0 .* 8\.0$/);
  expect(widest).toBeLessThanOrEqual(80);
  // Plain characters, all of the points in the picture but for those that hide each other or lie behind the curve.
  expect(rows.join("")).toMatch(/^[ :o*]*$/);
  expect((rows.join("").match(/o/g) ?? []).length).toBeGreaterThan(30);
  for (let i = 0; i < 73; i++) expect(rows.filter((row) => row[i] === "*").length).toBe(1);
  // The data end at -4 and 4, which are columns 18 and 54.
  const [inside, ends] = [height.slice(19, 54), [...height.slice(0, 9), ...height.slice(-9)]];
  expect(Math.max(...inside)).toBeLessThan(Math.min(...ends));
}, 120_000);

test("two-moons: Laplace is less sure, most of all where there are no data, and right as often", () => {
  const lines = run("two-moons");
  const points = table(lines, "probability of class 1").map((line) => ({ name: line, p: numbers(line).slice(-3) }));
  expect(points).toHaveLength(7);
  const sureness = (p: number) => Math.abs(p - 0.5);
  for (const { p } of points) {
    for (const value of p) expect(value >= 0 && value <= 1).toBe(true);
    expect(sureness(p[1])).toBeLessThanOrEqual(sureness(p[0]));
    expect(sureness(p[2])).toBeLessThan(sureness(p[1]));
  }
  const far = points.filter(({ name }) => name.startsWith("far"));
  expect(far).toHaveLength(4);
  for (const { p } of far) {
    expect(sureness(p[0])).toBeGreaterThan(0.499);
    expect(sureness(p[2])).toBeLessThan(0.46);
  }
  const scores = table(lines, "1001 held-out points").map((line) => numbers(line).slice(-3));
  const [[alone, accuracy, lossAlone], [confidence, same, loss], [cautious, tunedSame, tunedLoss]] = scores;
  expect(alone).toBeGreaterThan(accuracy + 0.05);
  expect(Math.abs(confidence - accuracy)).toBeLessThan(alone - accuracy);
  expect(cautious).toBeLessThan(confidence);
  for (const other of [same, tunedSame]) expect(Math.abs(other - accuracy)).toBeLessThan(0.01);
  for (const other of [loss, tunedLoss]) expect(other).toBeLessThan(lossAlone);
});

test("subnetwork: fewer weights need less memory and leave less uncertainty beyond the data", () => {
  const lines = run("subnetwork");
  const rows = table(lines, "over").map((line) => {
    const [weights, memory, evidence, on, off, further] = numbers(line).slice(-6);
    return { name: line.slice(0, 33).trimEnd(), weights, memory, evidence, on, off, further };
  });
  expect(rows.map(({ weights }) => weights)).toEqual([1153, 1153, 200, 50, 64, 33]);
  const [all, kronecker, ...some] = rows;
  for (const row of rows) {
    expect(row.on).toBeGreaterThan(0);
    expect(row.off).toBeGreaterThan(row.on);
    expect(row.further).toBeGreaterThan(row.off);
  }
  expect(kronecker.memory).toBeLessThan(all.memory / 10);
  for (const row of some) {
    expect(row.memory).toBeLessThan(all.memory / 10);
    expect(row.off).toBeLessThan(all.off);
    expect(row.further).toBeLessThan(all.further);
  }
  const [most, few] = some;
  expect(few.further).toBeLessThan(most.further);
});

test("own-likelihood: heavy tails hold the curve, and the counts' own variance is found by evidence and held-out score", () => {
  const lines = run("own-likelihood");
  const scores = (head: string) => table(lines, head).map((line) => numbers(line).slice(-2));
  const [[gaussian, drawn], [student, held]] = scores("a sine, 1 in 8");
  expect(student).toBeLessThan(gaussian - 0.5);
  expect(held).toBeLessThan(drawn / 3);
  expect(held).toBeLessThan(0.1);
  const [poisson, wild, right, tame] = scores("counts");
  for (const other of [poisson, wild, tame]) {
    expect(right[0]).toBeLessThan(other[0]);
    expect(right[1]).toBeGreaterThan(other[1]);
  }
  const [[one], [own, left, there]] = table(lines, "noise e^").map((line) => numbers(line).slice(-3));
  expect(own).toBeLessThan(one - 0.1);
  expect(there / left).toBeGreaterThan(3);
});

test("digits: the network reads them, Laplace makes it better calibrated, and turned digits make it unsure", () => {
  const lines = run("digits");
  const [alone, withLaplace] = table(lines, "600 held-out digits").map(numbers);
  for (const [accuracy] of [alone, withLaplace]) expect(accuracy).toBeGreaterThan(0.95);
  expect(withLaplace[1]).toBeLessThan(alone[1] - 0.003); // −log p
  expect(withLaplace[2]).toBeLessThan(0.03); // ECE
  expect(withLaplace[3]).toBeLessThan(alone[3]); // Brier
  const turned = lines.filter((line) => /^\d+°/.test(line)).map(numbers);
  expect(turned.map(([degrees]) => degrees)).toEqual([0, 10, 20, 30, 45, 60, 90, 135, 180]);
  const [upright, ...others] = turned;
  for (const [, accuracy, network, laplace, epistemic] of others) {
    expect(accuracy).toBeLessThan(upright[1]);
    expect(laplace).toBeLessThan(network);
    expect(laplace).toBeLessThan(upright[3]);
    expect(epistemic).toBeGreaterThan(2 * upright[4]);
  }
  for (let i = 1; i < 4; i++) expect(turned[i][4]).toBeGreaterThan(turned[i - 1][4]);
}, 120_000);

test("own-primitive: its derivative is right, and its posterior comes back from a file", () => {
  const [slopes, before, after] = run("own-primitive").map((line) => numbers(line));
  expect(slopes[1]).toBeCloseTo(slopes[2], 5);
  // "0.37 at 0, 0.53 at 8"
  expect(before[2]).toBeGreaterThan(before[0]);
  expect(after).toEqual(before);
});

test("continual: the posterior before as the prior keeps tasks that training alone forgets", () => {
  const lines = run("continual");
  const starts = lines.flatMap((line, i) => (line.startsWith("Accuracy on held-out points") ? [i] : []));
  expect(starts).toHaveLength(5);
  /** The accuracies on the five tasks after the last, and their mean. */
  const [alone, diagonal, kronecker, full, joint] = starts.map((start) => {
    const row = numbers(lines[lines.indexOf("", start) - 1]);
    return row.slice(-6);
  });
  for (const row of [alone, diagonal, kronecker, full, joint]) {
    expect(row).toHaveLength(6);
    expect(Math.min(...row)).toBeGreaterThan(60);
  }
  // The first task is forgotten most, and kept best by the whole matrix; what all points at once give is more.
  expect(Math.min(...alone)).toBe(alone[0]);
  expect(full[0]).toBeGreaterThan(alone[0] + 3);
  expect(full[5]).toBeGreaterThan(diagonal[5]);
  expect(kronecker[5]).toBeGreaterThan(diagonal[5]);
  expect(kronecker[0]).toBeGreaterThan(alone[0] + 3);
  expect(diagonal[5]).toBeGreaterThanOrEqual(alone[5]);
  expect(joint[5]).toBeGreaterThan(full[5]);
  expect(full[5]).toBeGreaterThanOrEqual(alone[5] + 3);
}, 240_000);
