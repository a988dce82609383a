// What scikit-learn does before a model, by the operators of ai.onnx.ml: scaled, imputed and encoded columns, of numbers; and its linear
// models.

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

/** The scores of a linear model, whose weights and biases are attributes, as parameters. */
function scores(call: Call, count: number, rows: (weight: Tensor) => Tensor = (weight) => weight): Value {
  const { builder, attributes, node } = call;
  const v = valueAt(call, 0);
  const width = v.dims[v.dims.length - 1];
  const numbers = (what: string) => attributes.floats(what) ?? [];
  const [weights, biases] = [numbers("coefficients"), numbers("intercepts")];
  if (count < 1 || weights.length !== count * width || (biases.length > 0 && biases.length !== count)) {
    unsupported(`it has ${weights.length} coefficients and ${biases.length} intercepts for ${count} × ${width}.`);
  }
  const array = (what: string, dims: number[], data: readonly number[]): Tensor =>
    rows({ dims, data, float: true, name: `${node}.${what}` });
  const weight = array("weight", [count, width], weights);
  return dense(builder, v, weight, biases.length > 0 ? array("bias", [count], biases) : undefined);
}

function linearRegressor(call: Call): Value {
  const transform = call.attributes.text("post_transform", "NONE");
  if (transform !== "NONE") unsupported(`its post_transform is ${transform}.`);
  return scores(call, call.attributes.int("targets", 1));
}

/** Logits: of two classes by a sigmoid, as scikit-learn's are, one. */
function linearClassifier(call: Call): Value[] {
  const { attributes, bare } = call;
  if (!bare) unsupported("its labels and probabilities are not made; with the option cut its scores are.");
  const transform = attributes.text("post_transform", "NONE");
  const [weights, biases] = ["coefficients", "intercepts"].map((what) => attributes.floats(what) ?? []);
  const names = attributes.ints("classlabels_ints") ?? [];
  const classes = names.length || (attributes.texts("classlabels_strings") ?? []).length;
  const count = biases.length || classes;
  if (transform === "LOGISTIC" && classes === 2) {
    const half = (all: readonly number[]) => all.length / 2;
    // The scores of the first class are those of the second one with the sign turned.
    const turned = (all: readonly number[]) => all.every((w, i) => w + all[(i + half(all)) % all.length] === 0);
    const second = ({ dims, ...rest }: Tensor) => {
      const data = Array.from(rest.data);
      return { ...rest, dims: [1, ...dims.slice(1)], data: data.slice(half(data)) };
    };
    const y = count === 1 ? scores(call, 1) : turned(weights) && turned(biases) ? scores(call, 2, second) : undefined;
    if (y !== undefined) return [y, y];
  }
  if (transform === "LOGISTIC" || count < 2 || (transform !== "NONE" && transform !== "SOFTMAX")) {
    unsupported(`its post_transform is ${transform}, of ${count} scores for ${classes} classes.`);
  }
  const y = scores(call, count);
  return [y, y];
}

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
  LinearClassifier: linearClassifier,
  LinearRegressor: linearRegressor,
  CategoryMapper: textual("it maps"),
  StringNormalizer: textual("it changes"),
};
