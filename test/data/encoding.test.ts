import fc from "fast-check";
import {
  guessTask,
  OptionError,
  readTableEncoding,
  type Steps,
  spellings,
  type Table,
  type TableColumns,
  TableEncoding,
  tableEncoding,
  tableEncodingSteps,
  taskGuess,
  ValueError,
} from "laplace-ts";
import { describe, expect, test } from "vitest";
import { isMissing } from "../../src/data/cells.ts";
import { dateFormat } from "../../src/data/date-format.ts";
import { daysOf, dayText } from "../../src/data/dates.ts";
import { numberOf } from "../../src/data/number-format.ts";

/** A table from columns of cells. */
function tableOf(columns: Readonly<Record<string, readonly string[]>>): Table {
  const names = Object.keys(columns);
  const count = Math.max(...names.map((name) => columns[name].length));
  return { names, rows: Array.from({ length: count }, (_, i) => names.map((name) => columns[name][i])) };
}

const count = (n: number) => Array.from({ length: n }, (_, i) => i);
const target = count(12).map((i) => String(0.5 * i + 0.25));
const encode = (columns: Record<string, readonly string[]>, options = {}) =>
  tableEncoding(tableOf({ ...columns, y: target }), { target: "y", ...options });

describe("cells", () => {
  test.each(["", " ", "NA", "n/a", "#N/A", "NaN", "null", "None", "?", "inf", "-Infinity", " na "])(
    "%j is missing",
    (cell) => expect(isMissing(cell)).toBe(true),
  );

  test.each(["0", "no", "nana", "-", "infinite", "x".repeat(100)])("%j is not", (cell) =>
    expect(isMissing(cell)).toBe(false),
  );

  test("a number that JavaScript writes is read back; other texts are not numbers", () => {
    fc.assert(
      fc.property(
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        (x) => Object.is(numberOf(String(x)), x) || x === 0,
      ),
    );
    for (const text of ["1,5", "0x10", "1e", "--1", "1 2", "", "1e999", "١"]) expect(numberOf(text)).toBeUndefined();
  });

  test("a day that JavaScript writes is read back, in all formats", () => {
    const days = fc.integer({ min: -200_000, max: 200_000 });
    fc.assert(
      fc.property(days, fc.integer({ min: 0, max: 86_399 }), (day, second) => {
        const date = new Date((day * 86_400 + second) * 1000);
        const iso = date.toISOString();
        const [year, month, dayOfMonth] = iso.slice(0, 10).split("-");
        const near = (found: number | undefined, due: number) => found !== undefined && Math.abs(found - due) < 1e-9;
        return (
          near(daysOf(iso, "iso"), day + second / 86_400) &&
          near(daysOf(`${year}/${month}/${dayOfMonth}`, "iso"), day) &&
          near(daysOf(`${dayOfMonth}.${month}.${year}`, "dmy"), day) &&
          near(daysOf(`${month}/${dayOfMonth}/${year}`, "mdy"), day) &&
          near(daysOf(dayText(day + second / 86_400), "iso"), day + second / 86_400)
        );
      }),
    );
  });

  test.each(["2001-02-29", "2001-13-01", "2001-00-10", "2001-1-32", "2001-01-01T24:00", "20010101", "2001-01/02"])(
    "%s is not a day",
    (text) => expect(daysOf(text, "iso")).toBeUndefined(),
  );

  test("points mean that the day comes first, slashes that the month does where both could be", () => {
    expect(dateFormat(["3.2.2001", "4.2.2001"])).toBe("dmy");
    expect(dateFormat(["3/2/2001", "4/2/2001"])).toBe("mdy");
    expect(dateFormat(["3/2/2001", "14/2/2001"])).toBe("dmy");
    expect(dateFormat(["no", "date"])).toBeUndefined();
  });

  test("zones count", () => {
    expect(daysOf("1970-01-02T01:30+01:30", "iso")).toBe(1);
    expect(daysOf("1970-01-01 22:00:00 -0200", "iso")).toBe(1);
  });
});

