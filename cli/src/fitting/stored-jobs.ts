// Jobs of the fit of a table as files, for workers on other machines: the rows as numbers, named by their digest; what is to be
// done with them; what came of it. Only what uses a store loads this.

import {
  FileError,
  LaplaceError,
  NotPositiveDefiniteError,
  readSafetensors,
  version,
  writeSafetensors,
} from "laplace-ts";
import {
  type BurstOptions,
  contentsOf,
  type ExamplesReport,
  errorMessage,
  errorOf,
  valueFrom,
  waitedFor,
} from "laplace-ts/executor";
import type { OpenedWork, StoredTask } from "laplace-ts-cluster";
import { jobMessage, outcomeMessage, readJob, readOutcome } from "./job-messages.ts";
import { doJob, type Job, type Outcome } from "./jobs.ts";

/** What came of a job; of one whose curvature is no longer positive, its error, as whoever asked decides what that means. */
export type Result = { readonly outcome: Outcome } | { readonly failed: Error };

/** What the jobs of a round have in common: the rows that they are fitted to, by a job of each. */
export type RowsOfJobs = readonly Job[];

/** A job, and which of the rows are its own. */
export interface PlacedJob {
  readonly job: Job;
  readonly place: number;
}

type JobMessage = ReturnType<typeof jobMessage>;

const WHERE = "fit";
const PROGRAM = "program";
const POSTERIOR = "posterior/";
/** Rows that are kept as numbers, of those that jobs were done with. */
const MOST_KEPT = 4;

const malformed = (what: string, cause?: unknown) => {
  const error = new FileError("malformed", `${WHERE}: the file is not a job of a table: ${what}.`);
  error.cause = cause;
  return error;
};

/** Reads a stranger's document: what it lacks is an error of the file. */
function asWritten<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof LaplaceError) throw error;
    throw malformed(error instanceof Error ? error.message : String(error), error);
  }
}

const isCount = (value: unknown, most = Number.MAX_SAFE_INTEGER): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= most;

const arePlaces = (value: unknown, rows: number): boolean =>
  Array.isArray(value) && value.every((one) => isCount(one, rows - 1));

/** Rows as numbers, out of a file. @throws FileError */
function readRows(bytes: Uint8Array): JobMessage["numbers"] {
  const numbers = valueFrom(WHERE, readSafetensors(bytes)) as JobMessage["numbers"];
  return asWritten(() => {
    const { rows, x, y, unusual, gaps } = numbers;
    const isArray = ({ data, shape }: JobMessage["numbers"]["x"]) =>
      data instanceof Float64Array && shape[0] === rows && shape.reduce((size, one) => size * one, 1) === data.length;
    if (!isCount(rows) || !isArray(x) || !isArray(y)) throw malformed("its rows are not as many as it says");
    if (unusual.length !== rows || gaps.length !== rows) throw malformed("it does not say of all rows what they lack");
    if (![x, y].every(({ data }) => data.every(Number.isFinite))) throw malformed("a number is not finite");
    return numbers;
  });
}

/** A job out of a file. @throws FileError */
function readStored(message: unknown, numbers: JobMessage["numbers"]): Job {
  return asWritten(() => {
    const written = message as Omit<JobMessage, "numbers">;
    const { division, rounds, recipe } = written;
    if (!arePlaces(division.part, numbers.rows) || !arePlaces(division.rest, numbers.rows)) {
      throw malformed("it divides other rows than there are");
    }
    if (rounds !== undefined && !isCount(rounds)) throw malformed("its number of rounds cannot be one");
    if (!["rounds", "evidence", "features"].includes(recipe.by)) throw malformed("its recipe is not known");
    return readJob({ ...written, numbers } as JobMessage);
  });
}

/** A job as a file: its rows by their place among those of the round. */
function writeStored({ job, place }: PlacedJob) {
  const { numbers, ...rest } = jobMessage(job);
  return { ...contentsOf({ ...rest, place }), examples: numbers.rows };
}

function writeResult(result: Result) {
  if ("failed" in result) return contentsOf({ failed: errorMessage(result.failed) });
  const { posterior, ...rest } = outcomeMessage(result.outcome);
  const { tensors, metadata } = readSafetensors(posterior);
  const prefixed = <T>(all: Readonly<Record<string, T>>) =>
    Object.fromEntries(Object.entries(all).map(([name, one]) => [`${POSTERIOR}${name}`, one]));
  const own = contentsOf({ outcome: rest });
  return {
    tensors: { ...own.tensors, ...prefixed(tensors) },
    metadata: { ...own.metadata, ...prefixed(metadata) },
  };
}

