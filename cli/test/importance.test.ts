// Which columns matter, by held-out rows; parts of these in which intervals do not hold what they should; what a report says of both.

import { Random } from "laplace-ts";
import { describe, expect, test } from "vitest";
import { partsOfHeldOut } from "../src/fitting/coverage.ts";
import { checkedOf, findingsOf } from "../src/fitting/findings.ts";
import { fitTable, type TableFit } from "../src/fitting/fit.ts";
import { lossesAt, probabilitiesAt, saidOfClasses } from "../src/fitting/probability-power.ts";
import { numbersOf, rowsAt } from "../src/model/rows.ts";
import { inTurns } from "../src/turn.ts";
import { regression } from "./report-data.ts";
import { render } from "./report-page.ts";
import { settings } from "./settings.ts";

const random = new Random(8);
const names = ["nothing", "a", "kind", "y"];
const rows = Array.from({ length: 240 }, (_, i) => {
  const a = random.normal();
  const kind = "uvw"[i % 3];
  const y = 3 * a + (kind === "u" ? 1 : 0) + 0.5 * random.normal();
  return [random.normal().toFixed(4), i % 20 === 7 ? "" : a.toFixed(4), kind, y.toFixed(4)];
});
const table = { names, rows, lines: rows.map((_, i) => i + 2) };
const quick = { ...settings, hidden: [4], rounds: 2, epochs: 60, folds: 3 };
const fit = await fitTable(table, { ...quick, target: "y" }, () => {});
const classes = await fitTable(
  {
    ...table,
    rows: rows.map(([nothing, a, kind, y]) => [
      nothing,
      a,
      kind,
      Number(y) > 1 ? "high" : Number(y) < -1 ? "low" : "mid",
    ]),
  },
  { ...quick, target: "y" },
  () => {},
);

describe.each([
  ["numbers", fit],
  ["classes", classes],
] as const)("the importance of columns for %s", (_, { importance }) => {
  test("is greatest where the target comes from, and nothing where it does not", () => {
    expect(importance.map(({ name }) => name)[0]).toBe("a");
    const [first] = importance;
    expect(first.rise).toBeGreaterThan(10 * first.standardError);
    const nothing = importance.find(({ name }) => name === "nothing");
    expect(Math.abs(nothing?.rise ?? 1)).toBeLessThan(4 * (nothing?.standardError ?? 0) + 0.02);
    expect(importance.length).toBe(3);
  });
});

test("probabilities of rows without gaps are those of predictions", async () => {
  const { model, rows: all } = classes;
  const some = rowsAt(all, [0, 1, 2, 3, 4]);
  const numbers = await inTurns(numbersOf(some, model.encoding));
  const said = await inTurns(saidOfClasses(model, numbers));
  const predicted = model.predictEncoded(numbers.x.data as Float64Array, numbers.unusual);
  const found = probabilitiesAt(said.logs, 3, model.probabilityPower);
  const expected = predicted.probabilities?.data ?? [];
  expect(found).toHaveLength(15);
  found.forEach((p, k) => {
    expect(p).toBeCloseTo(expected[k], 12);
  });
  lossesAt(said, model.probabilityPower).forEach((loss, i) => {
    expect(Math.exp(-loss)).toBeCloseTo(expected[3 * i + said.labels[i]], 12);
  });
});

/** The fit with other held-out intervals. */
const changed = (held: (i: number) => boolean): TableFit => {
  const { heldOut } = fit;
  const { truth } = heldOut;
  return {
    ...fit,
    heldOut: {
      ...heldOut,
      lower: truth.map((y, i) => (held(i) ? y - 1 : y + 1)),
      upper: truth.map((y) => y + 2),
    },
  };
};
const kindOf = (i: number) => rows[fit.heldOut.indices[i]][2];

describe("parts of held-out rows", () => {
  test("are along the prediction and its deviation, and by categories", () => {
    const parts = partsOfHeldOut(changed((i) => i % 10 !== 3));
    expect(parts.filter(({ rows: what }) => what.startsWith("with a prediction of")).length).toBe(4);
    expect(parts.filter(({ rows: what }) => what.startsWith("with a predicted deviation of")).length).toBe(4);
    const kinds = parts.filter(({ rows: what }) => what.startsWith('whose "kind" is'));
    expect(kinds.map(({ samples }) => samples)).toEqual([80, 80, 80]);
    for (const { coverage, side } of parts) {
      expect(coverage).toBeGreaterThan(0.8);
      expect(side).toBeUndefined();
    }
  });

  test("in which intervals hold less are named, though they are right in all together", () => {
    // Of one kind 70 %, of the others all: 90 % of all.
    const less = changed((i) => kindOf(i) !== "w" || i % 10 > 2);
    const found = findingsOf(less).filter(({ message }) => message.includes("not in each part"));
    expect(found.length).toBe(1);
    expect(found[0].message).toMatch(/they held .*7\d % of 80 rows whose "kind" is "w"/);
    expect(findingsOf(changed((i) => i % 10 !== 3)).some(({ message }) => message.includes("each part"))).toBe(false);
  });

  test("by chance hardly any table has one", () => {
    const draws = new Random(3);
    let named = 0;
    for (let k = 0; k < 200; k++) {
      const held = rows.map(() => draws.uniform() < 0.9);
      if (partsOfHeldOut(changed((i) => held[i])).some(({ side }) => side !== undefined)) named++;
    }
    // One in a hundred at most; three standard errors of two in two hundred.
    expect(named).toBeLessThan(7);
  });

  test("what is said to have been looked at was", () => {
    expect(checkedOf(fit).join()).toContain(`each of ${partsOfHeldOut(fit).length} parts`);
  });
});

test("a report has the importance of columns, with its error", async () => {
  const { columns } = regression(30);
  const page = await render(
    regression(30, {
      columns: columns.map((one, j) => (j === 0 ? { ...one, importance: [0.31234, 0.0456] as const } : one)),
    }),
  );
  const text = page.document.querySelector("#columns")?.textContent ?? "";
  expect(text).toMatch(/0\.312 ± 0\.046|0\.31 ± 0\.05/);
  expect(text).toContain("importance");
});
