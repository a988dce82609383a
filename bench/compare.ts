// Ways of doing one job, timed in turn: a sample of each in every round, and the ratios within the round, so that a
// machine that changes its speed changes all of them.

import { now } from "./clock.ts";

/** One way of doing a job. */
export interface Way {
  readonly name: string;
  /** Seconds of warming up (default 0.25). */
  readonly warmUp?: number;
  /** What comes before the first run and is not timed. */
  prepare?(): Promise<void>;
  /** Does the job so many times and gives the seconds it took. */
  run(repetitions: number): number | Promise<number>;
  /** How far its last result is from ours. */
  difference?(): Promise<number>;
}

/** One of the others, measured beside ours. */
export interface Measured {
  readonly name: string;
  /** Seconds of the first call, and the median. */
  readonly firstCall: number;
  readonly seconds: number;
  /** Median over the rounds of (their time / our time): above 1 we are faster. And the second-lowest and -highest. */
  readonly ratio: number;
  readonly spread: readonly [number, number];
  readonly difference: number | undefined;
}

/** One that could not take part. */
export interface Refused {
  readonly name: string;
  readonly reason: string;
}

/** What a comparison gives. */
export interface Comparison {
  /** Seconds of our first call, which compiles code and touches memory for the first time. */
  readonly firstCall: number;
  /** Median seconds of ours. */
  readonly seconds: number;
  readonly others: readonly (Measured | Refused)[];
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
      const start = now();
      for (let i = 0; i < repetitions; i++) work();
      return (now() - start) / 1000;
    },
  };
}

/** Repetitions that make a sample, found while the way warms up. */
async function repetitionsOf(way: Way): Promise<number> {
  let repetitions = 1;
  for (let spent = 0; spent < (way.warmUp ?? 0.25); ) {
    const seconds = await way.run(repetitions);
    spent += seconds;
    // A clock of the processor moves in ticks, and may say 0.
    const wanted = Math.round((repetitions * SAMPLE_SECONDS) / Math.max(seconds, 1e-7));
    repetitions = Math.max(1, Math.min(wanted, 10 * repetitions, 1e6));
  }
  return repetitions;
}

/** A way that takes part, and what it took. */
interface Entrant {
  readonly way: Way;
  readonly firstCall: number;
  readonly repetitions: number;
  readonly seconds: number[];
}

async function enter(way: Way): Promise<Entrant> {
  await way.prepare?.();
  const firstCall = await way.run(1);
  return { way, firstCall, repetitions: await repetitionsOf(way), seconds: [] };
}

/** Times ours, and the others that there are. */
export async function compare(ours: Way, others: readonly Way[], rounds: number): Promise<Comparison> {
  const us = await enter(ours);
  const entered: (Entrant | Refused)[] = [];
  for (const way of others) {
    entered.push(await enter(way).catch((error: Error) => ({ name: way.name, reason: error.message })));
  }
  const entrants = [us, ...entered.filter((one) => "way" in one)];
  for (let round = 0; round < rounds; round++) {
    for (const { way, repetitions, seconds } of entrants) seconds.push((await way.run(repetitions)) / repetitions);
  }
  const measured = async ({ way, firstCall, seconds }: Entrant): Promise<Measured> => {
    const ratios = seconds.map((theirs, round) => theirs / us.seconds[round]).sort((a, b) => a - b);
    return {
      name: way.name,
      firstCall,
      seconds: median(seconds),
      ratio: median(ratios),
      spread: [ratios[Math.min(1, rounds - 1)], ratios[Math.max(0, rounds - 2)]],
      difference: await way.difference?.(),
    };
  };
  return {
    firstCall: us.firstCall,
    seconds: median(us.seconds),
    others: await Promise.all(entered.map((one) => ("way" in one ? measured(one) : one))),
  };
}
