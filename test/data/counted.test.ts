import fc from "fast-check";
import { expect, test } from "vitest";
import { Random } from "../../src/array/random.ts";
import { addCountedTables, type CountedTable, columnsOfCounts, countTable } from "../../src/data/counted.ts";
import { tableEncoding } from "../../src/data/encoding.ts";
import type { TableEncodingOptions } from "../../src/data/encoding-options.ts";
import type { Table } from "../../src/data/table.ts";

type Cell = (row: number, random: Random) => string;

const day = (row: number) => new Date(Date.UTC(2020, 0, 1) + row * 86_400_000);
const two = (n: number) => String(n).padStart(2, "0");
const dmy = (date: Date) => `${two(date.getUTCDate())}/${two(date.getUTCMonth() + 1)}/${date.getUTCFullYear()}`;
const mdy = (date: Date) => `${two(date.getUTCMonth() + 1)}/${two(date.getUTCDate())}/${date.getUTCFullYear()}`;
const pick = (random: Random, texts: readonly string[]) => texts[random.uint32() % texts.length];

/** In order with the day first. */
const visits = ["03/01/12", "05/01/12", "02/02/12", "09/02/12", "01/03/12"];

/** Columns of every kind, each written as tables write it. */
const columns: Readonly<Record<string, Cell>> = {
  normal: (_, random) => random.normal().toFixed(3),
  wild: (_, random) => String(Math.exp(8 * random.normal())),
  rough: (_, random) => random.normal().toFixed(1),
  signed: (_, random) => pick(random, ["-0", "0", "0.0", "1", "1.0", "-1"]),
  row: (row) => String(row + 1),
  row0: (row) => String(row),
  id: (row) => String(100 + ((row * 7919) % 10_007)),
  comma: (_, random) => random.normal().toFixed(2).replace(".", ","),
  either: (_, random) => `${1 + (random.uint32() % 9)},${100 + (random.uint32() % 900)}`,
  points: (_, random) => `${1 + (random.uint32() % 9)}.${100 + (random.uint32() % 900)}`,
  price: (_, random) => `${pick(random, ["$", "€"])}${random.uint32() % 2000}.50`,
  percent: (_, random) => `${random.uint32() % 100}${pick(random, [" %", "%", ""])}`,
  gaps: (_, random) => pick(random, ["", "NA", "?", random.normal().toFixed(2), random.normal().toFixed(2)]),
  stray: (_, random) => (random.uniform() < 0.03 ? pick(random, ["n. v.", "low", "x"]) : random.normal().toFixed(2)),
  colour: (_, random) => pick(random, ["red", "green", "blue", "Red", " red", "yes", "YES"]),
  many: (_, random) => `kind ${Math.floor(-20 * Math.log(1 - random.uniform()))}`,
  open: (_, random) => (random.uniform() < 0.1 ? `k${random.uint32()}` : pick(random, ["a", "b"])),
  code: (_, random) => String(random.uint32() % 300).padStart(5, "0"),
  text: (row, random) => `${pick(random, ["note", "remark"])} ${row} ${random.uint32()}`,
  unit: (_, random) => `${random.uint32() % 90} ${pick(random, ["kg", "g"])}`,
  one: () => "same",
  none: () => "",
  accent: (_, random) => pick(random, ["e\u0301", "\u00e9", "a"]),
  iso: (row) => day(row).toISOString().slice(0, 10),
  ordered: (row) => dmy(day(row % 11)),
  american: (row) => mdy(day(Math.floor(row / 3))),
  shuffled: (_, random) => mdy(day(random.uint32() % 12)),
  visited: (row) => visits[Math.min(4, Math.floor(row / 3))],
  revisited: (row) => visits[row < 8 ? Math.min(4, row) : (row * 3) % 5],
  mixed: (row) => (row % 2 === 0 ? dmy(day(row)) : mdy(day(row))),
  hours: (row) => `${day(row).toISOString().slice(0, 10)} ${two(row % 24)}:30`,
  year: (row) => String(1990 + (row % 30)),
};
const targets: Readonly<Record<string, Cell>> = {
  number: (_, random) => random.normal().toFixed(3),
  score: (_, random) => String(random.uint32() % 5),
  counts: (_, random) => String(Math.floor(-2 * Math.log(1 - random.uniform()))),
  classes: (_, random) => pick(random, ["low", "mid", "high", "High"]),
  absent: (_, random) => pick(random, ["", "1.5", "2.5", "NA", random.normal().toFixed(2)]),
  texts: (row) => `text ${row}`,
};

const tables = fc
  .record({
    rows: fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 401, max: 900 })),
    names: fc.uniqueArray(fc.constantFrom(...Object.keys(columns)), { minLength: 1, maxLength: 6 }),
    target: fc.constantFrom(...Object.keys(targets)),
    seed: fc.integer({ min: 0, max: 2 ** 30 }),
  })
  .map(({ rows, names, target, seed }): Table => {
    const random = new Random(seed);
    const cells = [...names.map((name) => columns[name]), targets[target]];
    return {
      names: [...names, "target"],
      rows: Array.from({ length: rows }, (_, i) => cells.map((cell) => cell(i, random))),
    };
  });

/** What is decided, or the error's message. */
function decided(make: () => { toJSON(): unknown }): unknown {
  try {
    return make().toJSON();
  } catch (error) {
    return (error as Error).message;
  }
}