describe("columns", () => {
  test("numbers are standardised by the training", () => {
    const encoding = encode({ x: count(12).map((i) => String(i * i)) });
    const { x } = encoding.encode(count(12).map((i) => ({ x: String(i * i) })));
    expect(x.reduce((sum, value) => sum + value, 0)).toBeCloseTo(0, 12);
    expect(x.reduce((sum, value) => sum + value * value, 0)).toBeCloseTo(12, 12);
  });

  test("of many categories those of three rows and more have an input each, up to 256", () => {
    const named = (categories: number, rows: number) => count(categories * rows).map((i) => `c${i % categories}`);
    const encodingOf = (cells: readonly string[]) => {
      const y = cells.map((_, i) => String(0.5 * i + 0.25));
      return tableEncoding(tableOf({ c: cells, y }), { target: "y" }).columns[0];
    };
    const rare = count(20).map((i) => `rare${i}`);
    expect(encodingOf([...named(100, 5), ...rare])).toMatchObject({ categories: { length: 100 }, rest: true });
    expect(encodingOf(named(100, 5))).toMatchObject({ categories: { length: 100 }, rest: false });
    expect(encodingOf(named(300, 4))).toMatchObject({ categories: { length: 256 }, rest: true });
    expect(encodingOf([...named(12, 5), ...rare])).toMatchObject({ categories: { length: 32 }, rest: false });
    expect(encodingOf([...named(12, 5), ...rare, "another"])).toMatchObject({ categories: { length: 32 }, rest: true });
  });

  test("what an unknown category may be are the training's, by their shares: a gap", () => {
    const cells = ["a", "a", "a", "b"];
    const encoding = tableEncoding(
      { names: ["c", "y"], rows: Array.from({ length: 40 }, (_, i) => [cells[i % 4], String(i)]) },
      { target: "y" },
    );
    const { x, unusual, gaps } = encoding.encode([{ c: "d" }, { c: "b" }]);
    expect([unusual, gaps]).toEqual([
      [["c"], []],
      [[0], []],
    ]);
    const drawn = encoding.draw(x.subarray(0, 2), gaps[0]);
    expect(drawn).toHaveLength(2 * 16);
    expect(drawn.filter((_, i) => i % 2 === 0).reduce((sum, one) => sum + one, 0)).toBe(12);
    expect(drawn.filter((_, i) => i % 2 === 1).reduce((sum, one) => sum + one, 0)).toBe(4);
  });

  test("an unknown category is drawn as those that are known, whatever is known of rows without one", () => {
    const cells = ["a", "a", "b", ""];
    const known = tableEncoding(tableOf({ c: count(40).map((i) => cells[i % 4]), y: count(40).map(String) }), {
      target: "y",
    });
    const { columns, target, missing, rule, margin } = known;
    const [column] = columns;
    if (column.kind !== "category") throw new Error("categories are expected");
    const narrow = new TableEncoding({ columns: [{ ...column, spread: 0.01 }], target, missing, rule, margin });
    const { x, unusual, gaps } = narrow.encode([{ c: "other" }, { c: "" }]);
    expect(unusual).toEqual([["c"], []]);
    const [other, absent] = [0, 1].map((i) => narrow.draw(x.subarray(3 * i, 3 * i + 3), gaps[i]));
    const rowsOf = (drawn: Float64Array) => count(16).map((k) => Array.from(drawn.subarray(3 * k, 3 * k + 3)));
    const shares = rowsOf(other).map((row) => row.join());
    expect(new Set(shares)).toEqual(new Set(["1,0,0", "0,1,0"]));
    // Two thirds of the cells that say something are a.
    expect(Math.abs(shares.filter((row) => row === "1,0,0").length / 16 - 2 / 3)).toBeLessThan(1 / 16);
    for (const [a, b, flag] of rowsOf(absent)) {
      expect(flag).toBe(1);
      expect(a).toBeGreaterThan(0.6);
      expect(b).toBeLessThan(0.4);
    }
  });

  test("categories have an input each, and an unknown one is 0 everywhere and unusual", () => {
    const encoding = encode({ c: count(12).map((i) => "abc"[i % 3]) });
    expect(encoding.inputs).toEqual(["c = a", "c = b", "c = c"]);
    const { x, unusual } = encoding.encode([{ c: "b" }, { c: " c " }, { c: "d" }]);
    expect(Array.from(x)).toEqual([0, 1, 0, 0, 0, 1, 0, 0, 0]);
    expect(unusual).toEqual([[], [], ["c"]]);
  });

  test("dates become a trend and the cycles that the training covers", () => {
    const day = (i: number) => `1973-0${1 + (i % 9)}-${10 + i}`;
    const { inputs, columns } = encode({ d: count(12).map(day) });
    expect(columns[0]).toMatchObject({ kind: "date", format: "iso", parts: ["trend", "season", "weekday"] });
    expect(inputs).toEqual(["d", "d season (sin)", "d season (cos)", "d weekday (sin)", "d weekday (cos)"]);
  });

  test("a year later the season is the same", () => {
    const encoding = encode({ d: count(12).map((i) => `19${70 + i}-0${1 + (i % 9)}-11`) });
    const { x } = encoding.encode([{ d: "1975-03-01" }, { d: "1976-03-01" }]);
    const width = encoding.inputs.length;
    const at = encoding.inputs.indexOf("d season (sin)");
    expect(x[at]).toBeCloseTo(x[width + at], 1);
    expect(x[width]).toBeGreaterThan(x[0]);
  });

  test("missing values become the median, and an input says so", () => {
    const encoding = encode({ x: count(12).map((i) => (i === 3 ? "" : String(i * i))) });
    expect(encoding.inputs).toEqual(["x", "x missing"]);
    const { x, unusual } = encoding.encode([{ x: "NA" }, { x: "36" }]);
    expect(Array.from(x)).toEqual([x[2], 1, x[2], 0]);
    expect(unusual).toEqual([[], []]);
  });

  test("a value that was never missing in training is unusual when it is", () => {
    const encoding = encode({ x: count(12).map((i) => String(i * i)) });
    expect(encoding.encode([{ x: "" }]).unusual).toEqual([["x"]]);
  });

  test("missing values are refused when asked", () => {
    const cells = count(12).map((i) => (i === 3 ? "" : String(i * i)));
    expect(() => encode({ x: cells }, { missing: "refuse" })).toThrow('the column "x" has no value in row 4');
    const encoding = encode({ x: cells.map((cell) => cell || "5") }, { missing: "refuse" });
    expect(() => encoding.encode([{ x: "" }])).toThrow("refuse missing values");
  });

  test("numbers far outside the training's range are unusual, and bounded", () => {
    const encoding = encode({ x: count(12).map((i) => String(i * i)) });
    const { x, unusual } = encoding.encode([{ x: "133" }, { x: "134" }, { x: "-12.2" }, { x: "1e300" }]);
    expect(unusual).toEqual([[], ["x"], ["x"], ["x"]]);
    expect(x[3]).toBe(1e6);
  });

  test.each([
    ["one value", { c: count(12).map(() => "7") }, "one value"],
    ["no values", { c: count(12).map(() => "NA") }, "no values"],
    ["a count of the rows", { c: count(12).map((i) => String(i + 1)) }, "it counts the rows"],
    ["long texts", { c: count(12).map((i) => `${i % 2}`.repeat(300)) }, "texts of more than 200 characters"],
  ])("%s is ignored, with the reason", (_, columns, reason) => {
    const { columns: found } = encode({ ...columns, x: count(12).map((i) => String(i * i)) });
    expect(found[0]).toEqual({ name: "c", kind: "ignored", reason });
  });

  test("kinds can be said", () => {
    const x = count(12).map((i) => String(i % 3));
    expect(encode({ x }, { kinds: { x: "category" } }).inputs).toEqual(["x = 0", "x = 1", "x = 2"]);
    expect(() => encode({ x }, { kinds: { x: "ignored" } })).toThrow("no column is left");
    expect(() => encode({ x }, { kinds: { z: "number" } })).toThrow(OptionError);
  });

  test("a few texts among many numbers count as missing, others cannot be read", () => {
    const columns = { x: count(40).map((i) => (i === 7 ? "?x" : String(i * i))), y: count(40).map((i) => `${i}.5`) };
    const encoding = tableEncoding(tableOf(columns), { target: "y" });
    expect(encoding.inputs).toEqual(["x", "x missing"]);
    const seen: string[][] = [];
    const { x, unusual, gaps } = encoding.encode([{ x: "?x" }, { x: "what" }, { x: "4" }], {
      unreadable: "missing",
      onUnreadable: (name, cell) => seen.push([name, cell]),
    });
    expect(Array.from(x)).toEqual([x[0], 1, x[0], 1, x[4], 0]);
    expect(unusual).toEqual([[], ["x"], []]);
    expect(gaps).toEqual([[0], [0], []]);
    expect(seen).toEqual([["x", "what"]]);
    expect(() => encoding.encode([{ x: "what" }])).toThrow('the column "x" has "what", which is not a number');
  });
});

