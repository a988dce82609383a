import { OptionError, tableEncoding } from "laplace-ts";
import { describe, expect, test } from "vitest";
import { cellText } from "../../src/data/cell-texts.ts";
import { dateReading } from "../../src/data/date-format.ts";
import { type DateFormat, daysOf } from "../../src/data/dates.ts";

const day = (iso: string) => Date.parse(iso) / 86_400_000;

describe("dates that can be read in one way only", () => {
  test.each([
    ["2012-01-01 00:00:00+00", "2012-01-01T00:00Z"],
    ["2012-01-01 00:00:00 UTC", "2012-01-01T00:00Z"],
    ["2012-01-01 00:00:00+0530", "2011-12-31T18:30Z"],
    ["2012-01-01 10:00:00 -08", "2012-01-01T18:00Z"],
    ["2012-01-01T10:00:00.250+01:00[Europe/Berlin]", "2012-01-01T09:00:00.250Z"],
    ["2012-01-01 12:30:00,500", "2012-01-01T12:30:00.500Z"],
    ["20120101T123000", "2012-01-01T12:30Z"],
    ["20120101T1230Z", "2012-01-01T12:30Z"],
    ["2012-01", "2012-01-01"],
    ["2012/1/31", "2012-01-31"],
    ["2012.01.31", "2012-01-31"],
    ["2012年1月31日", "2012-01-31"],
    ["2012年1月", "2012-01-01"],
    ["2012년 1월 31일", "2012-01-31"],
    ["2012-W01-1", "2012-01-02"],
    ["2009-W53-7", "2010-01-03"],
    ["2012Q3", "2012-07-01"],
    ["2012-Q1", "2012-01-01"],
    ["01-Jan-2012", "2012-01-01"],
    ["01-JAN-12", "2012-01-01"],
    ["1 January 2012", "2012-01-01"],
    ["1st of May 2012", "2012-05-01"],
    ["Jan 1, 2012", "2012-01-01"],
    ["January 1st, 2012 3:05 PM", "2012-01-01T15:05Z"],
    ["Sun, 01 Jan 2012 00:00:00 GMT", "2012-01-01"],
    ["Sun, 01 Jan 2012 00:00:00 -0500", "2012-01-01T05:00Z"],
    ["Sun, 01 Jan 2012 00:00:00 EST", "2012-01-01T05:00Z"],
    ["Sun Jan  1 00:00:00 2012", "2012-01-01"],
    ["Sun Jan 01 2012 00:00:00 GMT+0100 (Central European Standard Time)", "2011-12-31T23:00Z"],
    ["01/Jan/2012:12:00:00 +0000", "2012-01-01T12:00Z"],
    ["2012-Jan-01", "2012-01-01"],
    ["Jan 2012", "2012-01-01"],
    ["Jan-69", "1969-01-01"],
    ["1. März 2012", "2012-03-01"],
    ["1 de enero de 2012", "2012-01-01"],
    ["15 août 2012", "2012-08-15"],
    ["2012-01-01 12.30.15", "2012-01-01T12:30:15Z"],
    ["2012-01-01-12.30.15.250000", "2012-01-01T12:30:15.250Z"],
    ["20120101 123015", "2012-01-01T12:30:15Z"],
    ["20120101_1230", "2012-01-01T12:30Z"],
    ["2012-06-30 23:59:60", "2012-07-01"],
    ["1 Jan 2012 3 PM", "2012-01-01T15:00Z"],
    ["1. Januar 2012 um 15.30 Uhr", "2012-01-01T15:30Z"],
    ["1 janvier 2012 à 15h30", "2012-01-01T15:30Z"],
    ["January 1, 2012 at 3:05 PM", "2012-01-01T15:05Z"],
    ["2012. 1. 31.", "2012-01-31"],
    ["03/2012", "2012-03-01"],
    ["3-2012", "2012-03-01"],
    ["2012M03", "2012-03-01"],
    ["Q3 2012", "2012-07-01"],
    ["3Q12", "2012-07-01"],
  ])("%s", (text, due) => {
    expect(daysOf(text, "names")).toBeCloseTo(day(due), 8);
    expect(daysOf(text, "dmy")).toBeCloseTo(day(due), 8);
  });

  test.each([
    "2012-02-30",
    "30 Feb 2012",
    "2012-W54-1",
    "2012Q5",
    "2012-13",
    "1234-05",
    "13/2012",
    "03/1234",
    "20120101-12",
    "2012-01-01 12",
    "Q5 2012",
    "1 Foo 2012",
    "Model 2012",
    "May 12",
    "2012-01-01 00:00 XYZ",
    "2012-01-01 13:00 PM",
    "2012-01-01 25:00",
    "2012-01-01 00:00+19",
    "12:30",
  ])("%s is not one", (text) => expect(daysOf(text, "names")).toBeUndefined());
});

