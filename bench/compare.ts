// Two ways of doing one job, timed in turn: a sample of each in every round, and the ratio within the round, so that a
// machine that changes its speed changes both.

/** One way of doing a job. */
export interface Way {
  readonly name: string;
  /** Does the job so many times and gives the seconds it took. */
  run(repetitions: number): number | Promise<number>;
}

/** What a comparison gives. */
export interface Comparison {
  /** Seconds of our first call, which compiles code and touches memory for the first time. */
  readonly firstCall: number;
  /** Median seconds of ours, and of the others. */
  readonly seconds: number;
  readonly peerSeconds: number | undefined;
  /** Median over the rounds of (their time / our time): above 1 we are faster. And the second-lowest and -highest. */
  readonly ratio: number | undefined;
  readonly spread: readonly [number, number] | undefined;
}

const SAMPLE_SECONDS = 0.04;

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
};

/** Wraps a synchronous function. */
export function inProcess(name: string, work: () => void): Way {
  return {
    name,
    run(repetitions) {
      const start = performance.now();
      for (let i = 0; i < repetitions; i++) work();
      return (performance.now() - start) / 1000;
    },
  };
}

/** Repetitions that make a sample, found while the way warms up. */
async function repetitionsOf(way: Way): Promise<number> {
  let repetitions = 1;
  for (let spent = 0; spent < 0.25; ) {
    const seconds = await way.run(repetitions);
    spent += seconds;
    repetitions = Math.max(1, Math.min(Math.round((repetitions * SAMPLE_SECONDS) / Math.max(seconds, 1e-7)), 1e6));
  }
  return repetitions;
}

/** Times ours, and a peer's if there is one. */
export async function compare(ours: Way, peer: Way | undefined, rounds: number): Promise<Comparison> {
  const firstCall = await ours.run(1);
  const repetitions = await repetitionsOf(ours);
  const peerRepetitions = peer === undefined ? 0 : await repetitionsOf(peer);
  const seconds: number[] = [];
  const peerSeconds: number[] = [];
  for (let round = 0; round < rounds; round++) {
    seconds.push((await ours.run(repetitions)) / repetitions);
    if (peer !== undefined) peerSeconds.push((await peer.run(peerRepetitions)) / peerRepetitions);
  }
  const ratios = peerSeconds.map((theirs, round) => theirs / seconds[round]).sort((a, b) => a - b);
  const known = peer !== undefined;
  return {
    firstCall,
    seconds: median(seconds),
    peerSeconds: known ? median(peerSeconds) : undefined,
    ratio: known ? median(ratios) : undefined,
    spread: known ? [ratios[Math.min(1, rounds - 1)], ratios[Math.max(0, rounds - 2)]] : undefined,
  };
}