describe("the target", () => {
  test.each([
    [["yes", "no", "yes"], "classification"],
    [["0", "1", "0", "1"], "classification"],
    [count(50).map((i) => String(i % 5)), "classification"],
    [count(50).map(String), "regression"],
    [["1.5", "2.5", "3.5"], "regression"],
    [[...count(50).map((i) => `${i}.5`), ""], "regression"],
  ])("%j … is a %s", (cells, task) => expect(guessTask(cells as string[])).toBe(task));

  /** Cells of values with how often each is there. */
  const shares = (values: Readonly<Record<string, number>>, times = 1) =>
    Object.entries(values).flatMap(([value, n]) => Array<string>(n * times).fill(value));
  test.each([
    [
      "counts, whose large ones are rare",
      { 0: 10, 1: 20, 2: 24, 3: 20, 4: 13, 5: 7, 6: 3, 7: 2, 8: 1 },
      "count",
      "rare",
    ],
    ["rounded prices", { 100: 12, 150: 9, 200: 10, 250: 8, 500: 11 }, "regression", "far from each other"],
    ["digits", { 0: 10, 1: 9, 2: 11, 3: 10, 4: 8, 5: 12, 6: 10, 7: 10, 8: 9, 9: 11 }, "classification", "hardly any"],
    ["cylinders", { 4: 11, 6: 7, 8: 14 }, "classification", "3 different integers"],
    ["one rare class", { 1: 90, 2: 8, 3: 2 }, "classification", "hardly any"],
    ["two numbers of any share", { 0: 199, 1: 1 }, "classification", "two different numbers"],
    ["texts", { yes: 10, no: 3 }, "classification", "texts"],
    ["codes", { "007": 10, "018": 10, "200": 8 }, "classification", "zeros in front"],
  ])("%s: shares decide, not counts, and the guess says why", (_, values, task, because) => {
    for (const times of [1, 3, 20]) {
      const found = taskGuess(shares(values as unknown as Record<string, number>, times));
      expect(found).toEqual({ task, because: expect.stringContaining(because) });
    }
  });

  test("words of truth are equal whatever their case, other words are not; spaces in excess mean nothing", () => {
    const classesOf = (cells: readonly string[]) => {
      const { target: own } = tableEncoding(tableOf({ x: cells.map((_, i) => `${i * i}`), y: cells }), { target: "y" });
      return own.kind === "classes" ? own.classes : [];
    };
    const often = (...cells: string[]) => count(6).flatMap(() => cells);
    expect(classesOf(often("Yes", "yes", " yes", "NO", "no", "no"))).toEqual(["no", "yes"]);
    expect(classesOf(often("On", "off", "ON", "on", "on"))).toEqual(["off", "on"]);
    expect(classesOf(often("New York", "New  York", "New\u00a0York", "Bern"))).toEqual(["Bern", "New York"]);
    expect(classesOf(often("b", "B", "a"))).toEqual(["B", "a", "b"]);
    expect(spellings(["Yes", "yes", "yes", "no", "1", "1.0"])).toEqual([
      [
        { text: "yes", count: 2 },
        { text: "Yes", count: 1 },
      ],
      [
        { text: "1", count: 1 },
        { text: "1.0", count: 1 },
      ],
    ]);
  });

  test("numbers are standardised, classes are numbered in order", () => {
    const x = count(12).map((i) => String(i * i));
    const numbers = encode({ x });
    expect(numbers.encodeTarget("3")).toBeCloseTo(0, 12);
    expect(numbers.encodeTarget("")).toBeUndefined();
    const classes = tableEncoding(tableOf({ x, y: x.map((_, i) => ["10", "9", "2"][i % 3]) }), {
      target: "y",
      task: "classification",
    });
    expect(classes.target).toEqual({ name: "y", kind: "classes", classes: ["2", "9", "10"] });
    expect(classes.encodeTarget("9")).toBe(1);
    expect(() => classes.encodeTarget("3")).toThrow("not one of the classes 2, 9, 10");
  });

  test.each([
    ["one value", x12("5"), "nothing to learn"],
    ["no value", x12(""), "has no values"],
    ["too many classes", count(300).map((i) => `c${i}`), "300 different values"],
  ])("%s is refused", (_, y, message) => {
    const x = y.map((_, i) => String((i * i) % 97));
    expect(() => tableEncoding(tableOf({ x, y }), { target: "y" })).toThrow(message);
    expect(() => tableEncoding(tableOf({ x, y }), { target: "y" })).toThrow(ValueError);
  });

  function x12(text: string): string[] {
    return count(12).map(() => text);
  }
});

