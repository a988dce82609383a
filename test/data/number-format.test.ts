import fc from "fast-check";
import { type NumberFormat, numberFormat, numberReader, tableEncoding } from "laplace-ts";
import { describe, expect, test } from "vitest";
import { nameTexts } from "../../src/data/naming.ts";

/** What cells say, in the format that they settle. */
function read(cells: readonly string[], hints = {}) {
  return cells.map(numberReader(numberFormat(cells, hints)));
}

/** A number written by hand: groups of three, or as in India. */
function written(
  value: number,
  decimals: number,
  { decimal, thousands }: Partial<NumberFormat>,
  indian = false,
): string {
  const [whole, rest] = Math.abs(value).toFixed(decimals).split(".");
  let groups = whole.slice(-3);
  for (let at = whole.length - 3; at > 0; at -= indian ? 2 : 3) {
    groups = `${whole.slice(Math.max(0, at - (indian ? 2 : 3)), at)}${thousands}${groups}`;
  }
  return `${value < 0 ? "-" : ""}${thousands === "" ? whole : groups}${rest === undefined ? "" : decimal + rest}`;
}

describe("numbers are read as they are written", () => {
  test.each<[readonly string[], readonly (number | undefined)[]]>([
    [
      ["1,234", "812", "3,456"],
      [1234, 812, 3456],
    ],
    [
      ["1.234,56", "7,5", "12"],
      [1234.56, 7.5, 12],
    ],
    [
      ["1 234,5", "1\u00a0000\u00a0000,25", "1\u202f000"],
      [1234.5, 1000000.25, 1000],
    ],
    [
      ["1'234.50", "2’000"],
      [1234.5, 2000],
    ],
    [
      ["12,34,567", "1,23,456.5"],
      [1234567, 123456.5],
    ],
    [
      ["$1,234.00", "$5", "-$2.50", "$-3", "($4)", "$ (1,000.00)"],
      [1234, 5, -2.5, -3, -4, -1000],
    ],
    [
      ["1.234,50 €", "€ 12,00", "€ 5,-"],
      [1234.5, 12, 5],
    ],
    [
      ["R$ 1.234,50", "R$ 2,00"],
      [1234.5, 2],
    ],
    [
      ["CHF 1'200.50", "CHF 12", "15"],
      [1200.5, 12, 15],
    ],
    [
      ["5 %", "12.5%", "-3%", "0"],
      [5, 12.5, -3, 0],
    ],
    [
      ["(1,234)", "12", "1,000-", "\u22125"],
      [-1234, 12, -1000, -5],
    ],
    [
      ["1.234.567", "2.345"],
      [1234567, 2345],
    ],
    [
      ["1.234", "0.346", "12.5"],
      [1.234, 0.346, 12.5],
    ],
    [
      ["0,123", "1,234", "12"],
      [0.123, 1.234, 12],
    ],
    [
      ["1,5e3", "2"],
      [1500, 2],
    ],
  ])("%j", (cells, due) => expect(read(cells)).toEqual(due));

  test.each<[readonly string[], string]>([
    [["1.5", "2,5", "3.5", "4.5"], "2,5"],
    [["5 %", "7 %", "0.05"], "0.05"],
    [["$5", "$7", "€3"], "€3"],
    [["1,234.5", "12,34"], "12,34"],
    [["1", "2", "12 kg"], "12 kg"],
    [["1", "2", "1.2.3"], "1.2.3"],
    [["1", "2", "(3"], "(3"],
  ])("of %j, %s is not one", (cells, odd) => {
    expect(cells.filter((_, i) => read(cells)[i] === undefined)).toEqual([odd]);
  });

  test("any numbers in any of the formats, by all of their cells", () => {
    const formats = fc.constantFrom<[Partial<NumberFormat>, boolean]>(
      [{ decimal: ".", thousands: "," }, false],
      [{ decimal: ".", thousands: "," }, true],
      [{ decimal: ",", thousands: "." }, false],
      [{ decimal: ",", thousands: " " }, false],
      [{ decimal: ".", thousands: "'" }, false],
      [{ decimal: ".", thousands: "" }, false],
      [{ decimal: ",", thousands: "" }, false],
    );
    fc.assert(
      fc.property(
        formats,
        fc.array(fc.integer({ min: -1e12, max: 1e12 }), { minLength: 1, maxLength: 20 }),
        ([format, indian], cents) => {
          const values = cents.map((one) => one / 100);
          const cells = values.map((value) => written(value, 2, format, indian));
          expect(read(cells).map((value) => (value === 0 ? 0 : value))).toEqual(
            values.map((value) => (value === 0 ? 0 : value)),
          );
        },
      ),
    );
  });
});

