// A shard of data out of a file, which anybody may have written: checked as data are that a user gives, before it is summed.

import { NDArray } from "../array/ndarray.ts";
import type { DataShard } from "../curvature/accumulate.ts";
import { farShard } from "../curvature/far.ts";
import type { Plan } from "../curvature/plan.ts";
import type { FarRows } from "../data/far-data.ts";
import { FileError } from "../errors.ts";
import type { Likelihood } from "../likelihood/likelihood.ts";
import type { Network } from "../network/network.ts";
import type { Batch } from "../network/run.ts";
import type { Linearised } from "../prediction/linearised.ts";

/** Of which network and likelihood the data are. */
interface DataOf {
  readonly net: Network;
  readonly likelihood: Likelihood;
  /** Whether there must be targets, in the network's type, as a fit has them. */
  readonly targeted: boolean;
  /** Reads rows that lie elsewhere. */
  readonly read?: ((at: unknown) => ReturnType<FarRows["read"]>) | undefined;
}

/** Of what the data of a task's shards are, by what they have in common: the plan of a fit, or a posterior that is asked. */
function dataOf(common: unknown): DataOf {
  const { plan, posterior } = common as { readonly plan?: Plan; readonly posterior?: Linearised };
  const { net, likelihood } = (plan ?? posterior) as Plan | Linearised;
  return { net, likelihood, targeted: plan !== undefined };
}

/**
 * A shard of a task out of a file, or a candidate's with its hyperparameters, which are read where it is made.
 * @throws FileError for what is not one; as `readShard`
 */
export function readJob(where: string, value: unknown, common: unknown, read?: DataOf["read"]): unknown {
  const { posteriors } = common as { readonly posteriors?: readonly Linearised[] };
  if (posteriors === undefined) return readShard(where, value, { ...dataOf(common), read });
  const { hyper, member, shard } = (value ?? {}) as Readonly<Record<string, unknown>>;
  if (!isCount(member) || member >= posteriors.length || typeof hyper !== "object" || hyper === null) {
    throw new FileError("malformed", `${where}: the file is not a candidate's shard of data.`);
  }
  return { hyper, member, shard: readShard(where, shard, dataOf({ posterior: posteriors[member] })) };
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isVector = (value: unknown, length: number): boolean =>
  value instanceof NDArray && value.rank === 1 && value.size === length && value.dtype === "float64";

/** @throws FileError for what is not a shard; ShapeError, ValueError for data that are not those of the network */
function readShard(where: string, value: unknown, { net, likelihood, targeted, read }: DataOf): DataShard<Batch> {
  const malformed = (what: string) => new FileError("malformed", `${where}: the file is not a shard of data: ${what}.`);
  const { start, most, weighted, batches, far } = (value ?? {}) as Readonly<Record<string, unknown>>;
  if (!isCount(start) || !isCount(most) || typeof weighted !== "boolean" || !Array.isArray(batches)) {
    throw malformed("it does not say where its examples begin, how many there are, or which");
  }
  if (far !== undefined) {
    if (read === undefined || !targeted || batches.length > 0 || weighted || most === 0) {
      throw malformed("its rows lie elsewhere, and cannot be read");
    }
    const { at } = Object(far) as FarRows;
    return { start, most, weighted, batches: [], far: farShard({ at, read: () => read(at) }) };
  }
  let largest = 0;
  for (const batch of batches as unknown[]) {
    const { inputs, targets, weights, before } = (batch ?? {}) as Readonly<Record<string, unknown>>;
    if (!(inputs instanceof NDArray)) throw malformed("a batch has no inputs");
    if (targeted && inputs.dtype !== net.dtype) throw malformed(`its inputs are ${inputs.dtype}`);
    net.readInputs(where, inputs);
    const size = inputs.shape[0];
    largest = Math.max(largest, size);
    if (targets === undefined ? targeted : !(targets instanceof NDArray) || targets.shape[0] !== size) {
      throw malformed("a batch has no targets, or too few of them");
    }
    if (targeted) {
      const read = likelihood.readTargets(where, targets as NDArray, [size, ...net.outputShape], net.dtype);
      const own = targets as NDArray;
      // As they are read, so they are written.
      if (read.dtype !== own.dtype || read.shape.join() !== own.shape.join()) throw malformed("its targets are others");
    }
    if (weighted !== (weights !== undefined)) throw malformed("some examples have weights, and others have none");
    const isWeight = (weight: number) => weight >= 0 && Number.isFinite(weight);
    if (weights !== undefined && !(isVector(weights, size) && (weights as NDArray).data.every(isWeight))) {
      throw malformed("its weights are not a finite number of at least 0 for each example");
    }
    if (before !== undefined && !isCount(before)) throw malformed("its first example has no number");
  }
  if (largest === 0 || most !== largest) throw malformed("its batches are not as large as it says");
  return value as DataShard<Batch>;
}