describe("as JSON", () => {
  const rich = tableEncoding(
    tableOf({
      n: count(12).map((i) => (i === 1 ? "" : String(i * i))),
      c: count(12).map((i) => "abc"[i % 3]),
      d: count(12).map((i) => `${i + 1}.2.2001`),
      i: count(12).map((i) => String(i)),
      __proto__x: count(12).map((i) => String(-i * i)),
      y: target,
    }),
    { target: "y" },
  );
  const json = JSON.stringify(rich);

  test("it comes back the same, and encodes the same", () => {
    const again = readTableEncoding(json);
    expect(JSON.parse(JSON.stringify(again))).toEqual(JSON.parse(json));
    const row = { n: "7", c: "b", d: "3.2.2001", __proto__x: "1" };
    expect(again.encode([row])).toEqual(rich.encode([row]));
  });

  test("every field is needed, and checked", () => {
    const fields = (value: unknown, path: readonly (string | number)[] = []): (readonly (string | number)[])[] =>
      value !== null && typeof value === "object"
        ? [
            path,
            ...Object.entries(value).flatMap(([key, one]) =>
              fields(one, [...path, Array.isArray(value) ? Number(key) : key]),
            ),
          ]
        : [path];
    for (const path of fields(JSON.parse(json)).filter(({ length }) => length > 0)) {
      for (const value of [undefined, { bad: 1 }]) {
        const copy = JSON.parse(json);
        let inner = copy;
        for (const key of path.slice(0, -1)) inner = inner[key];
        const last = path[path.length - 1];
        if (value === undefined && Array.isArray(inner)) continue;
        inner[last] = value;
        expect(() => readTableEncoding(JSON.stringify(copy)), `${path.join(".")} = ${JSON.stringify(value)}`).toThrow(
          "readTableEncoding",
        );
      }
    }
  });

  test.each([
    ["a column of another kind", (c: string) => c.replace('"kind":"category"', '"kind":"number"')],
    ["a deviation of 0", (c: string) => c.replace(/"sd":[\d.]+/, '"sd":0')],
    ["two columns of one name", (c: string) => c.replace('"name":"c"', '"name":"n"')],
    ["the target among the columns", (c: string) => c.replace('"name":"c"', '"name":"y"')],
    ["two categories of one name", (c: string) => c.replace('["a","b","c"]', '["a","a","c"]')],
    ["a part of a date that does not exist", (c: string) => c.replace('["trend"', '["year"')],
  ])("%s is refused", (_, change) => {
    expect(change(json)).not.toBe(json);
    expect(() => readTableEncoding(change(json))).toThrow("readTableEncoding");
  });
});

