// The same table as CSV and as Parquet is the same to a model. `types.parquet` and `nested.parquet` were written by pyarrow 25.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { tableEncoding } from "laplace-ts";
import { expect, test } from "vitest";
import { openTable } from "../src/table/open.ts";
import { bytesText, parquetColumn, shortest } from "../src/table/parquet-cells.ts";
import { readTable } from "../src/table/read.ts";
import { inProcess, workFolder } from "./laplace.ts";

const folder = workFolder();
const types = "cli/test/types.parquet";
const nested = "cli/test/nested.parquet";
const read = async (path: string) => readTable(await openTable(path, {}), 1000, 0);

/** A table of the types as programs write it in CSV. */
function csv(): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const at = (ms: number, text: (iso: string) => string) => text(new Date(ms).toISOString());
  const rows = Array.from({ length: 12 }, (_, i) => {
    const large = BigInt(i - 3) * 12_345_678_901_234_567_890n;
    const digits = String(large < 0n ? -large : large).padStart(21, "0");
    const hours = Date.UTC(2012, 0, 1, 3, 30) + 37 * i * 3_600_000;
    return [
      ((7 * i) % 53) / 100,
      `${large < 0n ? "-" : ""}${digits.slice(0, -20)}.${digits.slice(-20)}`,
      at(hours, (iso) => `${iso.slice(0, 10)} ${iso.slice(11, 19)}.123456`),
      at(hours + 3_600_000, (iso) => `${iso.slice(0, 10)} ${iso.slice(11, 19)}+01:00`),
      at(Date.UTC(1969, 11, 20 + 11 * i), (iso) => iso.slice(0, 10)),
      `${two(2 * i)}:${two((7 * i) % 60)}:${two(i)}`,
      ["red", "green", ""][i % 3],
      ["red", "gre", "blu"][i % 3],
      "",
      i % 3 === 0 ? "true" : "false",
      Number((0.1 * i).toFixed(1)),
      Number((0.1 * i).toFixed(1)),
      2n ** 60n + BigInt(1000 * ((i * 5) % 12) + i),
      i % 4 === 0 ? "" : i * 0.7,
      0.3 * i * i + 1,
    ].join(",");
  });
  const names = "price,large,local,instant,day,time,colour,code,nothing,flag,half,single,id,gap,y";
  return `${names}\n${rows.join("\n")}\n`;
}

test("every type gives the encoding and the inputs of the CSV file", async () => {
  const path = join(folder, "types.csv");
  writeFileSync(path, csv());
  const [one, other] = [await read(types), await read(path)];
  expect(one.names).toEqual(other.names);
  const [a, b] = [one, other].map((table) => tableEncoding(table, { target: "y" }));
  expect(a.toJSON()).toEqual(b.toJSON());
  const inputs = (table: typeof one) =>
    a.encode(table.rows.map((row) => Object.fromEntries(table.names.map((name, j) => [name, row[j]])))).x;
  expect(inputs(one)).toEqual(inputs(other));
  expect(a.columns.map(({ kind }) => kind)).toEqual([
    ...["number", "number", "date", "date", "date", "date", "category", "category", "ignored", "category"],
    ...["number", "number", "ignored", "number"],
  ]);
  // Digits that no number of JavaScript has are kept in cells.
  expect(one.rows[1].slice(1, 6)).toEqual([
    ...["-0.24691357802469135780", "2012-01-02T16:30:00.123456", "2012-01-02T16:30:00Z", "1969-12-31", "02:07:01"],
  ]);
  expect(one.rows[1][12]).toBe("1152921504606851977");
});

test("nested columns are named, and can be left out", { timeout: 60_000 }, async () => {
  const model = join(folder, "n.st");
  const args = ["fit", nested, "-t", "y", "-o", model, "--no-report", "--epochs", "4", "--rounds", "1", "--folds", "2"];
  const refused = await inProcess(args);
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('the column "list" is nested') });
  expect((await inProcess([...args, "--ignore", "list,struct"])).code).toBe(0);
  // Columns that a model does not need go through as they are.
  expect((await inProcess(["predict", model, nested])).stdout.split("\n")[1]).toContain(
    '"["1","0"]"'.replaceAll('"', '""').slice(1, -1),
  );
  expect((await inProcess(["fit", nested, "-t", "list"])).stderr).not.toContain("--ignore");
});

test("files of before say types in another way", () => {
  const decimal = parquetColumn({ name: "a", type: "INT32", converted_type: "DECIMAL", scale: 2, precision: 9 });
  expect([-5, 1234, 0].map(decimal.cellOf)).toEqual(["-0.05", "12.34", "0.00"]);
  expect(decimal.element.converted_type).toBeUndefined();
  const micros = parquetColumn({ name: "a", type: "INT64", converted_type: "TIMESTAMP_MICROS" });
  expect([0n, -1n, 86_400_000_000n, null].map(micros.cellOf)).toEqual([
    ...["1970-01-01", "1969-12-31T23:59:59.999999Z", "1970-01-02", ""],
  ]);
  const clock = parquetColumn({ name: "a", type: "INT32", converted_type: "TIME_MILLIS" });
  expect(clock.cellOf(3_723_500)).toBe("01:02:03.5");
  const wide = parquetColumn({ name: "a", type: "BYTE_ARRAY", converted_type: "DECIMAL", scale: 1, precision: 30 });
  expect(wide.cellOf(Uint8Array.of(255, 246))).toBe("-1.0");
  expect(bytesText(Uint8Array.of(255, 1))).toBe("0xff01");
  expect(shortest(Math.fround(0.1))).toBe(0.1);
});