describe("where every cell can be read in two ways", () => {
  const open = ["1,234", "2,345", "3,456"];

  test.each([
    [",", 1234, "delimiter"],
    [";", 1.234, "delimiter"],
  ])("the delimiter %s decides, and is said to", (delimiter, first, settled) => {
    expect(read(open, { delimiter })[0]).toBe(first);
    expect(numberFormat(open, { delimiter }).settled).toBe(settled);
  });

  test("whole numbers below 1000 beside them, or a currency, mean thousands", () => {
    expect(read([...open, "812"], { delimiter: ";" })[0]).toBe(1234);
    expect(
      read(
        open.map((cell) => `$${cell}`),
        { delimiter: ";" },
      )[0],
    ).toBe(1234);
  });

  test("the table's other columns decide, and an option before them", () => {
    const y = open.map((_, i) => `${i}`);
    const table = (other: readonly string[]) => ({
      names: ["a", "b", "y"],
      rows: Array.from({ length: 12 }, (_, i) => [`${i + 1},2${i % 10}4`, other[i % 3], `${i * i}`]),
    });
    const german = tableEncoding(table(["0,5", "1,25", "7,5"]), { target: "y" }).columns[0];
    expect(german).toMatchObject({ decimal: ",", settled: "table", low: 1.204 });
    const english = tableEncoding(table(["0.5", "1.25", "1,234.5"]), { target: "y", delimiter: ";" }).columns[0];
    expect(english).toMatchObject({ decimal: ".", thousands: ",", settled: "table", low: 1204 });
    const said = tableEncoding(table(y), { target: "y", decimal: "," }).columns[0];
    expect(said).toMatchObject({ decimal: ",", settled: "option", low: 1.204 });
    const points = {
      names: ["a", "b", "y"],
      rows: table(["0,5", "1,25", "7,5"]).rows.map(([a, ...rest]) => [a.replace(",", "."), ...rest]),
    };
    expect(tableEncoding(points, { target: "y" }).columns[0]).toMatchObject({
      thousands: ".",
      settled: "table",
      low: 1204,
    });
  });
});

describe("a model remembers", () => {
  const rows = Array.from({ length: 12 }, (_, i) => [`${i}.234,5`, String(i * i)]);
  const encoding = tableEncoding({ names: ["x", "y"], rows }, { target: "y" });

  test("the format, in which it reads what it predicts", () => {
    expect(encoding.encode([{ x: "1234,5" }]).x).toEqual(encoding.encode([{ x: "1.234,5" }]).x);
    expect(() => encoding.encode([{ x: "1234.5" }])).toThrow(
      'has "1234.5", which is not a number as the training wrote them',
    );
  });

  test("until another is said", () => {
    const other = encoding.withFormats({ decimal: ".", thousands: "none" });
    expect(other.encode([{ x: "1234.5" }]).x).toEqual(encoding.encode([{ x: "1234,5" }]).x);
    expect(() => encoding.withFormats({ decimal: ",", thousands: "," })).toThrow("cannot stand before the decimals");
  });
});

test.each([
  [["12 kg", "13 kg", "7 kg"], 'numbers with a unit, such as "12 kg"'],
  [["$5", "€7", "$3"], "numbers in several units"],
  [["12.31.12-7", "01.02.13-4"], "dates that are not understood"],
  [["13/02/2012", "02/13/2012"], 'dates in two orders: "13/02/2012" has the day first'],
])("%j are named", (texts, words) => expect(nameTexts(texts)).toContain(words));

test.each([[["abc", "d 1", "x-7"]], [["Bern", "Zürich"]]])("%j are just texts", (texts) =>
  expect(nameTexts(texts)).toBeUndefined(),
);

test("points between three digits of prices are thousands, as commas are", () => {
  for (const sign of [",", "."]) {
    const cells = ["1.037 €", "2.500 €", "12.750 €"].map((cell) => cell.replace(".", sign));
    expect(cells.map(numberReader(numberFormat(cells)))).toEqual([1037, 2500, 12750]);
  }
  const decimals = ["1.037 €", "2.5 €"];
  expect(decimals.map(numberReader(numberFormat(decimals)))).toEqual([1.037, 2.5]);
  const shares = ["1.037 %", "2.500 %"];
  expect(shares.map(numberReader(numberFormat(shares)))).toEqual([1.037, 2.5]);
});
