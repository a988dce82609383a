// On which scale numbers are learned: as they are, their logarithm, or a power of them; by the log density of rows that quick models,
// a linear one and a few random features, have not seen. It is chosen as means and deviations are, by the rows of a fit alone.

import {
  mixture,
  NDArray,
  NotPositiveDefiniteError,
  type TableEncoding,
  type TargetScale,
  tableLogDensities,
  tableModel,
} from "laplace-ts";
import { countingOf, meanAndError, meanBy } from "../model/counting.ts";
import { type Numbers, take } from "../model/rows.ts";
import { inTurns, turn } from "../turn.ts";
import type { Job, Recipe } from "./jobs.ts";
import type { Lanes } from "./lanes.ts";
import { withLevelEffects } from "./level-effects.ts";
import { MANY_ROWS, someOf } from "./many-rows.ts";
import type { Prepared } from "./members.ts";
import { learningOf } from "./network.ts";

type Kind = TargetScale["kind"];

/** What is known of the target of the whole table. */
export interface Scaling {
  /** Whether all numbers are above 0, those that are held out too. */
  readonly positive: boolean;
  readonly lanes: Lanes;
}

const ROUNDING = 1e-12;

/** Whether the target may be learned on another scale: undefined for classes and counts. */
export function scalingOf(encoding: TableEncoding, targets: Float64Array, lanes: Lanes): Scaling | undefined {
  const { target } = encoding;
  if (target.kind !== "number" || target.counts) return undefined;
  // A zero comes back from the encoding as large as its rounding.
  const least = ROUNDING * (Math.abs(target.mean) + target.sd);
  return { positive: targets.every((y) => encoding.ofTarget(y) > least), lanes };
}

/** Nats of a row by which a scale must make the targets more probable, as normal numbers, to be tried; with fewer rows none is. */
const [WORTH_TRYING, FEWEST] = [0.02, 30];
/** Rows that are looked at, the share of them that is predicted, and how often. */
const [MOST, SHARE, TIMES] = [2000, 0.3, 2];
const FEATURES = 60;
const MEMORY = 2 ** 28;
/** Standard errors, and nats, by which another scale must be better than the numbers as they are. */
const [CLEARLY, NATS] = [1, 0.01];

/** The same rows with their target on the scale that predicts it best. */
export async function onBestScale(prepared: Prepared, { positive, lanes }: Scaling): Promise<Prepared> {
  const { encoding, numbers } = prepared;
  const values = Float64Array.from(numbers.y.data, (y: number) => encoding.ofTarget(y));
  const kinds: Kind[] = positive ? ["log", "yeoJohnson"] : ["yeoJohnson"];
  const places = numbers.rows <= MANY_ROWS ? undefined : someOf(numbers.rows, MANY_ROWS, 0);
  const some = places === undefined ? values : Float64Array.from(places, (i) => values[i]);
  const given = numbers.weights?.data;
  const counts = places === undefined ? given : given && places.map((i) => given[i]);
  const plain = marginal(encoding, some, counts);
  const worth = kinds.flatMap((kind) => {
    const own = numbers.rows < FEWEST ? undefined : onScale(encoding, kind, some);
    return own !== undefined && marginal(own, some, counts) > plain + WORTH_TRYING ? [own] : [];
  });
  if (worth.length === 0) return prepared;
  // Effects of categories are those on the scale that is learned.
  const versions: Encoded[] = [prepared];
  for (const own of worth) versions.push(await rescaled(own, prepared, values));
  const tried = await lossesOn(versions, prepared, lanes).catch(nothingWhereSingular);
  if (tried === undefined) return prepared;
  const { losses, weights } = tried;
  const [asIs, ...others] = losses;
  let best: { readonly version: Encoded; readonly loss: number } = { version: prepared, loss: 0 };
  others.forEach((own, k) => {
    const gains = own.map((loss, i) => asIs[i] - loss);
    const [mean, error] = meanAndError(gains, countingOf(gains.length, weights));
    const clear = mean > NATS && mean > CLEARLY * error;
    // A power is taken where it is better than the logarithm as clearly.
    if (clear && -mean < best.loss - (k > 0 && best.loss < 0 ? NATS : 0))
      best = { version: versions[k + 1], loss: -mean };
  });
  if (best.version === prepared) return prepared;
  const { target } = best.version.encoding;
  const kind = target.kind === "number" ? target.scale?.kind : undefined;
  // What a sample has chosen, all rows make.
  const whole = kind !== undefined && some !== values ? onScale(encoding, kind, values) : undefined;
  return { ...prepared, ...(whole === undefined ? best.version : await rescaled(whole, prepared, values)) };
}

