// Altered CSV files: each ends in a result or a named error, soon, within bounded memory, and runs nothing.

import { Readable } from "node:stream";
import fc from "fast-check";
import { LaplaceError, tableEncoding } from "laplace-ts";
import { describe, expect, test } from "vitest";
import { cpuTime } from "../../test/cpu-time.ts";
import { type FitSettings, fitTable } from "../src/fitting/fit.ts";
import { numbersOf } from "../src/model/rows.ts";
import { openCsv, type ReadOptions } from "../src/table/csv.ts";
import { batchEncoder } from "../src/table/encode.ts";
import { readTable } from "../src/table/read.ts";
import { decoded } from "../src/table/text.ts";

const settings: FitSettings = {
  target: "y",
  missing: "impute",
  kinds: {},
  activation: "tanh",
  hidden: [3],
  epochs: 4,
  rounds: 1,
  folds: 2,
  seed: 0,
  structure: "auto",
  memoryBudget: 2 ** 28,
};

const open = (bytes: Uint8Array, chunk: number, options: ReadOptions = {}) => {
  const chunks = Array.from({ length: Math.ceil(bytes.length / chunk) }, (_, i) =>
    bytes.subarray(i * chunk, (i + 1) * chunk),
  );
  return openCsv(decoded(Readable.from(chunks), options.encoding), options);
};

const read = async (bytes: Uint8Array, chunk = 1000) => readTable(await open(bytes, chunk), 10_000, 0);

/** Cells that need no quotes. */
const tame = fc.oneof(
  { weight: 8, arbitrary: fc.double({ noNaN: true, min: -1e3, max: 1e3 }).map(String) },
  { weight: 2, arbitrary: fc.constantFrom("a", "b", "1973-05-01", "1999-12-31 10:11", "") },
  { weight: 1, arbitrary: fc.constantFrom("NA", "Inf", "1e999", "-1e308", "1e-308", "null", "__proto__") },
);

const cell = fc.oneof(
  { weight: 8, arbitrary: fc.double({ noNaN: true, min: -1e3, max: 1e3 }).map(String) },
  { weight: 3, arbitrary: fc.constantFrom("a", "b", "Zürich", "1973-05-01", "13.02.2001", "2/3/1999 10:11", "true") },
  {
    weight: 3,
    arbitrary: fc.constantFrom("", "NA", "NaN", "Inf", "-inf", "1e999", "-1e308", "null", "__proto__", "=1+1"),
  },
  { weight: 1, arbitrary: fc.string({ maxLength: 20 }) },
  { weight: 1, arbitrary: fc.constantFrom('"', '""', '"a,b"', '"a\nb"', '"open', 'a"b', "\u0000", "\ufeff", "\ud800") },
);

const name = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom("x", "z", "day", "city") },
  { weight: 2, arbitrary: fc.constantFrom("", "x", "__proto__", "constructor", "toString", "y", "mean") },
  { weight: 1, arbitrary: fc.string({ maxLength: 8 }) },
);

/** A table as text: more or less a table with the target y. */
const text = fc
  .record({
    names: fc.array(name, { maxLength: 4 }),
    rows: fc.array(fc.array(cell, { minLength: 1, maxLength: 5 }), { maxLength: 30 }),
    target: fc.array(fc.oneof(fc.integer({ min: -5, max: 5 }).map(String), fc.constantFrom("yes", "no", "", "x")), {
      minLength: 1,
      maxLength: 30,
    }),
    shape: fc.constantFrom("even", "even", "even", "ragged"),
    delimiter: fc.constantFrom(",", ",", ";", "\t", "|"),
    line: fc.constantFrom("\n", "\n", "\r\n", "\r"),
    numeric: fc.boolean(),
  })
  .map(({ names, rows, target, shape, delimiter, line, numeric }) => {
    const width = names.length;
    const cells = rows.map((row, i) => {
      const own = shape === "ragged" ? row : Array.from({ length: width }, (_, j) => row[j % row.length]);
      return [
        ...own,
        numeric ? String(i % 7) + target[i % target.length].replace(/\D/g, "") : target[i % target.length],
      ];
    });
    return [[...names, "y"], ...cells].map((row) => row.join(delimiter)).join(line) + line;
  });

