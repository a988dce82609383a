// Candidates are fitted and judged by rows that they have not seen, and mixed; the rows that are reported choose nothing, but that those of the first
// fold say what is given up.

import { type NotPositiveDefiniteError, OptionError, type Posterior, type TableModel, tableModel } from "laplace-ts";
import type { Fold } from "../model/held-out.ts";
import { type Numbers, take } from "../model/rows.ts";
import { inTurns, turn } from "../turn.ts";
import { courseOf, meanEvidence, middleRounds, saidOf, validationOf } from "./courses.ts";
import { foldsText, foldsToJudge } from "./fewer-folds.ts";
import { divisionOf, doAll, type Judging, lossesOf, membersOf, mixBy, mixByShare, type Told } from "./fits.ts";
import { largestVariance, withFar } from "./fitter.ts";
import { linearKind, type RowLosses, rowLosses } from "./gains.ts";
import { GivenUp } from "./given-up.ts";
import { modelByRest, type Unseen } from "./guarantee.ts";
import { HeldOutMeans } from "./held-out-means.ts";
import { type Job, type Outcome, takesLong } from "./jobs.ts";
import { MANY_ROWS, MOST_CHOOSING } from "./many-rows.ts";
import { type Member, modelOf, type Prepared } from "./members.ts";
import { hopeless, type Mix, mixOf, worthGoingOn } from "./portfolio.ts";
import { lossesAt, powerOf, type SaidOfClasses, saidOfClasses } from "./probability-power.ts";
import { type Course, VALIDATION_SHARE } from "./recipe.ts";
import { RANDOM } from "./split-by.ts";

/** The mixture that is kept, and what held-out rows say of mixtures that were made as it was. */
export interface Judged {
  readonly told: Told;
  readonly mix: Mix;
  /** Row by row, and the log evidence per row of each candidate. */
  readonly rows: RowLosses;
  readonly evidences: readonly (number | undefined)[];
  readonly kept: Kept;
  readonly folds: readonly Fold[];
  /** Models that a guarantee is made of, where one was asked for. */
  readonly unseen?: readonly Unseen[];
  readonly counts: Counts;
  readonly scheme: string;
}

/** Rows that a judged model was fitted to, those of them that first said when to stop, and those it was judged by. */
export interface Counts {
  readonly train: number;
  readonly validation: number;
  readonly test: number;
  /** Whether every row was held out once, by cross-validation. */
  readonly folded?: boolean;
}

/** The model of all rows. */
export interface Kept {
  readonly model: TableModel;
  readonly prepared: Prepared;
  /** The candidate of the greatest weight. */
  readonly heaviest: number;
  readonly course: Course;
  /** Its posterior before its scale was chosen. */
  readonly tuned: Posterior;
  /** Of each input, from 0 to 1, where a candidate says it. */
  readonly relevance: readonly number[] | undefined;
}

const FEWEST_TRAINING = 5;

/** Judges candidates, and mixes them. */
export function judge(judging: Judging): Promise<Judged> {
  return judging.single === undefined ? judgeByFolds(judging) : judgeByShare(judging, judging.single);
}

const ofClasses = ({ encoding }: TableModel) => encoding.target.kind === "classes";

const withPower = (model: TableModel, probabilityPower: number | undefined): TableModel =>
  probabilityPower === undefined ? model : tableModel({ ...model, probabilityPower });

/** The losses of mixtures of classes with their powers. */
function withPowers(rows: RowLosses, said: readonly SaidOfClasses[], powers: readonly number[]): RowLosses {
  if (said.length === 0) return rows;
  return { ...rows, mixture: said.flatMap((own, k) => Array.from(lossesAt(own, powers[k]))) };
}

/** What this thread finds out while others do jobs. */
const beside = <Result>({ lanes }: Judging, own: () => Promise<Result>): Promise<Result> =>
  lanes.beside === undefined ? own() : lanes.beside(own);

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