/** The sum of parts, neighbours added in an order that the seed draws. */
function sumOf(parts: readonly CountedTable[], random: Random): CountedTable {
  const left = [...parts];
  while (left.length > 1) {
    const i = random.uint32() % (left.length - 1);
    left.splice(i, 2, addCountedTables(left[i], left[i + 1]));
  }
  return left[0];
}

const cuts = fc.array(fc.integer({ min: 0, max: 900 }), { maxLength: 8 });
const settings = fc.record({
  missing: fc.constantFrom("impute" as const, "refuse" as const),
  usualMissing: fc.boolean(),
  delimiter: fc.constantFrom(",", ";"),
  total: fc.constantFrom(undefined, 10_000),
});

test("what cells say of parts adds up to that of all, and decides what the table itself does", () => {
  fc.assert(
    fc.property(tables, cuts, settings, fc.integer(), (table, places, own, seed) => {
      const { names, rows } = table;
      const ends = [...new Set([...places.filter((place) => place < rows.length), rows.length])].sort((a, b) => a - b);
      const parts = ends.map((end, i) => countTable({ names, rows: rows.slice(ends[i - 1] ?? 0, end) }));
      const sum = sumOf(parts, new Random(seed >>> 0));
      expect(sum).toEqual(countTable(table));
      const options: TableEncodingOptions = { target: "target", ...own, place: (row) => `line ${row + 2}` };
      const whole = decided(() => tableEncoding(table, options));
      expect(decided(() => tableEncoding(columnsOfCounts(sum), options))).toEqual(whole);
      if (typeof whole === "string") return;
      // Of fewer rows of the same table: what columns hold stays.
      const encoding = tableEncoding(table, options);
      const some = { names, rows: rows.filter((_, i) => i % 3 !== 0) };
      const again = columnsOfCounts(countTable(some));
      expect(decided(() => encoding.ofRows(again))).toEqual(decided(() => encoding.ofRows(some)));
    }),
    { numRuns: 400 },
  );
});

test("columns that are left out decide nothing of the others, whatever their cells", () => {
  fc.assert(
    fc.property(tables, fc.nat(), ({ names, rows }, at) => {
      const out = at % (names.length - 1);
      const options: TableEncodingOptions = { target: "target", kinds: { [names[out]]: "ignored" } };
      const blank = rows.map((row) => row.map((cell, j) => (j === out ? "" : cell)));
      expect(decided(() => tableEncoding({ names, rows }, options))).toEqual(
        decided(() => tableEncoding({ names, rows: blank }, options)),
      );
    }),
    { numRuns: 200 },
  );
});

test("of columns of every kind, in many parts", () => {
  const random = new Random(5);
  const names = Object.keys(columns);
  const rows = Array.from({ length: 500 }, (_, i) => [
    ...names.map((name) => columns[name](i, random)),
    targets.counts(i, random),
  ]);
  const table = { names: [...names, "target"], rows };
  const parts = Array.from({ length: 50 }, (_, i) =>
    countTable({ names: table.names, rows: rows.slice(10 * i, 10 * i + 10) }),
  );
  const own = tableEncoding(columnsOfCounts(sumOf(parts, random)), { target: "target" }).toJSON();
  expect(own).toEqual(tableEncoding(table, { target: "target" }).toJSON());
  expect([...new Set(own.columns.map(({ kind }) => kind))].sort()).toEqual(["category", "date", "ignored", "number"]);
});

test("extremes of several columns in one row are those of one row", () => {
  // Cells that are alike come together, so an extreme has another place in each column.
  const odd = (every: number, at: number, value: number) => (row: number) =>
    row === at ? String(value) : row % every === 0 ? "1" : "2";
  const cells = [odd(2, 9, 7), odd(3, 9, 6), odd(2, 20, 5), odd(5, 30, 4)];
  const rows = Array.from({ length: 40 }, (_, i) => [...cells.map((cell) => cell(i)), String(i ** 0.5)]);
  const table = { names: ["a", "b", "c", "d", "target"], rows };
  const { margin } = tableEncoding(columnsOfCounts(countTable(table)), { target: "target" });
  // All but two rows of 40: the rows with 7 and 6, and with 5, are left out, and 4 is twice the range above 2.
  expect(margin).toBe(2);
  expect(margin).toBe(tableEncoding(table, { target: "target" }).margin);
});

test("an error names the first row that has what is wrong", () => {
  const rows = [
    ["1", "a"],
    ["2", "b"],
    ["", "a"],
    ["1", "b"],
    ["", "a"],
    ["x", "b"],
  ];
  const table = { names: ["number", "target"], rows };
  const options = { target: "target", missing: "refuse", place: (row: number) => `line ${row + 2}` } as const;
  const sum = addCountedTables(
    countTable({ names: table.names, rows: rows.slice(0, 2) }),
    countTable({ names: table.names, rows: rows.slice(2) }),
  );
  expect(() => tableEncoding(columnsOfCounts(sum), options)).toThrow("has no value in line 4");
});

test("tables of other columns do not add", () => {
  const [one, other] = [["a"], ["b"]].map((names) => countTable({ names, rows: [["1"]] }));
  for (const nonsense of [undefined, null, 1, "a", {}, { names: ["a"], columns: [], length: 1 }] as unknown[]) {
    const text = "expected what countTable gives, got ";
    expect(() => addCountedTables(one, nonsense as CountedTable)).toThrow(`addCountedTables: ${text}`);
    expect(() => columnsOfCounts(nonsense as CountedTable)).toThrow(`columnsOfCounts: ${text}`);
  }
  expect(() => addCountedTables(one, other)).toThrow("addCountedTables: expected the same columns, got a and b.");
});