/** Bytes that a text becomes on the way: encodings, marks, cuts, flips. */
const bytes = fc
  .record({
    text,
    encoding: fc.constantFrom("utf8", "utf8", "utf8", "latin1", "utf16le"),
    mark: fc.constantFrom("", "", "\ufeff"),
    cut: fc.oneof(
      { weight: 4, arbitrary: fc.constant(1) },
      { weight: 1, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }) },
    ),
    flips: fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 2 }),
    flip: fc.constantFrom(false, false, true),
  })
  .map(({ text: whole, encoding, mark, cut, flips, flip }) => {
    const result = Buffer.from(mark + whole, encoding as BufferEncoding);
    if (flip && result.length > 0) for (const [where, value] of flips) result[where % result.length] = value;
    return new Uint8Array(result.subarray(0, Math.ceil(cut * result.length)));
  });

/** Tables that can be fitted, most of them: wild values and one altered character at most. */
const nearly = fc
  .record({
    rows: fc.array(fc.array(tame, { minLength: 3, maxLength: 3 }), { minLength: 12, maxLength: 40 }),
    target: fc.array(fc.constantFrom("1", "2.5", "-3", "4e3", "0.1", "7", ""), { minLength: 3, maxLength: 9 }),
    flip: fc.option(fc.tuple(fc.nat(), fc.constantFrom(",", '"', "\n", "é")), { nil: undefined, freq: 3 }),
  })
  .map(({ rows, target, flip }) => {
    const lines = rows.map((row, i) => [...row, target[(i * i) % target.length]].join(","));
    const whole = `a,b,c,y\n${lines.join("\n")}\n`;
    const place = flip === undefined ? 0 : flip[0] % whole.length;
    return new TextEncoder().encode(
      flip === undefined ? whole : whole.slice(0, place) + flip[1] + whole.slice(place + 1),
    );
  });

/** Runs it, and gives what it gave, or the named error's name. */
async function outcome(run: () => Promise<unknown>): Promise<string> {
  const start = cpuTime();
  let name = "result";
  try {
    await run();
  } catch (error) {
    // Anything else is a fault, and shows itself.
    if (!(error instanceof LaplaceError)) throw error;
    expect(error.message.length).toBeGreaterThan(10);
    name = error.name;
  }
  expect(cpuTime() - start).toBeLessThan(5000);
  return name;
}

const fitted = await fitTable(
  await read(
    new TextEncoder().encode(
      `x,city,day,y\n${Array.from({ length: 30 }, (_, i) => `${i % 11},${"abc"[i % 3]},1973-0${1 + (i % 9)}-11,${(i % 11) + 0.1 * (i % 4)}`).join("\n")}\n`,
    ),
  ),
  settings,
  () => {},
);

describe("altered CSV files end in a result or a named error", () => {
  test("reading, encoding and predicting, 5000 of them", { timeout: 300_000 }, async () => {
    const seen = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(bytes, fc.integer({ min: 1, max: 200 }), fc.boolean(), async (file, chunk, skip) => {
        const count = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1);
        count(
          `encode ${await outcome(async () => {
            const table = await read(file, chunk);
            numbersOf(table, tableEncoding(table, { target: "y" }));
          })}`,
        );
        count(
          `predict ${await outcome(async () => {
            const onSkip = skip ? () => {} : undefined;
            const table = await open(file, chunk, { onSkip });
            const encode = batchEncoder(fitted.model, table, onSkip);
            for await (const batch of table.batches) {
              const { x, unusual, rows } = encode(batch);
              if (rows.length === 0) continue;
              const { mean, sd } = fitted.model.predictEncoded(x, unusual);
              expect(mean?.every(Number.isFinite) && sd?.every((s) => s > 0)).toBe(true);
            }
          })}`,
        );
      }),
      { numRuns: 5000 },
    );
    // The property is about all of these: none may be missing.
    for (const what of [
      "encode result",
      "encode TableError",
      "encode ValueError",
      "predict result",
      "predict TableError",
    ]) {
      expect([...seen.keys()]).toContain(what);
    }
    expect(process.memoryUsage().rss).toBeLessThan(2 ** 30);
  });

  test("fitting, 200 of them", { timeout: 300_000 }, async () => {
    const seen = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(nearly, async (file) => {
        const what = await outcome(async () => fitTable(await read(file), settings, () => {}));
        seen.set(what, (seen.get(what) ?? 0) + 1);
      }),
      { numRuns: 200 },
    );
    expect(seen.get("result") ?? 0).toBeGreaterThan(50);
  });
});