/** By a share of the rows, which no candidate sees; of the others a validation part chooses; all are fitted at last. */
async function judgeByShare(judging: Judging, single: number): Promise<Judged> {
  const { fitter, candidates, n, seed, how, onProgress } = judging;
  const { part: test, rest } = fitter.split.divide(range(n), single, seed);
  if (rest.length < FEWEST_TRAINING) throw new OptionError("fit: the held-out share leaves too few rows to fit.");
  const stages = candidates.length + 2;
  const tried = await tryRest(judging, test, rest, stages);
  const { mix, rows, evidences, course, rounds, unseen, power, validation, fold } = tried;
  const known = { encoding: fold.model.encoding, relevance: tried.relevance };
  const prepared = await fitter.prepare(range(n));
  // What is told of the rows that were held out is found out while others fit all rows.
  const telling = beside(judging, () => judging.tell([fold], known));
  const [kept, told] = await Promise.all([
    fitMix(judging, mix, prepared, rounds, { unseen, power }, (share) =>
      onProgress("fitting", (candidates.length + 1 + share) / stages),
    ),
    telling,
  ]);
  const held = test.length.toLocaleString("en");
  return {
    told,
    mix,
    rows,
    evidences,
    // How validation went, the trial knows.
    kept: { ...kept, course: course(kept.heaviest) ?? kept.course },
    folds: [fold],
    // The rows that judge chose nothing.
    ...(judging.guarantee && { unseen: [fold] }),
    counts: { train: tried.train, validation, test: test.length },
    scheme: `${held} rows were held out, ${how}; then the model was fitted again, to all rows`,
  };
}

/**
 * The mixture that rows chose which are not held out, and its model of these; what it needs of memory is free when it is done. Of many rows a
 * sample tries candidates; then others of these rows, which no fit sees, weigh the fits to all the rest anew: larger ones are more certain, and agree more.
 */
async function tryRest(judging: Judging, test: readonly number[], rest: readonly number[], stages: number) {
  const { fitter, candidates, approximation, seed, onProgress } = judging;
  const { choosing, learned } = choosingAmong(fitter, rest, seed);
  const prepared = await fitter.prepare(learned);
  const { mix, trials, division, validation } = await mixByShare(
    judging,
    prepared,
    { seed, share: VALIDATION_SHARE },
    (share, c) => onProgress(`trying ${candidates[c].name}`, (candidates.length * share) / stages),
  );
  const partial = await inTurns(modelOf(membersOf(mix, trials), prepared, approximation));
  const unseen = await inTurns(largestVariance(partial, validation));
  const powerBy = async (model: TableModel, numbers: Numbers) =>
    ofClasses(model) ? powerOf([await inTurns(saidOfClasses(model, numbers))]) : undefined;
  const rounds = trials.map((trial) => trial?.course.rounds);
  const again = async (fits: readonly (readonly Outcome[])[]) => {
    const rows = await fitter.numbers(choosing, prepared.encoding);
    const first = fits.map(([fit]) => fit);
    const mixed = await mixBy(judging, prepared, first, rows);
    const model = await inTurns(modelOf(membersOf(mixed, first), prepared, approximation));
    // What was tried is told by what all candidates were judged by.
    return { mix: { ...mixed, losses: mix.losses }, power: await powerBy(model, rows) };
  };
  const judged = await fitMix(
    judging,
    mix,
    prepared,
    rounds,
    { unseen, power: await powerBy(partial, validation) },
    (share) => onProgress("fitting", (candidates.length + share) / stages),
    choosing.length > 0 ? again : undefined,
  );
  const courses = trials.map((trial) => trial?.course);
  // What candidates are compared by in the report chose none of them.
  const testNumbers = await fitter.numbers(test, prepared.encoding);
  const shown: (Float64Array[] | undefined)[][] = [];
  for (const trial of trials) shown.push([trial && (await lossesOf(trial, prepared, approximation, testNumbers))]);
  const count = choosing.length > 0 ? choosing.length : division.part.length;
  const rows = rowLosses(shown, judging.scales, [mix], [test], [testNumbers.weights?.data]);
  const said = ofClasses(partial) ? [await inTurns(saidOfClasses(partial, testNumbers))] : [];
  const { power } = judged;
  return {
    mix: judged.mix,
    power,
    rows: withPowers(rows, said, power === undefined ? [] : [power]),
    evidences: trials.map((trial) => trial?.evidence),
    rounds,
    unseen,
    train: learned.length,
    validation: count,
    course: (candidate: number) => courses[candidate],
    fold: await fitter.fold(judged.model, count, test, learned),
    relevance: saidOf(mix.weights, trials),
  };
}

