// Whether there is more than one shard, looked at without losing any.

/** The same jobs, and whether there are several. */
export function ahead<Job>(jobs: Iterable<Job>): { readonly jobs: Iterable<Job>; readonly several: boolean } {
  const iterator = jobs[Symbol.iterator]();
  const first = iterator.next();
  if (first.done) return { jobs: [], several: false };
  const next = () => {
    try {
      const found = iterator.next();
      return () => found;
    } catch (error) {
      // It comes after the first.
      return () => {
        throw error;
      };
    }
  };
  const second = next();
  let several = true;
  try {
    several = !second().done;
  } catch {}
  return { jobs: behind(first.value, second, iterator), several };
}

/** What was looked at, and what comes then. */
function* behind<Job>(first: Job, second: () => IteratorResult<Job>, iterator: Iterator<Job>): Generator<Job> {
  try {
    yield first;
    for (let found = second(); !found.done; found = iterator.next()) yield found.value;
  } finally {
    iterator.return?.();
  }
}
