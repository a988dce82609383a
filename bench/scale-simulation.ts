// A fit on many machines, simulated: jobs of shards, a store and a queue that answer one after the other, machines that are slow,
// end and come back. It follows what laplace-ts-cluster does (cluster/src/fits/doing.ts, queue/jobs.ts), request by request. Time is
// whole microseconds, and draws go by what they are of, so that the same plan has the same result whatever the order.

/** What is simulated. Times are microseconds. */
export interface ScalePlan {
  readonly shards: number;
  /** A job is 2^level shards. */
  readonly level: number;
  readonly machines: number;
  /** Jobs that a machine does at the same time. */
  readonly lanes: number;
  readonly seed: number;
  /** How long a lane needs for a shard, and to add two sums. */
  readonly shardTime: number;
  readonly addTime: number;
  /** How much a shard's time differs by chance: up to this part of it more, or less. */
  readonly spread: number;
  /** The part of the machines that are slower, and how many times. */
  readonly slowPart: number;
  readonly slowness: number;
  /** How long until a machine ends, on average (Infinity: never); until it is back; until its jobs are another's. */
  readonly lifeTime: number;
  readonly restartTime: number;
  readonly lease: number;
  /** Bytes of a shard's data, and of a sum. */
  readonly shardBytes: number;
  readonly sumBytes: number;
  /** The store: how long it needs for a request, how many bytes it moves in a microsecond, and how long an answer is on its way. */
  readonly storeRequest: number;
  readonly storeRate: number;
  readonly storeLatency: number;
  /** The queue: how long it needs for a job to be taken, or to be ended. */
  readonly queueRequest: number;
}

/** What came of it. */
export interface ScaleResult {
  /** Until whoever asked has the result. */
  readonly time: number;
  /** Jobs that were begun, and shards that were summed, again ones too. */
  readonly jobs: number;
  readonly summed: number;
  readonly additions: number;
  /** Machines that ended. */
  readonly ended: number;
  /** What the store was asked: requests, and bytes in and out. */
  readonly requests: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** How long the store and the queue were at work. */
  readonly storeBusy: number;
  readonly queueBusy: number;
  /** How long lanes summed, of all the time that all lanes had. */
  readonly busy: number;
  /** Additions one after the other from a shard to the last sum. */
  readonly depth: number;
}

/** A number from 0 to 1 that depends on these alone. Mixing as in MurmurHash3's last step. */
export function drawn(...of: readonly number[]): number {
  let hash = 0x9e3779b9;
  for (const one of of) {
    hash = Math.imul(hash ^ one, 0x85ebca6b);
    hash ^= hash >>> 13;
    hash = Math.imul(hash, 0xc2b2ae35);
    hash ^= hash >>> 16;
  }
  return (hash >>> 0) / 2 ** 32;
}

/** How many times slower a machine is. */
export const slownessOf = (plan: ScalePlan, machine: number): number =>
  drawn(plan.seed, 1, machine) < plan.slowPart ? plan.slowness : 1;

/** How long a machine needs for a shard. */
export const timeOfShard = (plan: ScalePlan, machine: number, shard: number): number =>
  Math.max(
    1,
    Math.round(
      plan.shardTime * slownessOf(plan, machine) * (1 + plan.spread * (2 * drawn(plan.seed, 2, machine, shard) - 1)),
    ),
  );

/** How long a machine lives, the n-th time. */
export const lifeOf = (plan: ScalePlan, machine: number, n: number): number =>
  Math.max(1, Math.round(-plan.lifeTime * Math.log(1 - drawn(plan.seed, 3, machine, n))));

/** What is asked of a store or queue one after the other, each as long as it needs. */
export class InTurn {
  #free = 0;
  busy = 0;

  /** When what comes at this time and needs so long is done. */
  ask(at: number, needs: number): number {
    this.#free = Math.max(at, this.#free) + needs;
    this.busy += needs;
    return this.#free;
  }
}

/** The least of what is in it comes first. */
export class Heap<T> {
  readonly #all: T[] = [];
  readonly #before: (one: T, other: T) => boolean;

  constructor(before: (one: T, other: T) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#all.length;
  }

  push(one: T): void {
    const all = this.#all;
    let at = all.push(one) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!this.#before(one, all[above])) break;
      all[at] = all[above];
      at = above;
    }
    all[at] = one;
  }

  pop(): T | undefined {
    const all = this.#all;
    const least = all[0];
    const last = all.pop();
    if (last === undefined || all.length === 0) return least;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below + 1 < all.length && this.#before(all[below + 1], all[below])) below++;
      if (below >= all.length || !this.#before(all[below], last)) break;
      all[at] = all[below];
      at = below;
    }
    all[at] = last;
    return least;
  }
}

