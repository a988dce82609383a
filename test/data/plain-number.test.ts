import fc from "fast-check";
import { type MissingRule, missingTest, numberOf, numberReader, readerOf } from "laplace-ts";
import { describe, expect, test } from "vitest";
import { plainNumber } from "../../src/data/plain-number.ts";

/** Digits with a sign and a point, or nearly. */
const nearly = fc.string({
  unit: fc.constantFrom(..."0123456789012345678901234567890123456789.+-,e #x"),
  maxLength: 26,
});
/** Numbers as programs write them, and of all lengths. */
const written = fc.oneof(
  fc.double({ noNaN: true }).map(String),
  fc.tuple(fc.integer({ min: -1e9, max: 1e9 }), fc.nat(12)).map(([whole, decimals]) => (whole / 1e4).toFixed(decimals)),
  fc
    .tuple(fc.constantFrom("", "-", "+"), fc.stringMatching(/^\d{1,24}$/), fc.stringMatching(/^(\.\d{0,24})?$/))
    .map((parts) => parts.join("")),
);
const cells = fc.oneof(nearly, written, fc.constantFrom("", " ", "NA", "n/a", "-", ".", "1.#QNAN", "5 %", "1,234.5"));

/** What a plain number is, by a pattern. */
const PLAIN = /^[+-]?\d+\.?\d*$/;
/** What a number is, by a pattern; none of them is longer. */
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
const numberIn = (cell: string) => {
  const text = cell.trim();
  return cell.length <= 64 && NUMBER.test(text) && Number.isFinite(Number(text)) ? Number(text) : undefined;
};

describe("a plain number", () => {
  test("is to the last bit what Number makes of it, and NaN of every other text", () => {
    fc.assert(
      fc.property(cells, (text) => {
        expect(plainNumber(text)).toBe(text.length <= 24 && PLAIN.test(text) ? Number(text) : Number.NaN);
      }),
    );
  });

  test.each([
    ["0", 0],
    ["-0", -0],
    ["-0.00", -0],
    ["007.50", 7.5],
    ["+5.", 5],
    ["0.1", 0.1],
    ["0.3", 0.3],
    ["9007199254740991", 9007199254740991],
    ["9007199254740993", 9007199254740992],
    ["0.9007199254740993", 0.9007199254740993],
    ["0.0000000000000000000001", 1e-22],
    ["1180591620717411303424", 2 ** 70],
    ["1180591620717411303425", 2 ** 70],
    ["", Number.NaN],
    ["-", Number.NaN],
    [".", Number.NaN],
    ["-.5", Number.NaN],
    ["1.2.3", Number.NaN],
    ["1e5", Number.NaN],
    [" 1", Number.NaN],
    ["0x10", Number.NaN],
    ["١", Number.NaN],
    ["1234567890123456789012345", Number.NaN],
  ])("%j is %d", (text, value) => {
    expect(plainNumber(text)).toBe(value);
  });

  test("is a quicker way to numberOf alone", () => {
    fc.assert(
      fc.property(cells, (cell) => {
        expect(numberOf(cell)).toBe(numberIn(cell));
      }),
    );
  });
});

describe("columns are read", () => {
  const rules = fc.record<MissingRule>({
    texts: fc.subarray(["-999", "0", "1.50", "none"]),
    marks: fc.constantFrom("usual", "none", "classic"),
  });
  const formats = fc.record({
    decimal: fc.constantFrom<"." | ",">(".", ","),
    thousands: fc.constantFrom<"" | "," | "." | " " | "'">("", ",", ".", " ", "'"),
    unit: fc.constantFrom("", "%", "‰", "$", "€"),
    settled: fc.constant("cells" as const),
  });
  const some = fc.oneof(cells, fc.constantFrom("-999", "-999.0", "0", "-0", "1.5", "1.50", "none", "1.234", "007"));

  test("as the missing ones first and the others by their format", () => {
    fc.assert(
      fc.property(rules, formats, fc.array(some, { maxLength: 20 }), (rule, format, column) => {
        fc.pre(format.decimal !== format.thousands);
        const [missing, read] = [missingTest(rule, "numbers"), numberReader(format)];
        const slow = (cell: string) => (missing(cell) ? undefined : (read(cell) ?? null));
        expect(column.map(readerOf({ kind: "number", ...format, texts: [] }, rule))).toEqual(column.map(slow));
      }),
    );
  });

  test("where a number is missing only if it is named, whatever it is among", () => {
    const among = fc.constantFrom<"numbers" | "texts" | "classes">("numbers", "texts", "classes");
    fc.assert(
      fc.property(rules, among, written, (rule, kind, cell) => {
        const value = numberIn(cell);
        fc.pre(value !== undefined && !rule.texts.some((text) => numberIn(text) === value));
        expect(missingTest(rule, kind)(cell)).toBe(false);
      }),
    );
    for (const [cell, is] of [
      ["-999.0", true],
      ["-999", true],
      ["999", false],
      ["-999,0", false],
    ] as const) {
      expect(missingTest({ texts: ["-999"], marks: "usual" }, "numbers")(cell)).toBe(is);
    }
  });
});
