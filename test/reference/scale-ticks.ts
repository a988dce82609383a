// A fit on many machines, microsecond after microsecond: the slow, obvious version of bench/scale-simulation.ts. A server works a
// microsecond on the first request in its line; every lane has a list of what it is to do.

import { lifeOf, type ScalePlan, slownessOf, timeOfShard } from "../../bench/scale-simulation.ts";

interface Request {
  left: number;
  readonly answer: (at: number) => void;
}

class Server {
  readonly line: Request[] = [];
  worked = 0;

  /** Works from t to t + 1. */
  tick(t: number): void {
    const [first] = this.line;
    if (first === undefined) return;
    first.left--;
    this.worked++;
    if (first.left > 0) return;
    this.line.shift();
    first.answer(t + 1);
  }
}

interface Lane {
  readonly machine: number;
  job: number | undefined;
  /** What is done when `wakes` is now. */
  next: ((t: number) => void) | undefined;
  wakes: number;
}

/** What the other one gives, but for the share of time in which lanes sum. */
export function ticks(plan: ScalePlan) {
  const { shards, level, machines, lanes: each, sumBytes, shardBytes, addTime } = plan;
  const jobs: { readonly level: number; readonly place: number }[] = [];
  for (let left = 0, size = level; left < shards; ) {
    if (left + 2 ** size > shards) size--;
    else {
      jobs.push({ level: size, place: left / 2 ** size });
      left += 2 ** size;
    }
  }
  const store = new Server();
  const queue = new Server();
  const there = new Set<string>();
  const found = { jobs: 0, summed: 0, additions: 0, ended: 0, requests: 0, bytesIn: 0, bytesOut: 0 };
  const waiting = jobs.map((_, i) => i);
  const lanes: Lane[] = Array.from({ length: machines * each }, (_, i) => ({
    machine: Math.floor(i / each),
    job: undefined,
    next: undefined,
    wakes: -1,
  }));
  const up = Array.from({ length: machines }, () => true);
  const lives = Array.from({ length: machines }, () => 0);
  const ends = lives.map((_, machine) => (plan.lifeTime < 1 / 0 ? lifeOf(plan, machine, 0) : -1));
  const starts = lives.map(() => -1);
  const back: { readonly at: number; readonly job: number }[] = [];
  let done = 0;

  const at = (lane: Lane, wakes: number, next: (t: number) => void) => {
    lane.wakes = wakes;
    lane.next = next;
  };
  const askStore = (lane: Lane, bytes: number, direction: "bytesIn" | "bytesOut", next: (t: number) => void) => {
    found.requests++;
    found[direction] += bytes;
    const life = lives[lane.machine];
    const left = Math.max(1, plan.storeRequest + Math.ceil(bytes / plan.storeRate));
    lane.next = undefined;
    store.line.push({
      left,
      answer: (t) => {
        if (lives[lane.machine] === life) at(lane, t + plan.storeLatency, next);
      },
    });
  };
  const askQueue = (lane: Lane, next: (t: number) => void) => {
    const life = lives[lane.machine];
    lane.next = undefined;
    queue.line.push({
      left: plan.queueRequest,
      answer: (t) => {
        if (lives[lane.machine] === life) at(lane, t, next);
      },
    });
  };
  const adds = (lane: Lane) => {
    found.additions++;
    return Math.max(1, Math.round(addTime * slownessOf(plan, lane.machine)));
  };

  const take = (lane: Lane) => {
    const job = waiting.shift();
    lane.job = job;
    if (job === undefined) return;
    found.jobs++;
    const { level: own, place } = jobs[job];
    const climb = (high: number, here: number): void => {
      const beside = here % 2 === 0 ? here + 1 : here - 1;
      const finish = () =>
        askQueue(lane, () => {
          lane.job = undefined;
          done++;
          if (done < jobs.length) take(lane);
        });
      if ((Math.max(here, beside) + 1) * 2 ** high > shards) {
        finish();
        return;
      }
      const above = `${high + 1} ${Math.floor(here / 2)}`;
      askStore(lane, 0, "bytesOut", () => {
        if (there.has(above)) return finish();
        const other = there.has(`${high} ${beside}`);
        askStore(lane, other ? sumBytes : 0, "bytesOut", (t) => {
          if (!other) return finish();
          at(lane, t + adds(lane), () =>
            askStore(lane, sumBytes, "bytesIn", () => {
              if (there.has(above)) {
                finish();
                return;
              }
              there.add(above);
              climb(high + 1, Math.floor(here / 2));
            }),
          );
        });
      });
    };
    const addAll = (t: number, left: number): void => {
      if (left > 0) {
        at(lane, t + adds(lane), (later) => addAll(later, left - 1));
        return;
      }
      askStore(lane, sumBytes, "bytesIn", () => {
        there.add(`${own} ${place}`);
        climb(own, place);
      });
    };
    const sum = (t: number, shard: number): void => {
      if (shard === (place + 1) * 2 ** own) {
        addAll(t, 2 ** own - 1);
        return;
      }
      askStore(lane, shardBytes, "bytesOut", (later) => {
        found.summed++;
        at(lane, later + timeOfShard(plan, lane.machine, shard), (last) => sum(last, shard + 1));
      });
    };
    askQueue(lane, () => {
      const is = there.has(`${own} ${place}`);
      askStore(lane, is ? sumBytes : 0, "bytesOut", (t) => (is ? climb(own, place) : sum(t, place * 2 ** own)));
    });
  };

  let t = 0;
  for (; ; t++) {
    for (let machine = 0; machine < machines; machine++) {
      if (ends[machine] !== t) continue;
      found.ended++;
      up[machine] = false;
      lives[machine]++;
      for (const lane of lanes.filter((one) => one.machine === machine)) {
        if (lane.job !== undefined) back.push({ at: t + plan.lease, job: lane.job });
        [lane.job, lane.next] = [undefined, undefined];
      }
      starts[machine] = t + plan.restartTime;
    }
    for (let machine = 0; machine < machines; machine++) {
      if (starts[machine] !== t) continue;
      up[machine] = true;
      ends[machine] = t + lifeOf(plan, machine, lives[machine]);
      for (const lane of lanes.filter((one) => one.machine === machine)) take(lane);
    }
    const returning = back.filter((one) => one.at === t).sort((one, other) => one.job - other.job);
    for (const { job } of returning) {
      waiting.unshift(job);
      const idle = lanes.find((lane) => lane.job === undefined && up[lane.machine]);
      if (idle !== undefined) take(idle);
    }
    if (t === 0) for (const lane of lanes) take(lane);
    for (const lane of lanes) {
      if (lane.next === undefined || lane.wakes !== t) continue;
      const { next } = lane;
      lane.next = undefined;
      next(t);
    }
    if (done === jobs.length) break;
    store.tick(t);
    queue.tick(t);
  }

  // Whoever asked: one request after the other.
  const ask = (bytes: number, direction: "bytesIn" | "bytesOut") => {
    found.requests++;
    found[direction] += bytes;
    let answered = -1;
    const left = Math.max(1, plan.storeRequest + Math.ceil(bytes / plan.storeRate));
    store.line.push({ left, answer: (when) => (answered = when) });
    while (answered < 0) store.tick(t++);
    for (const end = answered + plan.storeLatency; t < end; ) store.tick(t++);
  };
  const collect = (high: number, place: number): void => {
    const is = there.has(`${high} ${place}`);
    ask(is ? sumBytes : 0, "bytesOut");
    if (is) return;
    collect(high - 1, 2 * place);
    collect(high - 1, 2 * place + 1);
    found.additions++;
    for (const end = t + addTime; t < end; ) store.tick(t++);
    ask(sumBytes, "bytesIn");
    there.add(`${high} ${place}`);
  };
  let parts = 0;
  for (let first = 0; first < shards; parts++) {
    let size = 1;
    while (first % (2 * size) === 0 && first + 2 * size <= shards) size *= 2;
    collect(Math.log2(size), first / size);
    first += size;
  }
  found.additions += parts - 1;
  return { ...found, time: t + (parts - 1) * addTime, storeBusy: store.worked, queueBusy: queue.worked };
}