/** Of many rows those that weigh fits to the others; of few all are learned from. */
function choosingAmong(fitter: Judging["fitter"], rest: readonly number[], seed: number) {
  if (rest.length <= MANY_ROWS) return { choosing: [], learned: rest };
  const division = fitter.split.divide(rest, Math.min(VALIDATION_SHARE, MOST_CHOOSING / rest.length), seed + 1);
  return { choosing: division.part.map((i) => rest[i]), learned: division.rest.map((i) => rest[i]) };
}

/** By a cross-validation, whose other folds choose for each fold. */
async function judgeByFolds(judging: Judging): Promise<Judged> {
  const { fitter, candidates, scales, together, approximation, n, seed, how, onProgress } = judging;
  const folds = fitter.split.folds(Math.min(judging.folds, n), seed).filter(({ length }) => length > 0);
  const stages = (judging.guarantee ? 2 * folds.length : folds.length) + 2;
  const families = candidates.map(({ family }) => family);
  const rests = folds.map((test) => {
    const held = new Set(test);
    return range(n).filter((i) => !held.has(i));
  });
  const outcomes: (Outcome | undefined)[][] = candidates.map(() => []);
  const losses: (readonly Float64Array[] | undefined)[][] = candidates.map(() =>
    new Array(folds.length).fill(undefined),
  );
  const foldAt = (k: number) => (k < folds.length ? `fold ${k + 1} of ${folds.length}` : "all rows");
  const without = (k: number) => (k < folds.length ? `without ${foldAt(k)}` : foldAt(k));
  const prepared = await fitter.prepareAll([...rests, range(n)], without);
  const givenUp = new GivenUp();
  const jobOf = (k: number, c: number): Job => {
    const recipe = { ...candidates[c].recipe, seed: seed + k + 1 };
    return { recipe, numbers: prepared[k].numbers, division: divisionOf(prepared[k], VALIDATION_SHARE, recipe.seed) };
  };
  // The rows of a fold are the same for all of its candidates.
  const known = new Map<number, Promise<Numbers>>();
  const rowsOf = (k: number) => {
    const rows = known.get(k) ?? fitter.numbers(folds[k], prepared[k].encoding);
    known.set(k, rows);
    return rows;
  };
  const fitFolds = async (places: readonly number[], left: readonly number[], at: (share: number) => number) => {
    const tasks = places.flatMap((k) => left.map((c) => ({ k, c })));
    const jobs = tasks.map(({ k, c }) => jobOf(k, c));
    const heard = (share: number, j: number) => onProgress(foldAt(tasks[j].k), at(share) / stages);
    // What fails in one fold is given up in all.
    const alike = tasks.map(({ c }) => c);
    const failed = (j: number, error?: NotPositiveDefiniteError) =>
      givenUp.add(candidates[tasks[j].c].name, foldAt(tasks[j].k), error);
    await doAll(judging, jobs, heard, { alike, failed }, async (outcome, j) => {
      const { k, c } = tasks[j];
      losses[c][k] = await lossesOf(outcome, prepared[k], approximation, await rowsOf(k));
      if (losses[c][k] !== undefined) outcomes[c][k] = outcome;
      else failed(j);
    });
  };
  const all = candidates.map((_, c) => c);
  await fitFolds([0], all, (share) => share);
  // The linear model is what the others are compared with.
  const plain = (c: number) => linearKind(candidates[c]) === "plain";
  const firstWeights = fitter.weightsOf(folds[0])?.data;
  const left = new Set(all.filter((c) => plain(c) || !hopeless(losses, c, firstWeights)));
  const long = new Set([...left].filter((c) => !plain(c) && takesLong(jobOf(0, c))));
  const goingOn = worthGoingOn(losses, [...left], long, families, firstWeights);
  const jobsOf = (some: readonly number[]) => some.map((c) => jobOf(0, c));
  const count = judging.fewerFolds ? foldsToJudge(jobsOf(all), jobsOf(goingOn), folds.length) : folds.length;
  const dealt = folds.slice(0, count);
  for (const own of losses) own.length = count;
  const weights = dealt.map((test) => fitter.weightsOf(test)?.data);
  await fitFolds(range(count).slice(1), goingOn, (share) => 1 + (count - 1) * share);
  // What has failed in one fold has no say in the others.
  for (const [c, own] of losses.entries()) if (own.includes(undefined)) losses[c] = own.map(() => undefined);
  if (losses.every((own) => own.includes(undefined))) throw givenUp.error();
  const rows = await Promise.all(range(count).map(rowsOf));
  const parts = rows.map((own, k) => ({ fits: outcomes.map((all) => all[k]), prepared: prepared[k], rows: own }));
  const means = new HeldOutMeans(parts, approximation);
  const mixBut = (k?: number) => means.weigh(mixOf(losses, scales, { without: k, families, together, weights }), k);
  const mix = await mixBut();
  const relevance = saidOf(
    mix.weights,
    outcomes.map(([first]) => first),
  );
  const mixes: Mix[] = [];
  const judgedFolds = async () => {
    const [models, unseen, said]: [TableModel[], number[], SaidOfClasses[]] = [[], [], []];
    for (const [k, test] of dealt.entries()) {
      const others = count > 1 ? await mixBut(k) : mix;
      mixes.push(others);
      const trials = outcomes.map((all) => all[k]);
      const model = await inTurns(modelOf(membersOf(others, trials), prepared[k], approximation));
      models.push(model);
      const numbers = await fitter.numbers(test, model.encoding);
      unseen.push(await inTurns(largestVariance(model, numbers)));
      if (ofClasses(model)) said.push(await inTurns(saidOfClasses(model, numbers)));
      await turn();
    }
    // The rows of a fold have no say in its own power.
    const powers = said.map((_, k) => powerOf(count > 1 ? said.filter((__, j) => j !== k) : said));
    return { models, unseen, said, powers };
  };
  const judgingFolds = judgedFolds();
  const telling = async () => {
    const { models, unseen, powers } = await judgingFolds;
    const checked: Fold[] = [];
    for (const [k, test] of dealt.entries()) {
      const others = Math.max(0, ...unseen.filter((_, j) => j !== k));
      const model = await inTurns(withFar(withPower(models[k], powers[k]), prepared[k], others));
      checked.push(await fitter.fold(model, validationOf(outcomes, k), test, rests[k]));
    }
    return { checked, told: await judging.tell(checked, { encoding: prepared[0].encoding, relevance }) };
  };
  const later = judgingFolds.then(({ unseen, said }) => ({
    unseen: Math.max(...unseen),
    power: said.length > 0 ? powerOf(said) : undefined,
  }));
  // Who waits for it comes later.
  later.catch(() => {});
  // How many rounds are enough the folds have found out, whose fits had one more, of all their rows.
  const enough = outcomes.map(middleRounds);
  const rounds = candidates.map(({ recipe }, c) => {
    const own = enough[c];
    return recipe.by !== "rounds" || own === undefined ? undefined : own + 1;
  });
  // What is told of the folds is found out while others fit all rows.
  const toldLater = beside(judging, telling);
  const [kept, { checked, told }] = await Promise.all([
    fitMix(judging, mix, prepared[folds.length], rounds, later, (share) =>
      onProgress("all rows", (folds.length + 2 * share) / stages),
    ),
    toldLater,
  ]);
  const { said, powers } = await judgingFolds;
  const unseenBy = async (k: number): Promise<Unseen> => {
    const own = outcomes.map((all) => all[k]);
    const at = (share: number) => onProgress(`the guarantee, ${foldAt(k)}`, (count + 2 + k + share) / stages);
    const model = await modelByRest(judging, prepared[k], own, seed + k + 1, at);
    return { model, numbers: await fitter.numbers(dealt[k], model.encoding), indices: dealt[k] };
  };
  const guaranteed: Unseen[] = [];
  if (judging.guarantee) for (const k of range(count)) guaranteed.push(await unseenBy(k));
  return {
    told,
    mix,
    rows: withPowers(rowLosses(losses, scales, mixes, dealt, weights), said, powers),
    evidences: outcomes.map((all) => meanEvidence(all, count)),
    // How validation went, the fold knows that took as many rounds.
    kept: { ...kept, course: courseOf(outcomes[kept.heaviest], enough[kept.heaviest]) ?? kept.course },
    folds: checked,
    ...(judging.guarantee && { unseen: guaranteed }),
    // What each of the models that were judged had seen.
    counts: {
      train: n - dealt[0].length,
      validation: checked[0].validation,
      test: dealt.reduce((sum, { length }) => sum + length, 0),
      ...(count === folds.length && { folded: true }),
    },
    scheme: `${foldsText(count, folds.length)}${how === RANDOM ? "" : `; ${how}`}`,
  };
}

