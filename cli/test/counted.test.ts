// Counts of the cells of pieces as files: they come back as they were, add up as the counts do, and a stranger's are checked.

import fc from "fast-check";
import { FileError, readSafetensors, writeSafetensors } from "laplace-ts";
import { countTable, type Safetensors } from "laplace-ts/executor";
import { expect, test } from "vitest";
import { addPieces, type CountedPieces, countRows, countsFile } from "../src/commands/counts-task.ts";

const text = fc.oneof(
  fc.double({ noNaN: true }).map(String),
  fc.constantFrom("", "a", "\ufeffü", "日本\n語", "𝒳", "\0", "x".repeat(300)),
);
const pieces = fc.array(fc.array(fc.tuple(text, text), { maxLength: 12 }), { minLength: 1, maxLength: 4 });
const counted = (rows: readonly (readonly string[])[]): CountedPieces => ({
  cells: countTable({ names: ["a", "b"], rows: rows.map((row) => [...row]) }),
  open: [],
  rows: [rows.length],
});
const all = { used: [0, 1], most: 1000 };
/** Through the bytes of a file. */
const file = (found: CountedPieces): Safetensors => {
  const { tensors, metadata } = countsFile.write(found);
  return readSafetensors(writeSafetensors(tensors, metadata));
};

test("counts come back from their files, and those of pieces add up to those of all", () => {
  fc.assert(
    fc.property(pieces, (lists) => {
      const parts = lists.map((rows) => countsFile.read(file(counted(rows))));
      expect(parts).toEqual(lists.map(counted));
      const sum = parts.reduce((left, right) => countsFile.read(file(addPieces(left, right, all))));
      expect(sum).toEqual({ cells: counted(lists.flat()).cells, open: [], rows: lists.map(({ length }) => length) });
    }),
  );
});

test("a file whose numbers are others is a named error, or counts of as many rows", () => {
  const rows = [
    ["a", "1"],
    ["b", "1"],
    ["a", "2"],
    ["c", "1"],
  ];
  const good = file(counted(rows));
  let refused = 0;
  fc.assert(
    fc.property(fc.nat(), fc.constantFrom(-1, 0, 0.5, 3, 7, 1e9, Number.NaN, 2 ** 50), (at, value) => {
      const { tensors, metadata } = file(counted(rows));
      const names = Object.keys(tensors).filter((name) => tensors[name].size > 0);
      const { data } = tensors[names[at % names.length]];
      data[Math.floor(at / names.length) % data.length] = value;
      try {
        const { cells, rows: own } = countsFile.read({ tensors, metadata });
        for (const { texts, counts, firsts, lasts } of cells.columns) {
          expect([counts, firsts, lasts].map(({ length }) => length)).toEqual(Array(3).fill(texts.length));
          expect(counts.reduce((sum, count) => sum + count, 0)).toBe(cells.length);
        }
        expect(own.reduce((sum, count) => sum + count, 0)).toBe(cells.length);
      } catch (error) {
        expect(error).toBeInstanceOf(FileError);
        refused++;
      }
    }),
  );
  expect(refused).toBeGreaterThan(0);
  expect(() => countsFile.read({ ...good, tensors: {} })).toThrow(FileError);
  expect(() => countsFile.read({ tensors: {}, metadata: {} })).toThrow(FileError);
});

test("a column that is not used, or has too many different cells, is not counted, however pieces are added", () => {
  const settings = fc.record({
    used: fc.constantFrom<readonly number[]>([], [0], [1], [0, 1]),
    most: fc.integer({ min: 1, max: 8 }),
  });
  fc.assert(
    fc.property(pieces, settings, fc.boolean(), (lists, { used, most }, backwards) => {
      const rows = lists.flat();
      const parts = lists.map((own) =>
        countRows({ names: ["a", "b"], rows: own, lines: own.map((_, i) => i) }, { used, most }),
      );
      const add = (left: CountedPieces, right: CountedPieces) =>
        countsFile.read(file(addPieces(left, right, { used, most })));
      const sum = backwards
        ? parts.reduceRight((right, left) => add(left, right))
        : parts.reduce((left, right) => add(left, right));
      const open = used.filter((j) => new Set(rows.map((row) => row[j])).size > most);
      const seen = rows.map((row) => row.map((cell, j) => (used.includes(j) && !open.includes(j) ? cell : "")));
      expect(sum).toEqual({ cells: counted(seen).cells, open, rows: lists.map(({ length }) => length) });
    }),
  );
});
