// Long work in steps, so that a page or a program can do other things between them.

/** Work that pauses between its parts; its result comes at the end. */
export type Steps<Result> = Generator<void, Result, void>;

/** All of it, without a pause. */
export function atOnce<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** Results of items, with a pause behind each. */
export function* each<Item, Result>(items: Iterable<Item>, of: (item: Item, place: number) => Result): Steps<Result[]> {
  const results: Result[] = [];
  for (const item of items) {
    results.push(of(item, results.length));
    yield;
  }
  return results;
}
