// Models of tables that version 0.1.0 wrote: they predict what they predicted.

import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { loadTableModel, saveTableModel, type TableRow } from "laplace-ts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kernels, useBuild } from "../../src/kernels/kernels.ts";

interface Earlier {
  readonly name: string;
  /** The model, gzip in base64. */
  readonly file: string;
  /** A table as CSV. */
  readonly sample: string;
  /** What `TableModel.predict` gave. */
  readonly result: Readonly<Record<string, unknown>>;
}

const { tables } = JSON.parse(readFileSync("test/fixtures/tables-0.1.0.json", "utf8")) as { tables: Earlier[] };

function rowsOf(csv: string): TableRow[] {
  const [header, ...lines] = csv.trim().split(/\r?\n/);
  const cells = (line: string) => line.split(",").map((cell) => cell.replace(/^"(.*)"$/, "$1"));
  const names = cells(header);
  return lines.map((line) => Object.fromEntries(cells(line).map((cell, j) => [names[j], cell])));
}

/** All fields as lists. */
const flat = (prediction: object): Record<string, unknown[]> =>
  Object.fromEntries(Object.entries(plain(prediction)).map(([name, value]) => [name, [value].flat(2)]));
const plain = (prediction: object): Record<string, unknown> =>
  JSON.parse(
    JSON.stringify(prediction, (_, value) => (ArrayBuffer.isView(value) ? Array.from(value as Float64Array) : value)),
  );

describe.each(tables)("$name", ({ file, sample, result }) => {
  const active = kernels.info().build;
  // The numbers were computed by the build that every runtime has.
  beforeAll(() => useBuild("simd"));
  afterAll(() => useBuild(active));
  const load = () => loadTableModel(gunzipSync(Buffer.from(file, "base64")));

  // Sums have another order since, which moves last bits; the epistemic share of classes is a mean over other draws.
  test("predicts as it did", () => {
    const found = flat(load().predict(rowsOf(sample)));
    const due = flat(result);
    expect(Object.keys(due).length).toBeGreaterThan(4);
    for (const [name, values] of Object.entries(due)) {
      if (values.every((value) => typeof value === "number")) {
        const drawn = name === "epistemic" && "probabilities" in due;
        const size = Math.max(...values.map(Math.abs));
        values.forEach((value, i) => {
          expect(Math.abs((found[name][i] as number) - value)).toBeLessThanOrEqual(drawn ? 1e-3 : 1e-14 * size);
        });
      } else expect(found[name]).toEqual(values);
    }
  });

  test("a row that had no value then, or none that can be read, is predicted too", () => {
    const model = load();
    const [row] = rowsOf(sample);
    const column = model.encoding.columns.find(({ kind }) => kind === "number")?.name ?? "";
    const { far } = model.predict([row, { ...row, [column]: "NA" }, { ...row, [column]: "oops" }]);
    // Since version 0.2 a text in place of a number makes its row far, where it was an error or counted as missing.
    expect(far[0]).toBe(false);
    expect(far[2]).toBe(true);
  });

  test("written again, it is of this version, and predicts the same", () => {
    const model = load();
    const again = loadTableModel(saveTableModel(model));
    expect(plain(again.predict(rowsOf(sample)))).toEqual(plain(model.predict(rowsOf(sample))));
  });
});