/** What rows that were not seen say of a mixture. */
interface Known {
  /** The largest variance of the function at rows that were not seen. */
  readonly unseen: number;
  /** Of probabilities of classes. */
  readonly power: number | undefined;
}

/** Fits every candidate that has a weight to rows, from several seeds. @param again weighs the fits anew (default: weights are as they were) */
async function fitMix(
  judging: Judging,
  given: Mix,
  prepared: Prepared,
  rounds: readonly (number | undefined)[] | undefined,
  known: Known | Promise<Known>,
  onShare: (share: number) => void,
  again?: (fits: readonly (readonly Outcome[])[]) => Promise<{ readonly mix: Mix; readonly power: number | undefined }>,
): Promise<Kept & { readonly mix: Mix; readonly power: number | undefined }> {
  const { candidates, approximation, seed } = judging;
  const jobs = candidates.flatMap(({ recipe, seeds }, c) =>
    given.weights[c] > 0
      ? range(seeds).map((s) => ({ c, recipe: { ...recipe, seed: seed + s }, share: 1 / seeds }))
      : [],
  );
  const tasks = jobs.map(({ c, recipe }) => {
    const division = divisionOf(prepared, VALIDATION_SHARE, recipe.seed);
    return { recipe, numbers: prepared.numbers, division, rounds: rounds?.[c] };
  });
  const givenUp = new GivenUp();
  const failed = (j: number, error?: NotPositiveDefiniteError) =>
    givenUp.add(candidates[jobs[j].c].name, "all rows", error);
  const found = await doAll(judging, tasks, onShare, { failed });
  const fits: Outcome[][] = candidates.map(() => []);
  const first = take(prepared.numbers, [0]);
  for (const [j, { c }] of jobs.entries()) {
    const outcome = found[j];
    // One that cannot predict a row is as one that failed.
    if (outcome === undefined) continue;
    if ((await lossesOf(outcome, prepared, judging.approximation, first)) !== undefined) fits[c].push(outcome);
    else {
      found[j] = undefined;
      failed(j);
    }
  }
  if (fits.every(({ length }) => length === 0)) throw givenUp.error();
  const { mix, power } = (await again?.(fits)) ?? { mix: given, power: (await known).power };
  const { weights, scales, meanWeights } = mix;
  const own = (c: number, share: number) => meanWeights && meanWeights[c] * share;
  const members: Member[] = [];
  for (const [j, { c, share }] of jobs.entries()) {
    const posterior = found[j]?.posterior;
    if (posterior !== undefined && weights[c] > 0)
      members.push({ posterior, weight: weights[c] * share, scale: scales[c], meanWeight: own(c, share) });
  }
  const there = weights.map((weight, c) => (fits[c].length > 0 ? weight : 0));
  const heaviest = there.indexOf(Math.max(...there));
  const mixed = withPower(await inTurns(modelOf(members, prepared, approximation)), power);
  const model = await inTurns(withFar(mixed, prepared, (await known).unseen));
  const [{ course, posterior: tuned }] = fits[heaviest];
  const relevance = saidOf(
    weights,
    fits.map(([first]) => first),
  );
  return { model, prepared, heaviest, course, tuned, relevance, mix, power };
}