/** The store: what is there, and what it was asked. */
export class SimulatedStore {
  readonly #plan: ScalePlan;
  readonly #turn = new InTurn();
  readonly #there = new Set<number>();
  requests = 0;
  bytesIn = 0;
  bytesOut = 0;

  constructor(plan: ScalePlan) {
    this.#plan = plan;
  }

  get busy(): number {
    return this.#turn.busy;
  }

  /** When an answer is there to a request that moves so many bytes. */
  ask(at: number, bytes: number, direction: "in" | "out"): number {
    this.requests++;
    if (direction === "in") this.bytesIn += bytes;
    else this.bytesOut += bytes;
    const { storeRequest, storeRate, storeLatency } = this.#plan;
    return this.#turn.ask(at, Math.max(1, storeRequest + Math.ceil(bytes / storeRate))) + storeLatency;
  }

  static #key = (level: number, place: number) => level * 2 ** 40 + place;
  has(level: number, place: number): boolean {
    return this.#there.has(SimulatedStore.#key(level, place));
  }
  /** Whether it is written now. */
  put(level: number, place: number): boolean {
    if (this.has(level, place)) return false;
    this.#there.add(SimulatedStore.#key(level, place));
    return true;
  }
}

/** What a job needs of the world around it. */
export interface World {
  readonly plan: ScalePlan;
  readonly store: SimulatedStore;
  readonly queue: InTurn;
  count: { jobs: number; summed: number; additions: number; computing: number };
}

/** Numbers of jobs: as in cluster/src/fits/blocks.ts, whole blocks first, then what is left of the shards. */
export function blocksOfPlan({ shards, level }: ScalePlan): (readonly [level: number, place: number])[] {
  const blocks: (readonly [number, number])[] = [];
  let first = 0;
  for (let own = level; own >= 0; own--) {
    for (; first + 2 ** own <= shards; first += 2 ** own) blocks.push([own, first / 2 ** own]);
  }
  return blocks;
}

/**
 * What a worker does for a job, step by step: each yields when it is done, being told the time when that is so. As `FitWork.do`:
 * the shards, their sum, then sums of neighbours as far up as they are there.
 */
export function* stepsOfJob(
  { plan, store, queue, count }: World,
  machine: number,
  [level, place]: readonly [number, number],
  begun: number,
): Generator<number, void, number> {
  const { sumBytes, shardBytes, addTime, shards, queueRequest } = plan;
  const slow = slownessOf(plan, machine);
  const adding = () => {
    count.additions++;
    count.computing += Math.round(addTime * slow);
    return Math.round(addTime * slow);
  };
  count.jobs++;
  let now = yield queue.ask(begun, queueRequest);
  const own = store.has(level, place);
  now = yield store.ask(now, own ? sumBytes : 0, "out");
  if (!own) {
    for (let shard = place * 2 ** level; shard < (place + 1) * 2 ** level; shard++) {
      now = yield store.ask(now, shardBytes, "out");
      const needs = timeOfShard(plan, machine, shard);
      count.summed++;
      count.computing += needs;
      now = yield now + needs;
    }
    for (let i = 1; i < 2 ** level; i++) now = yield now + Math.max(1, adding());
    now = yield store.ask(now, sumBytes, "in");
    store.put(level, place);
  }
  for (let [high, at] = [level, place]; ; high++, at = Math.floor(at / 2)) {
    const beside = at % 2 === 0 ? at + 1 : at - 1;
    if ((Math.max(at, beside) + 1) * 2 ** high > shards) break;
    now = yield store.ask(now, 0, "out");
    if (store.has(high + 1, Math.floor(at / 2))) break;
    const there = store.has(high, beside);
    now = yield store.ask(now, there ? sumBytes : 0, "out");
    if (!there) break;
    now = yield now + Math.max(1, adding());
    now = yield store.ask(now, sumBytes, "in");
    // Who came first goes on.
    if (!store.put(high + 1, Math.floor(at / 2))) break;
  }
  yield queue.ask(now, queueRequest);
}

/** What whoever asked does at the end: reads the largest sums that there are, and adds. Gives the time when that is done. */
export function collectedAt({ plan, store, count }: World, at: number): number {
  const { shards, sumBytes, addTime } = plan;
  let now = at;
  const sum = (level: number, place: number): void => {
    const there = store.has(level, place);
    now = store.ask(now, there ? sumBytes : 0, "out");
    if (there) return;
    sum(level - 1, 2 * place);
    sum(level - 1, 2 * place + 1);
    count.additions++;
    now = store.ask(now + addTime, sumBytes, "in");
    store.put(level, place);
  };
  let parts = 0;
  for (let first = 0; first < shards; parts++) {
    let level = Math.floor(Math.log2(shards - first));
    while (first % 2 ** level !== 0) level--;
    sum(level, first / 2 ** level);
    first += 2 ** level;
  }
  count.additions += parts - 1;
  return now + (parts - 1) * addTime;
}