describe("bind", () => {
  const encoding = encode({ a: count(12).map((i) => String(i * i)), b: count(12).map((i) => "xy"[i % 2]) });

  test("finds columns in any order, among others", () => {
    const into = new Float64Array(4);
    encoding.bind(["b", "other", "a"])(["y", "?", "36"], into, 1);
    expect(into[0]).toBe(0);
    expect(Array.from(into.subarray(1))).toEqual(Array.from(encoding.encode([{ a: "36", b: "y" }]).x));
  });

  test("says which columns are not there", () => {
    expect(() => encoding.bind(["a", "c"])).toThrow('the table has no column "b"');
    expect(() => encoding.bind(["a", "a", "b"])).toThrow('two columns have the name "a"');
    expect(() => encoding.encode([{ a: "1" }])).toThrow('row 1 has no "b"');
  });
});

describe("in steps", () => {
  const columns = { a: target.map((y) => `${Number(y) ** 2}`), b: target.map((_, i) => (i % 3 === 0 ? "x" : "y")) };
  const table = tableOf({ ...columns, y: target });
  const taken = <T>(steps: Steps<T>) => {
    for (let count = 0; ; count++) {
      const { done, value } = steps.next();
      if (done) return { count, value };
    }
  };

  test("a table is decided as at once, with at least a pause for each column", () => {
    const { count: pauses, value } = taken(tableEncodingSteps(table, { target: "y" }));
    expect(value.toJSON()).toEqual(tableEncoding(table, { target: "y" }).toJSON());
    expect(pauses).toBeGreaterThanOrEqual(table.names.length);
    const some = { names: table.names, rows: table.rows.slice(3) };
    const other = taken(value.ofRowsSteps(some));
    expect(other.value.toJSON()).toEqual(value.ofRows(some).toJSON());
    expect(other.count).toBeGreaterThanOrEqual(2);
  });

  test("what is wrong is thrown by a step", () => {
    expect(() => taken(tableEncodingSteps(table, { target: "z" }))).toThrow(OptionError);
  });
});

