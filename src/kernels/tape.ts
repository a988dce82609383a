// Work that is written down instead of done, so that it can be done in pieces: what a pass asks of the kernels, in its order.
// As long as there is time it is done at once. From then on memory is allocated and released as ever, but nothing in it is
// computed. Whatever reads a value first has all that was written down done (`catchUp` in memory.ts), so that results never
// depend on it.

/** A piece of work. */
export interface Work {
  (): void;
  /** The same in steps of its own, for what is long and asks no kernel for it all. */
  readonly steps?: () => Generator<undefined, void, void>;
}

let tape: Work[] | undefined;
/** Whether the time to do work at once is over. */
let late = (): boolean => true;

/** Whether work may be written down at the moment. */
export function recording(): boolean {
  return tape !== undefined;
}

/** Whether it is: some is already, or its time is over. */
export function writing(): boolean {
  return tape !== undefined && (tape.length > 0 || late());
}

/** Whether something is. */
export function pending(): boolean {
  return tape !== undefined && tape.length > 0;
}

/** Does work, or writes it down. */
export function later(work: Work): void {
  if (tape === undefined) work();
  else if (work.steps || writing()) tape.push(work);
  else doing(work);
}

/** Does all that is written down. */
export function play(): void {
  const works = tape?.splice(0) ?? [];
  doing(() => {
    for (const work of works) work();
  });
}

/**
 * Runs `body`, and gives the work that it wrote down, and after it its result: what it throws comes after that work too.
 * @param over whether the time to do work at once is over
 */
export function record<Result>(
  body: () => Result,
  over: () => boolean,
): { readonly works: readonly Work[]; readonly result: () => Result } {
  const works: Work[] = [];
  const before = late;
  late = over;
  try {
    const result = onTape(works, body);
    return { works, result: () => result };
  } catch (error) {
    return {
      works,
      result: () => {
        throw error;
      },
    };
  } finally {
    late = before;
  }
}

/** Runs `body` with its work done at once. */
export function doing<Result>(body: () => Result): Result {
  return onTape(undefined, body);
}

function onTape<Result>(next: Work[] | undefined, body: () => Result): Result {
  const before = tape;
  tape = next;
  try {
    return body();
  } finally {
    tape = before;
  }
}