describe("single tables", () => {
  const utf8 = (content: string) => new TextEncoder().encode(content);
  const encodingOf = async (content: string, target = "y") => tableEncoding(await read(utf8(content)), { target });
  const rows = (n: number, row: (i: number) => string) => Array.from({ length: n }, (_, i) => row(i)).join("\n");

  test.each([
    ["empty", "", "the table is empty"],
    ["only spaces", " \n \n", "the table is empty"],
    ["only a header", "x,y\n", "there are no rows"],
    ["one row", "x,y\n1,2\n", "one value: nothing to learn"],
    ["two columns of one name", "x,x,y\n1,2,3\n", 'two columns have the name "x"'],
    ["a row that is too long", "x,y\n1,2\n1,2,3\n", "line 3: the row has 3 cells, the header 2"],
    ["an open quote", 'x,y\n1,2\n"1,2\n', "a quote is not closed"],
    ["a quote in a cell", 'x,y\n1,2\n1"0,2\n', "a quote stands within a cell"],
    ["text behind a quote", 'x,y\n1,2\n"1"0,2\n', "goes on after its closing quote"],
    ["NUL characters", "x,y\n1,\u0000\n", "NUL characters"],
    ["no numbers to learn from", "x,y\n7,1\n7,2\n", "no column is left"],
  ])("%s", async (_, content, message) => {
    await expect(encodingOf(content)).rejects.toThrow(message);
    await expect(encodingOf(content)).rejects.toBeInstanceOf(LaplaceError);
  });

  test("latin1 is named, and read by option", async () => {
    const file = Buffer.from("Stadt,y\nZürich,1\n", "latin1");
    await expect(read(file)).rejects.toThrow("--encoding latin1");
    const table = await readTable(await open(file, 7, { encoding: "latin1" }), 10, 0);
    expect(table.rows).toEqual([["Zürich", "1"]]);
  });

  test.each([
    ["UTF-8 with a mark", Buffer.from("\ufeffx,y\n1,ü\n")],
    ["UTF-16 with a mark", Buffer.from("\ufeffx,y\r\n1,ü\r\n", "utf16le")],
    ["UTF-16, big-endian", Buffer.from("\ufeffx,y\n1,ü\n", "utf16le").swap16()],
  ])("%s", async (_, file) => {
    expect(await read(file, 3)).toMatchObject({ names: ["x", "y"], rows: [["1", "ü"]] });
  });

  test("lines are those of the file, also after empty ones and quoted ones", async () => {
    const { lines } = await read(utf8('x,y\n1,2\n\n"a\nb",2\n5,6\n'));
    expect(lines).toEqual([2, 5, 6]);
  });

  test("ten thousand categories are not taken as inputs", async () => {
    const { columns } = await encodingOf(`x,c,y\n${rows(10_000, (i) => `${i % 17},c${i},${i % 13}`)}\n`);
    expect(columns[1]).toMatchObject({ kind: "ignored", reason: "10000 different texts in 10000 rows" });
  });

  test("numbers with decimal commas are numbers", async () => {
    const { columns } = await encodingOf(`a;c;y\n${rows(100, (i) => `${i * i};${i},25;${i % 13}`)}\n`);
    expect(columns[1]).toMatchObject({ kind: "number", decimal: ",", settled: "cells", low: 0.25, high: 99.25 });
  });

  test("many categories that come back have an input if they are frequent", async () => {
    const { columns, inputs } = await encodingOf(`c,y\n${rows(10_000, (i) => `c${(i * i) % 991},${i % 13}`)}\n`);
    expect(columns[0]).toMatchObject({ kind: "category", rest: true });
    expect(inputs.length).toBe(256);
  });

  test("a huge cell is read, an endless one refused", async () => {
    const { rows: found } = await read(utf8(`x,y\n${"a".repeat(2 ** 20)},1\n`), 2 ** 16);
    expect(found[0][0].length).toBe(2 ** 20);
    await expect(read(utf8(`x,y\n"${"a\n".repeat(2 ** 22)}`), 2 ** 16)).rejects.toThrow("characters");
  });
});