describe("a table by its columns", () => {
  const cells = {
    a: ["1,5", "2,5", "", "4", "1,5", "3", "7", "8"],
    b: ["x", "y", "x", "", "y", "x", "x", "y"],
    y: target.slice(0, 8),
  };
  const table = tableOf(cells);
  const byColumns = (columns: readonly (readonly string[])[] = Object.values(cells)): TableColumns => ({
    names: table.names,
    length: 8,
    column: (place) => columns[place],
  });

  test("is decided as one of rows", () => {
    const [plain, own] = [tableEncoding(table, { target: "y" }), tableEncoding(byColumns(), { target: "y" })];
    expect(own.toJSON()).toEqual(plain.toJSON());
    expect(own.ofRows(byColumns()).toJSON()).toEqual(plain.ofRows(table).toJSON());
  });

  test("needs as many texts in each column as it has rows", () => {
    const [a, b, y] = Object.values(cells);
    expect(() => tableEncoding(byColumns([a, b.slice(1), y]), { target: "y" })).toThrow(
      '"b" has 7 cells; the table has 8 rows',
    );
    expect(() => tableEncoding(byColumns([a, b.map(() => 1) as never, y]), { target: "y" })).toThrow("not a text");
    expect(() => tableEncoding({ ...byColumns(), length: -1 }, { target: "y" })).toThrow("length");
    expect(() => tableEncoding({ ...byColumns(), length: 0 }, { target: "y" })).toThrow("there are no rows");
  });
});