function onScale(encoding: TableEncoding, kind: Kind, values: Float64Array): TableEncoding | undefined {
  const found = encoding.onTargetScale(kind, values);
  return found.target.kind === "number" && Number.isFinite(found.target.sd) ? found : undefined;
}

/** The mean log density of values by a normal number on the encoding's scale. */
function marginal(encoding: TableEncoding, values: Float64Array, weights?: ArrayLike<number>): number {
  const { target } = encoding;
  if (target.kind !== "number") return 0;
  const { mean, sd, scale } = target;
  const parts = [
    {
      weight: 1,
      mean: new Float64Array(values.length).fill(mean),
      sd: new Float64Array(values.length).fill(sd),
      scale,
    },
  ];
  const logs = tableLogDensities(
    { parts, rows: 0, epistemic: NONE, functionVariance: NONE, far: [], unusual: [] },
    values,
  );
  return meanBy(logs, weights);
}
const NONE = new Float64Array(0);

type Encoded = Pick<Prepared, "encoding" | "numbers">;

/** Rows with their target as an encoding has it, and with effects of categories on that. */
async function rescaled(encoding: TableEncoding, { rows, numbers }: Prepared, values: Float64Array): Promise<Encoded> {
  const y = new NDArray(
    values.map((value) => encoding.toTarget(value)),
    numbers.y.shape,
  );
  return inTurns(withLevelEffects(rows, encoding, { ...numbers, y }));
}

/** A curvature so close to singular that nothing comes of it says nothing of scales. */
function nothingWhereSingular(error: unknown): undefined {
  if (!(error instanceof NotPositiveDefiniteError)) throw error;
}

/** −log p of rows that are held out in turn, on each scale, and how much they count; undefined where no model could be fitted. */
async function lossesOn(
  versions: readonly Encoded[],
  prepared: Prepared,
  lanes: Lanes,
): Promise<{ readonly losses: number[][]; readonly weights: number[] | undefined } | undefined> {
  const { numbers } = prepared;
  const step = Math.ceil(numbers.rows / MOST);
  const seen = (place: number) => place % step === 0;
  const learning = learningOf(prepared.encoding);
  const shared = { learning, memoryBudget: MEMORY, seed: 0 } as const;
  const recipes: Recipe[] = [
    { ...shared, by: "evidence", width: 0, groups: "layers" },
    { ...shared, by: "features", features: FEATURES, length: 1, precision: undefined },
  ];
  const jobs: (Job & { readonly held: Numbers; readonly scale: number })[] = [];
  for (let time = 0; time < TIMES; time++) {
    const { part, rest } = prepared.divide(SHARE, time + 1);
    for (const [scale, { numbers: own }] of versions.entries()) {
      const division = { part: [], rest: [] };
      for (const recipe of recipes) {
        jobs.push({
          recipe,
          numbers: take(own, rest.filter(seen)),
          division,
          held: take(own, part.filter(seen)),
          scale,
        });
      }
    }
  }
  const fitted = await Promise.all(
    jobs.map(({ held: _, scale: __, ...job }) => lanes.do(job, () => {}).catch(nothingWhereSingular)),
  );
  // What fails on one scale has no say on the others.
  const usable = recipes.map((_, k) => jobs.every((__, j) => j % recipes.length !== k || fitted[j] !== undefined));
  const losses: number[][] = versions.map(() => []);
  const weights: number[] = [];
  for (let j = 0; j < jobs.length; j += recipes.length) {
    const { held, scale } = jobs[j];
    const posteriors = recipes.flatMap((_, k) => (usable[k] ? (fitted[j + k]?.posterior ?? []) : []));
    if (posteriors.length === 0) return undefined;
    const { encoding } = versions[scale];
    const model = tableModel({ mixture: mixture(posteriors), encoding });
    const truth = Array.from(held.y.data, (y: number) => encoding.ofTarget(y));
    // Rows with gaps are predicted as they are filled: it is the scales that are compared.
    const predicted = model.predictEncoded(held.x.data as Float64Array, held.unusual, [], false);
    losses[scale].push(...tableLogDensities(predicted, truth).map((log) => -log));
    if (scale === 0 && held.weights !== undefined) weights.push(...held.weights.data);
    await turn();
  }
  return { losses, weights: weights.length > 0 ? weights : undefined };
}