/** Additions one after the other from a shard to the last sum. */
export function depthOf(shards: number): number {
  let [depth, parts] = [0, 0];
  for (let level = 30; level >= 0; level--) {
    if (Math.floor(shards / 2 ** level) % 2 === 0) continue;
    parts++;
    depth = Math.max(depth, level);
  }
  return depth + parts - 1;
}

/** Kinds of what happens, in the order in which it happens at the same time. */
const [END, START, BACK, STEP] = [0, 1, 2, 3];

interface Happening {
  readonly at: number;
  readonly kind: number;
  /** A machine; a lane; a job that comes back. */
  readonly who: number;
  /** The life of the lane's machine; another one's steps are no longer done. */
  readonly life: number;
}

/** Simulates a fit, event after event. */
export function simulate(plan: ScalePlan): ScaleResult {
  const { machines, lanes, lease, restartTime } = plan;
  const store = new SimulatedStore(plan);
  const queue = new InTurn();
  const world: World = { plan, store, queue, count: { jobs: 0, summed: 0, additions: 0, computing: 0 } };
  const blocks = blocksOfPlan(plan);
  // What comes back is taken first; the last is the next.
  const waiting = blocks.map((_, i) => i).reverse();
  const running: ({ readonly job: number; readonly steps: Generator<number, void, number> } | undefined)[] = Array.from(
    {
      length: machines * lanes,
    },
  );
  const idle = new Heap<number>((one, other) => one < other);
  const lives = new Int32Array(machines);
  const up = new Uint8Array(machines).fill(1);
  const happenings = new Heap<Happening>(
    (one, other) =>
      one.at < other.at ||
      (one.at === other.at && (one.kind < other.kind || (one.kind === other.kind && one.who < other.who))),
  );
  const perishes = (machine: number, at: number) => {
    if (plan.lifeTime === Number.POSITIVE_INFINITY) return;
    happenings.push({ at: at + lifeOf(plan, machine, lives[machine]), kind: END, who: machine, life: lives[machine] });
  };
  let left = blocks.length;
  let ended = 0;
  let time = 0;
  const take = (lane: number, at: number) => {
    const job = waiting.pop();
    if (job === undefined) {
      idle.push(lane);
      return;
    }
    const machine = Math.floor(lane / lanes);
    const steps = stepsOfJob(world, machine, blocks[job], at);
    running[lane] = { job, steps };
    happenings.push({ at: steps.next().value as number, kind: STEP, who: lane, life: lives[machine] });
  };
  for (let machine = 0; machine < machines; machine++) perishes(machine, 0);
  for (let lane = 0; lane < machines * lanes; lane++) take(lane, 0);
  while (left > 0) {
    const { at, kind, who, life } = happenings.pop() as Happening;
    time = at;
    if (kind === END) {
      ended++;
      up[who] = 0;
      lives[who]++;
      for (let lane = who * lanes; lane < (who + 1) * lanes; lane++) {
        const lost = running[lane];
        if (lost !== undefined) happenings.push({ at: at + lease, kind: BACK, who: lost.job, life: 0 });
        running[lane] = undefined;
      }
      happenings.push({ at: at + restartTime, kind: START, who, life: 0 });
    } else if (kind === START) {
      up[who] = 1;
      perishes(who, at);
      for (let lane = who * lanes; lane < (who + 1) * lanes; lane++) take(lane, at);
    } else if (kind === BACK) {
      waiting.push(who);
      for (let lane = idle.pop(); lane !== undefined; lane = idle.pop()) {
        // Lanes of machines that ended while they were idle take nothing; those that are back were put here again.
        if (up[Math.floor(lane / lanes)] === 0 || running[lane] !== undefined) continue;
        take(lane, at);
        break;
      }
    } else {
      const own = running[who];
      const machine = Math.floor(who / lanes);
      if (own === undefined || life !== lives[machine]) continue;
      const next = own.steps.next(at);
      if (next.done !== true) happenings.push({ at: next.value, kind: STEP, who, life });
      else {
        running[who] = undefined;
        left--;
        if (left > 0) take(who, at);
      }
    }
  }
  const done = collectedAt(world, time);
  const { jobs, summed, additions, computing } = world.count;
  return {
    time: done,
    jobs,
    summed,
    additions,
    ended,
    requests: store.requests,
    bytesIn: store.bytesIn,
    bytesOut: store.bytesOut,
    storeBusy: store.busy,
    queueBusy: queue.busy,
    busy: computing / (time * machines * lanes),
    depth: depthOf(plan.shards),
  };
}
