// Several files as one table: the rows of one after those of the other, with the columns of the first.

import { TableError } from "../errors.ts";
import type { TableStream } from "./csv.ts";
import type { Batch } from "./records.ts";

/**
 * The files as one table. Columns may stand in another order in each; lines are counted on from file to file.
 * @throws TableError for a file with other columns, when its turn comes, and errors of a file with its name
 */
export async function oneAfterTheOther(
  files: readonly string[],
  openFile: (file: string) => Promise<TableStream>,
): Promise<TableStream> {
  const [first, ...others] = files;
  const opened = await inFile(first, () => openFile(first));
  const { names, delimiter, nested } = opened;
  const repeated: number[] = [];
  let [done, last] = [0, 0];
  async function* rowsOf(file: string, stream: TableStream): AsyncGenerator<Batch, void, undefined> {
    const places = file === first ? undefined : placesOf(names, stream.names, first, file);
    const { batches } = stream;
    try {
      for (;;) {
        const { done: ended, value } = await inFile(file, () => batches.next());
        if (ended) break;
        const lines = value.lines.map((line) => done + line);
        last = Math.max(last, ...lines.slice(-1));
        const rows = places === undefined ? value.rows : value.rows.map((row) => places.map((j) => row[j]));
        yield { rows, lines };
      }
    } finally {
      await batches.return();
    }
    repeated.push(...stream.repeated.map((line) => done + line));
    done = last;
  }
  async function* batches(): AsyncGenerator<Batch, void, undefined> {
    yield* rowsOf(first, opened);
    for (const file of others) yield* rowsOf(file, await inFile(file, () => openFile(file)));
  }
  return { names, delimiter, batches: batches(), repeated, ...(nested !== undefined && { nested }) };
}

/** Where a file has each of the table's columns; undefined where it has them in the same order. @throws TableError */
function placesOf(
  names: readonly string[],
  own: readonly string[],
  first: string,
  file: string,
): readonly number[] | undefined {
  const find = (all: readonly string[], name: string) =>
    all.findIndex((one) => one.normalize("NFC") === name.normalize("NFC"));
  const missing = names.find((name) => find(own, name) < 0);
  if (missing !== undefined) throw new TableError(`${file} has no column "${missing}", which ${first} has.`);
  const more = own.find((name) => find(names, name) < 0);
  if (more !== undefined) throw new TableError(`${file} has a column "${more}", which ${first} has not.`);
  const places = names.map((name) => find(own, name));
  return places.every((place, j) => place === j) ? undefined : places;
}

/** Errors of a file with its name; where it has lines, those that are counted in it. */
async function inFile<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    throw new TableError(`${file}: ${error.message}`);
  }
}