describe("days and months", () => {
  test.each<[string, DateFormat, string]>([
    ["1/2/12", "mdy", "2012-01-02"],
    ["1/2/12", "dmy", "2012-02-01"],
    ["01/02/2012 12:00 AM", "mdy", "2012-01-02"],
    ["01/02/2012 12:00:00 pm", "mdy", "2012-01-02T12:00Z"],
    ["01/02/2012, 1:30 p.m.", "dmy", "2012-02-01T13:30Z"],
    ["01.02.12 13:30", "dmy", "2012-02-01T13:30Z"],
    ["85/03/25", "ymd", "1985-03-25"],
    ["40909.5", "excel", "2012-01-01T12:00Z"],
    ["1325376000", "unix", "2012-01-01"],
    ["1325376000000", "unix", "2012-01-01"],
    ["01022012", "%d%m%Y", "2012-02-01"],
    ["2012-032 06.30", "%Y-%j %H.%M", "2012-02-01T06:30Z"],
    ["1 Feb 12 6:30 PM", "%d %b %y %I:%M %p", "2012-02-01T18:30Z"],
  ])("%s as %s", (text, format, due) => expect(daysOf(text, format)).toBeCloseTo(day(due), 8));

  const months = (write: (month: string, year: number) => string, count = 40) =>
    Array.from({ length: count }, (_, i) => write(String(1 + (i % 12)).padStart(2, "0"), 2001 + Math.floor(i / 12)));

  /** Days in order, several times over. */
  const again = (times: number) =>
    Array.from({ length: times }, () => [
      ...["03/01/12", "05/01/12", "02/02/12", "09/02/12", "01/03/12", "11/03/12", "05/04/12", "12/04/12"],
    ]).flat();

  test.each<[string, readonly string[], string, string]>([
    ["firsts of months, the day first", months((m, y) => `01/${m}/${y}`), "dmy", "sequence"],
    ["firsts of months, the month first", months((m, y) => `${m}/01/${y}`), "mdy", "sequence"],
    ["firsts of the months of a year", months((m, y) => `01/${m}/${y}`, 12), "dmy", "sequence"],
    ["a day of every third month", months((m, y) => `05/${m}/${y}`).filter((_, i) => i % 3 === 0), "dmy", "sequence"],
    ["some months, in no order", ["05/09/02", "05/02/01", "05/11/03", "05/03/01", "05/07/02"], "dmy", "sequence"],
    ["records in order", ["03/01/12", "05/01/12", "02/02/12", "09/02/12", "01/03/12"], "dmy", "sequence"],
    [
      "a few days in order, each of several rows",
      ["03/01/12", "05/01/12", "02/02/12", "09/02/12", "01/03/12"].flatMap((day) => [day, day, day]),
      "dmy",
      "sequence",
    ],
    ["records in order, again for each of three places", again(3), "dmy", "sequence"],
    [
      "a few days that come again, by chance in order at first",
      ["03/01/12", "05/01/12", "02/06/12", "09/12/12", "05/01/12", "02/06/12", "03/01/12"],
      "mdy",
      "default",
    ],
    ["one cell that settles it", ["01/02/2012", "03/02/2012", "25/02/2012"], "dmy", "cells"],
    ["one cell that settles it otherwise", ["01/02/2012", "03/02/2012", "02/25/2012"], "mdy", "cells"],
    ["points", ["01.02.2012", "03.02.2012"], "dmy", "cells"],
    ["two digits, day first", ["13/02/12", "25/02/12"], "dmy", "cells"],
    ["the year first with two digits", ["85/03/25", "86/03/01"], "ymd", "cells"],
    ["nothing", ["07/02/2012", "01/09/2012", "03/05/2011", "11/04/2012"], "mdy", "default"],
    ["the same day as month", ["02/02/2012", "03/03/2012"], "mdy", "cells"],
    [
      "hours of days that follow",
      Array.from({ length: 48 * 4 }, (_, i) => `0${1 + Math.floor(i / 24)}/02/2012 ${i % 24}:00`),
      "dmy",
      "sequence",
    ],
  ])("%s", (_, cells, format, settled) => {
    expect(dateReading(cells)).toMatchObject({ format, settled, count: cells.length });
  });

  test("another column of the table settles what one leaves open; options come first", () => {
    const open = ["07/02/2012", "01/09/2012", "03/05/2011", "11/04/2012", "09/08/2011"];
    const rows = Array.from({ length: 20 }, (_, i) => [open[i % 5], `${1 + (i % 28)}/03/2012`, `${i * i}`]);
    const table = { names: ["a", "b", "y"], rows };
    const formats = (options = {}) =>
      tableEncoding(table, { target: "y", ...options }).columns.map(
        (column) => column.kind === "date" && [column.format, column.settled],
      );
    expect(formats()).toEqual([
      ["dmy", "table"],
      ["dmy", "cells"],
    ]);
    expect(formats({ dateFormat: { a: "mdy" } })).toEqual([
      ["mdy", "option"],
      ["dmy", "cells"],
    ]);
    expect(formats({ dateFormat: "dmy" })).toEqual([
      ["dmy", "option"],
      ["dmy", "option"],
    ]);
  });

  test("a model says when a date contradicts its training, and can be told", () => {
    const rows = Array.from({ length: 20 }, (_, i) => [`${1 + i}/03/2012`, `${i * i}`]);
    const encoding = tableEncoding({ names: ["d", "y"], rows }, { target: "y" });
    expect(() => encoding.encode([{ d: "03/25/2012" }])).toThrow(
      "which is not a date as the training wrote them (the day first)",
    );
    const other = encoding.withFormats({ dateFormat: { d: "mdy" } });
    expect(other.encode([{ d: "03/15/2012" }])).toEqual(encoding.encode([{ d: "2012-03-15" }]));
    expect(() => encoding.withFormats({ dateFormat: { e: "mdy" } })).toThrow(OptionError);
  });

  test.each(["%Q", "%d.%m", "%Y %y", "%Y-%m-%d %I", "day first", "dym"])("%s is not a format", (dateFormat) => {
    const table = { names: ["x", "y"], rows: Array.from({ length: 12 }, (_, i) => [`${i * i}`, `${i % 5}`]) };
    expect(() => tableEncoding(table, { target: "y", dateFormat: dateFormat as DateFormat })).toThrow(OptionError);
  });
});

test("times of day alone are read where all of a column is, and written so that they are read back", () => {
  const times = ["00:30", "9:05:07", "13:15:30.25", "11:59 PM"];
  expect(dateReading(times)).toEqual({ format: "time", settled: "cells", count: 4 });
  expect(times.map((text) => 86_400 * (daysOf(text, "time") ?? -1))).toEqual([
    1800,
    expect.closeTo(32_707, 6),
    expect.closeTo(47_730.25, 6),
    expect.closeTo(86_340, 6),
  ]);
  for (const text of ["24:00", "7:60", "1:2", "13:00 PM", "75:30", "2012-01-01"]) {
    expect(daysOf(text, "time")).toBeUndefined();
  }
  expect(cellText({ kind: "date", format: "time" }, 0.5)).toBe("12:00:00");
});
