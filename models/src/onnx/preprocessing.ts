// What scikit-learn does before a model, by the operators of ai.onnx.ml: scaled, imputed and encoded columns, of numbers.

import { type Builder, type Value, valued } from "../builder.ts";
import { unsupported } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import { type Call, type Lower, valueAt } from "./call.ts";
import { dense } from "./layers.ts";
import { moves } from "./moves.ts";

const row = (data: ArrayLike<number> & Iterable<number>): Tensor => ({ dims: [data.length], data, float: true });

/** (x − offset) · scale */
function scaler(call: Call): Value {
  const { builder, attributes } = call;
  const v = valueAt(call, 0);
  const t = (name: string) => row(attributes.floats(name) ?? unsupported(`its ${name} is missing.`));
  return builder.combine("scale", builder.subtract(v, t("offset")), t("scale"));
}

/** Values in the place of one that stands for what is missing. */
function imputer(call: Call): Value {
  const { builder, attributes } = call;
  const v = valueAt(call, 0);
  const [float, int] = [attributes.floats("imputed_value_floats"), attributes.ints("imputed_value_int64s")];
  const values = float?.length ? float : (int ?? []);
  const columns = v.dims[v.dims.length - 1];
  if (values.length !== 1 && values.length !== columns) {
    unsupported(`it has ${values.length} values for ${columns} columns.`);
  }
  const replaced = float?.length
    ? attributes.float("replaced_value_float", Number.NaN)
    : attributes.int("replaced_value_int64", 0);
  // The inputs of networks are numbers: nothing is missing.
  if (Number.isNaN(replaced)) return v;
  const missing = builder.plain("equal", v, Math.fround(replaced));
  const kept = builder.combine("scale", v, builder.line(missing, -1, 1));
  return builder.combine("shift", kept, builder.combine("scale", missing, row(values)));
}

/** 1 where an entry is each of some keys, over a new last axis. */
function matches(builder: Builder, v: Value, keys: readonly number[]): Value {
  const column = { ...v, dims: [...v.dims, 1] };
  return builder.plain("equal", builder.subtract(column, row(keys.map(Math.fround))), 0);
}

function oneHot(call: Call): Value {
  const { builder, attributes } = call;
  const v = valueAt(call, 0);
  if (attributes.texts("cats_strings")?.length) unsupported("its categories are texts, and a network takes numbers.");
  const keys = attributes.ints("cats_int64s") ?? [];
  if (keys.length === 0) unsupported("it has no categories.");
  // Of numbers, those between integers are rounded down by the runtime, as casts do.
  const whole = v.whole ? v : builder.plain("truncate", v);
  return matches(builder, whole, keys);
}

/** Numbers for numbers; a default for all others. */
function labelEncoder(call: Call): Value {
  const { builder, attributes } = call;
  const v = valueAt(call, 0);
  const texts = ["keys_strings", "values_strings", "classes_strings"].find((name) => attributes.texts(name)?.length);
  if (texts !== undefined) unsupported(`its ${texts} are texts, and a network takes and gives numbers.`);
  const numbers = (what: "keys" | "values") => attributes.floats(`${what}_floats`) ?? [];
  const whole = (what: "keys" | "values") => attributes.ints(`${what}_int64s`) ?? [];
  const [keys, values] = (["keys", "values"] as const).map((what) => [...numbers(what), ...whole(what)]);
  if (keys.length === 0 || keys.length !== values.length) {
    unsupported(`it has ${keys.length} keys and ${values.length} values that are numbers.`);
  }
  const otherwise =
    numbers("values").length > 0 ? attributes.float("default_float", 0) : attributes.int("default_int64", -1);
  const found = matches(builder, v, keys);
  const weight = { dims: [1, keys.length], data: values.map((one) => one - otherwise), float: true };
  const y = dense(builder, valued(found.x, found.dims), weight, row([otherwise]));
  return { ...y, dims: v.dims };
}

/** Columns by their numbers. */
const columns: Lower = (call) => {
  const { attributes } = call;
  const int: typeof attributes.int = (name, otherwise) => (name === "axis" ? -1 : attributes.int(name, otherwise));
  return moves.Gather({ ...call, attributes: { ...attributes, int } });
};

const textual =
  (what: string): Lower =>
  () =>
    unsupported(`${what} texts, and a network takes and gives numbers.`);

/** Operators, by name. */
export const preprocessing: Readonly<Record<string, Lower>> = {
  ArrayFeatureExtractor: columns,
  Scaler: scaler,
  Imputer: imputer,
  OneHotEncoder: oneHot,
  LabelEncoder: labelEncoder,
  CategoryMapper: textual("it maps"),
  StringNormalizer: textual("it changes"),
};
