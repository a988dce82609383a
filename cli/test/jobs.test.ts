// What laplace jobs shows of fits: how much is done, and how long the rest takes.

import type { FitNow } from "laplace-ts-cluster";
import { expect, test } from "vitest";
import { tableOf } from "../src/commands/jobs.ts";

const fit = (name: string, own: Partial<FitNow>): FitNow => ({
  fit: name.repeat(40),
  shards: 10,
  done: 4,
  examples: 1000,
  examplesDone: 400,
  active: 2,
  waiting: 4,
  failed: [],
  ...own,
});
const show = (fits: readonly FitNow[], rate = { examplesDone: 50, done: 2 }) =>
  tableOf({ list: "", workers: ["one"], fits }, (_, what) => rate[what]).split("\n");

test("a fit is done when all its shards are, also where they have no examples", () => {
  const [who, head, begun, whole, pieces, counted] = show([
    fit("a", {}),
    fit("b", { done: 10, examplesDone: 1000 }),
    fit("c", { examples: 0, examplesDone: 0 }),
    fit("d", { examples: 0, examplesDone: 0, done: 10 }),
  ]);
  expect(who).toBe("1 worker: one");
  expect(head).toMatch(/^fit +shards done +active +waiting +failing +examples +left$/);
  expect(begun).toMatch(/^aaaaaaaa +4 of 10 +2 +4 +0 +50\/s +12 s$/);
  expect(whole).toMatch(/ done$/);
  expect(pieces).toMatch(/^cccccccc +4 of 10 .* 3 s$/);
  expect(counted).toMatch(/^dddddddd +10 of 10 .* done$/);
});

test("nothing is said of the rest where the rate is not known", () => {
  const [, , examples, pieces] = show([fit("a", {}), fit("c", { examples: 0, examplesDone: 0 })], {
    examplesDone: 0,
    done: 0,
  });
  expect(examples).toMatch(/ 4 +0$/);
  expect(pieces).toMatch(/ 4 +0$/);
});
