// What a file may say of the primitives of sequences, norms and attention, and how that becomes their attributes.

import { LaplaceError } from "../errors.ts";
import { addSinusoids, differs, maskedSoftmax, positions } from "../network/primitives/attend.ts";
import { concatenate } from "../network/primitives/combine.ts";
import { matmul } from "../network/primitives/matmul.ts";
import { normalise } from "../network/primitives/normalise.ts";
import { permute, slice, sum } from "../network/primitives/rearrange.ts";
import { type BatchNormaliseAttributes, batchNormalise, dropout } from "../network/primitives/training.ts";
import type { Trace } from "../network/trace.ts";
import { type Fields, numberJson } from "./fields.ts";
import type { Known } from "./networks.ts";

const MOST_AXES = 32;

/** Attributes that are numbers of which every finite one will do. */
function finite(...names: readonly string[]) {
  return {
    attributes: names,
    write: (attributes: Record<string, number>) =>
      Object.fromEntries(names.map((name) => [name, numberJson(attributes[name])])),
    read: (fields: Fields) => Object.fromEntries(names.map((name) => [name, fields.finite(name)])),
  };
}

/** A number above 0, at most `most`. @throws LaplaceError */
function positive(fields: Fields, name: string, most = Number.POSITIVE_INFINITY): number {
  const value = fields.finite(name);
  if (value > 0 && value <= most) return value;
  throw new LaplaceError(`${fields.path(name)}: ${value} is out of range.`);
}

export const layerPrimitives: readonly Known[] = [
  {
    primitive: permute,
    inputs: 1,
    attributes: ["axes"],
    write: ({ axes }: { axes: readonly number[] }) => ({ axes }),
    read: (fields: Fields) => ({ axes: fields.integers("axes", 0, MOST_AXES) }),
  },
  { primitive: slice, inputs: 1, ...finite("axis", "start", "end") },
  { primitive: sum, inputs: 1, ...finite("axis") },
  { primitive: concatenate, inputs: undefined, ...finite("axis") },
  {
    primitive: matmul,
    inputs: 2,
    attributes: ["transposed"],
    write: ({ transposed }: { transposed: boolean }) => ({ transposed }),
    read: (fields: Fields) => ({ transposed: fields.boolean("transposed") }),
  },
  {
    primitive: normalise,
    inputs: 1,
    attributes: ["length", "centred", "epsilon"],
    write: ({ length, centred, epsilon }: { length: number; centred: boolean; epsilon: number }) => ({
      length,
      centred,
      epsilon,
    }),
    read: (fields: Fields) => ({
      length: fields.integer("length", 1),
      centred: fields.boolean("centred"),
      epsilon: positive(fields, "epsilon"),
    }),
  },
  {
    primitive: maskedSoftmax,
    inputs: undefined,
    attributes: ["causal"],
    write: ({ causal }: { causal: boolean }) => ({ causal }),
    read: (fields: Fields) => ({ causal: fields.boolean("causal") }),
  },
  { primitive: differs, inputs: 1, ...finite("from") },
  {
    primitive: positions,
    inputs: 0,
    attributes: ["length"],
    write: ({ length }: { length: number }) => ({ length }),
    read: (fields: Fields) => ({ length: fields.integer("length", 1) }),
  },
  { primitive: addSinusoids, inputs: 1, ...finite("base") },
  {
    primitive: dropout,
    inputs: 1,
    attributes: ["rate"],
    write: ({ rate }: { rate: number }) => ({ rate }),
    read(fields: Fields) {
      const rate = fields.finite("rate");
      if (rate >= 0 && rate < 1) return { rate };
      throw new LaplaceError(`${fields.path("rate")}: ${rate} is out of range.`);
    },
  },
  {
    primitive: batchNormalise,
    inputs: 1,
    attributes: ["layer", "channels", "epsilon", "momentum"],
    write: ({ mean, epsilon, momentum }: BatchNormaliseAttributes) => ({
      layer: mean.name.slice(0, mean.name.lastIndexOf(".")),
      channels: mean.size,
      epsilon: numberJson(epsilon),
      momentum: numberJson(momentum),
    }),
    read: (fields: Fields, trace: Trace): BatchNormaliseAttributes => {
      const channels = fields.integer("channels", 1);
      const statistics = trace.statistics(fields.text("layer"), channels);
      if (statistics.mean.size !== channels)
        throw new LaplaceError(`${fields.where}: its statistics have another size.`);
      return { ...statistics, epsilon: positive(fields, "epsilon"), momentum: positive(fields, "momentum", 1) };
    },
  },
] as Known[];