function readResult({ tensors, metadata }: ReturnType<typeof writeResult>): Result {
  const own = <T>(all: Readonly<Record<string, T>>) =>
    Object.fromEntries(
      Object.entries(all).flatMap(([name, one]) =>
        name.startsWith(POSTERIOR) ? [[name.slice(POSTERIOR.length), one] as const] : [],
      ),
    );
  const others = <T>(all: Readonly<Record<string, T>>) =>
    Object.fromEntries(Object.entries(all).filter(([name]) => !name.startsWith(POSTERIOR)));
  const written = valueFrom(WHERE, { tensors: others(tensors), metadata: others(metadata) }) as {
    readonly failed?: unknown;
    readonly outcome?: Omit<ReturnType<typeof outcomeMessage>, "posterior">;
  };
  return asWritten(() => {
    if (written.failed !== undefined) return { failed: errorOf(written.failed) };
    if (!Array.isArray(written.outcome?.course.epochs)) throw malformed("nothing came of it");
    const posterior = writeSafetensors(own(tensors), own(metadata));
    return { outcome: readOutcome({ ...written.outcome, posterior }) };
  });
}

/** Does a job; what a curvature that is no longer positive means, whoever asked decides. */
async function resultOf(job: Job, onShare: (share: number) => void): Promise<Result> {
  try {
    return { outcome: await doJob(job, onShare) };
  } catch (error) {
    if (error instanceof NotPositiveDefiniteError) return { failed: error };
    throw error;
  }
}

/** Opens the work of a round. */
async function open(
  { tensors, metadata }: ReturnType<typeof contentsOf>,
  get: (name: string) => Promise<Uint8Array>,
): Promise<OpenedWork> {
  const { [PROGRAM]: program, ...texts } = metadata;
  if (program !== version) {
    throw new LaplaceError(
      `The fit was begun by laplace-ts-cli ${program}, and this is ${version}: all machines of a fit need the same version.`,
    );
  }
  const files = valueFrom(WHERE, { tensors, metadata: texts });
  if (!Array.isArray(files) || !files.every((one) => typeof one === "string")) throw malformed("it has no rows");
  const kept = new Map<string, ReturnType<typeof readRows>>();
  const rowsOf = async (place: unknown) => {
    const name = isCount(place) ? (files[place] as string | undefined) : undefined;
    if (name === undefined) throw malformed("its rows are not those of the round");
    const rows = kept.get(name) ?? readRows(await get(name));
    kept.delete(name);
    kept.set(name, rows);
    for (const oldest of kept.keys()) if (kept.size > MOST_KEPT) kept.delete(oldest);
    return rows;
  };
  return {
    adds: false,
    async do(written, { onProgress, signal }: BurstOptions<ExamplesReport> = {}) {
      const { place, ...message } = Object(valueFrom(WHERE, written)) as { readonly place?: unknown };
      const job = readStored(message, await rowsOf(place));
      const onShare = (share: number) => {
        signal?.throwIfAborted();
        onProgress?.({ examples: Math.floor(share * job.numbers.rows) });
      };
      signal?.throwIfAborted();
      return writeResult(await resultOf(job, onShare));
    },
    add() {
      throw new LaplaceError("What comes of the jobs of a table does not add.");
    },
  };
}

/** The jobs of a round, as a task that workers know. */
export const tableJobs: StoredTask<RowsOfJobs, PlacedJob, Result> = {
  name: "laplace fit",
  *begin() {
    return function* ({ job }) {
      return (yield* waitedFor<Result, number>((tell, signal) =>
        resultOf(job, (share) => {
          signal?.throwIfAborted();
          tell(Math.floor(share * job.numbers.rows));
        }),
      )) as Result;
    };
  },
  async writeWork(jobs, put) {
    const files: string[] = [];
    for (const job of jobs) {
      const { tensors, metadata } = contentsOf(jobMessage(job).numbers);
      files.push(await put(writeSafetensors(tensors, metadata)));
    }
    const { tensors, metadata } = contentsOf(files);
    return { tensors, metadata: { ...metadata, [PROGRAM]: version } };
  },
  writeJob: writeStored,
  readResult: (_, contents) => readResult(contents),
  open,
};
