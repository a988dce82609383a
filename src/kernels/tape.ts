// Work that is written down instead of done, so that it can be done in pieces: what a pass asks of the kernels, in its order.
// While it is written down memory is allocated and released as ever, but nothing in it is computed. Whatever reads a value
// first has all that was written down done (`catchUp` in memory.ts), so that results never depend on it.

/** A piece of work. */
export type Work = () => void;

let tape: Work[] | undefined;

/** Whether work is written down at the moment. */
export function recording(): boolean {
  return tape !== undefined;
}

/** Whether something is. */
export function pending(): boolean {
  return tape !== undefined && tape.length > 0;
}

/** Does work, or writes it down. */
export function later(work: Work): void {
  if (tape === undefined) work();
  else tape.push(work);
}

/** Does all that is written down. */
export function play(): void {
  const works = tape?.splice(0) ?? [];
  doing(() => {
    for (const work of works) work();
  });
}

/** Runs `body`, and gives the work that it wrote down, and after it its result: what it throws comes after that work too. */
export function record<Result>(body: () => Result): { readonly works: readonly Work[]; readonly result: () => Result } {
  const works: Work[] = [];
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