describe("effects of categories", () => {
  const levels = count(300).map((i) => `c${i}`);
  const rows = [...levels, ...levels];
  const table = tableOf({ c: rows, y: rows.map((_, i) => String(0.5 * i)) });
  const encoding = () => tableEncoding(table, { target: "y", manyCategories: "effects" });
  const effects = {
    values: levels.map((_, i) => i / 100),
    open: levels.map(() => 0.5),
    deviations: [0.7],
  };

  test("one that is not there is drawn as any of them, whatever is known of rows without one", () => {
    const known = encoding().withEffects({ c: effects });
    const { columns, target, missing, rule, margin } = known;
    const [column] = columns;
    if (column.kind !== "category") throw new Error("categories are expected");
    const narrow = { ...column, missing: true, spread: 0.01 };
    const both = new TableEncoding({ columns: [narrow], target, missing, rule, margin });
    const { x, gaps } = both.encode([{ c: "other" }, { c: "" }]);
    const [other, absent] = [0, 1].map((i) => both.draw(x.subarray(3 * i, 3 * i + 3), gaps[i]));
    const plain = known.encode([{ c: "other" }]);
    const drawn = known.draw(plain.x, plain.gaps[0]);
    for (let k = 0; 2 * k < drawn.length; k++) {
      expect(Array.from(other.subarray(3 * k, 3 * k + 3))).toEqual([drawn[2 * k], drawn[2 * k + 1], 0]);
      expect(absent[3 * k]).toBeCloseTo(x[3] + 0.1 * (drawn[2 * k] - x[0]), 10);
      expect(absent[3 * k + 2]).toBe(1);
    }
  });

  test("a missing one is drawn as rows have them, and one that is not there as categories differ", () => {
    const often = tableOf({ c: [...new Array(5400).fill("c0"), ...rows], y: count(6000).map((i) => String(0.5 * i)) });
    const open = tableEncoding(often, { target: "y", manyCategories: "effects" });
    const [column] = open.columns;
    const listed = column.kind === "category" ? column.categories : [];
    const values = listed.map((name) => (name === "c0" ? 1 : -0.8));
    const known = open.withEffects({ c: { values, open: listed.map(() => 0), deviations: [1] } });
    const meanOf = (cell: string) => {
      const { x, gaps } = known.encode([{ c: cell }]);
      const drawn = known.draw(x, gaps[0]);
      return count(drawn.length / 2).reduce((sum, k) => sum + drawn[2 * k] / (drawn.length / 2), 0);
    };
    // 0.9 · 1 − 0.1 · 0.8, as nearly as 16 draws say it.
    expect(Math.abs(meanOf("") - 0.82)).toBeLessThan(0.1);
    expect(Math.abs(meanOf("elsewhere") + 0.8)).toBeLessThan(0.15);
  });

  test("are open until they are brought; few categories have inputs, and so have many by default", () => {
    const open = encoding();
    expect(open.inputs).toEqual(["c effect", "c open"]);
    expect(Array.from(open.encode([{ c: "c7" }]).x)).toEqual([0, 1]);
    const known = open.withEffects({ c: effects });
    const place = levels.toSorted().indexOf("c7");
    const { x, gaps, unusual } = known.encode([{ c: "c7" }, { c: "other" }]);
    expect(Array.from(x.subarray(0, 2))).toEqual([place / 100, 0.5]);
    // One that is not there may have any of their effects, evenly: their mean and deviation.
    expect([gaps, unusual]).toEqual([
      [[], [0]],
      [[], []],
    ]);
    const drawn = known.draw(x.subarray(2, 4), [0]);
    const own = count(drawn.length / 2).map((k) => drawn[2 * k]);
    const mean = own.reduce((sum, one) => sum + one / own.length, 0);
    expect(mean).toBeCloseTo(1.495, 1);
    expect(Math.sqrt(own.reduce((sum, one) => sum + (one - mean) ** 2 / own.length, 0))).toBeCloseTo(
      3 / Math.sqrt(12),
      1,
    );
    const few = tableOf({ c: rows.map((_, i) => "uvw"[i % 3]), y: rows.map((_, i) => String(0.5 * i)) });
    expect(tableEncoding(few, { target: "y", manyCategories: "effects" }).inputs).toHaveLength(3);
    expect(tableEncoding(table, { target: "y" }).inputs).toHaveLength(32);
  });

  test("that do not belong to the column are refused, from files too", () => {
    const open = encoding();
    const bring = (own: object) => () => open.withEffects({ c: { ...effects, ...own } });
    expect(bring({ values: [1] })).toThrow(/expected 300 numbers in values/);
    expect(bring({ open: levels.map(() => -1) })).toThrow(/300 numbers of at least 0 in open/);
    expect(bring({ deviations: [-1] })).toThrow(/at least 0/);
    expect(bring({ deviations: [1, 1], values: [...effects.values, ...effects.values] })).toThrow(/on 1 outputs/);
    expect(() => open.withEffects({ z: effects })).toThrow(OptionError);
    const json = JSON.parse(JSON.stringify(open.withEffects({ c: effects })));
    expect(json.version).toBe(5);
    expect(readTableEncoding(JSON.stringify(json)).toJSON()).toEqual(json);
    json.columns[0].effects.values.pop();
    expect(() => readTableEncoding(JSON.stringify(json))).toThrow(/expected 300 numbers in values/);
    delete json.columns[0].effects.values;
    expect(() => readTableEncoding(JSON.stringify(json))).toThrow(/values/);
    for (const own of [{ draws: ["nope"] }, { draws: [] }, { fill: "nope" }]) {
      const other = JSON.parse(JSON.stringify(open.withEffects({ c: effects })));
      Object.assign(other.columns[0], own);
      expect(() => readTableEncoding(JSON.stringify(other))).toThrow(/fill and draws to be among the categories/);
    }
    const before = JSON.parse(JSON.stringify(open.withEffects({ c: effects })));
    before.version = 4;
    expect(() => readTableEncoding(JSON.stringify(before))).toThrow(/unknown field "effects"/);
  });
});
