// Data that lie elsewhere: whoever asks for a fit knows where they are, and whoever sums rows reads them.

import { ValueError } from "../errors.ts";
import type { Steps } from "../kernels/steps.ts";
import { type Dataset, type DatasetLike, readDataset } from "./dataset.ts";

/** Some rows of data that lie elsewhere. */
export interface FarRows {
  /** Where they are: names and numbers, as a plain value, which goes to whoever reads them. */
  readonly at: unknown;
  /** Reads them here. @throws what whoever reads them throws: rows that are missing, or are not those that were there */
  read(): Promise<DatasetLike>;
}

/** Data that lie elsewhere, such as in files that all machines see: shards of a fit say where their rows are, and have none. */
export interface FarData {
  /** How many rows there are. */
  readonly examples: number;
  /** Rows from one to before another, in order. */
  rowsAt(first: number, end: number): FarRows;
}

/** Whether data lie elsewhere. */
export function isFar(data: unknown): data is FarData {
  const { examples, rowsAt } = Object(data) as Partial<FarData>;
  return typeof rowsAt === "function" && Number.isSafeInteger(examples);
}

/** @throws ValueError for data of which there are none */
export function checkFar(where: string, { examples }: FarData): void {
  if (!(examples >= 1)) throw new ValueError(`${where}: there are no data: they have ${examples} examples.`);
}

/**
 * Reads rows, in steps that wait.
 * @param count how many there must be
 * @throws what reading throws; ShapeError, ValueError for bad data, and where the steps do not wait
 */
export function* fetched(where: string, rows: FarRows, count: number): Steps<Dataset, number> {
  if (typeof rows.read !== "function") {
    throw new ValueError(
      `${where}: these data are read where they lie, by this thread, cluster() or part() of laplace-ts-cluster, and not by workers().`,
    );
  }
  let found: DatasetLike | undefined;
  let failure: readonly [error: unknown] | undefined;
  yield async () => {
    await rows.read().then(
      (data) => {
        found = data;
      },
      (error: unknown) => {
        failure = [error];
      },
    );
  };
  if (failure !== undefined) throw failure[0];
  if (found === undefined) throw new ValueError(`${where}: data that lie elsewhere need a call that waits for them.`);
  const data = readDataset(where, found);
  if (data.x.shape[0] === count) return data;
  throw new ValueError(`${where}: expected ${count} rows of data that lie elsewhere, got ${data.x.shape[0]}.`);
}
