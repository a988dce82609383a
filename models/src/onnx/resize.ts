// Images of another size: pixels repeated by whole factors, or each axis interpolated by a constant matrix.

import { as, type Builder, primitive, type Value, valued } from "../builder.ts";
import { unsupported } from "../errors.ts";
import { checkedSize } from "../tensor.ts";
import { type Call, optionalConstant, valueAt } from "./call.ts";
import { list } from "./constants.ts";
import { repeated } from "./moves.ts";

/** Where an entry of the result lies in the input, by ONNX's coordinate_transformation_mode. */
const places: Readonly<Record<string, (i: number, scale: number, from: number, to: number) => number>> = {
  half_pixel: (i, scale) => (i + 0.5) / scale - 0.5,
  pytorch_half_pixel: (i, scale, _, to) => (to > 1 ? (i + 0.5) / scale - 0.5 : 0),
  align_corners: (i, _, from, to) => (to > 1 ? (i * (from - 1)) / (to - 1) : 0),
  asymmetric: (i, scale) => i / scale,
};

/** An axis at another length, between its two nearest entries; beyond the ends it has theirs. */
function interpolated(builder: Builder, v: Value, axis: number, to: number, at: (i: number) => number): Value {
  const from = v.dims[axis];
  const data = new Float64Array(checkedSize([to, from]));
  for (let i = 0; i < to; i++) {
    const place = Math.max(0, Math.min(from - 1, at(i)));
    const low = Math.floor(place);
    const high = Math.min(from - 1, low + 1);
    data[i * from + low] += 1 - (place - low);
    data[i * from + high] += place - low;
  }
  const order = [...v.dims.keys()].filter((one) => one !== axis);
  const moved = builder.permute(v, [...order, axis]);
  const weight = { dims: [to, from], data, float: true };
  const site = { inputs: from, outputs: to };
  const y = builder.linear(primitive<undefined>("linear"), as(moved, moved.dims), undefined, weight, undefined, site);
  const back = v.dims.map((_, i) => (i === axis ? order.length : order.indexOf(i)));
  return builder.permute(valued(y, [...order.map((one) => v.dims[one]), to]), back);
}

/** Resize and Upsample: nearest pixels by whole factors, linear ones by any. */
export function resize(call: Call): Value {
  const v = valueAt(call, 0);
  const { attributes, builder, opset } = call;
  const upsample = opset < 10 || call.inputs.length === 2;
  const factors = list(optionalConstant(call, upsample ? 1 : 2, "its scales")) ?? attributes.floats("scales") ?? [];
  const sizes = list(optionalConstant(call, 3, "its sizes"));
  const times = sizes ? sizes.map((size, i) => size / v.dims[i]) : Array.from(factors);
  const mode = attributes.text("mode", "nearest");
  const place = attributes.text("coordinate_transformation_mode", upsample ? "asymmetric" : "half_pixel");
  const nearest = attributes.text("nearest_mode", upsample ? "floor" : "round_prefer_floor");
  const each = times.length === v.dims.length && !attributes.has("axes");
  const at = Object.hasOwn(places, place) ? places[place] : undefined;
  const smooth = attributes.int("antialias", 0) === 0 && attributes.int("exclude_outside", 0) === 0;
  if (mode === "linear" && each && smooth && at !== undefined && times.every((n) => n > 0)) {
    return times.reduce((x, scale, axis) => {
      const from = x.dims[axis];
      const to = sizes?.[axis] ?? Math.floor(from * scale);
      if (to < 1) unsupported(`an axis ${from} long is made ${to} long.`);
      if (to === from && scale === 1) return x;
      return interpolated(builder, x, axis, to, (i) => at(i, scale, from, to));
    }, v);
  }
  const whole = each && times.every((n) => Number.isInteger(n) && n >= 1);
  const plain =
    mode === "nearest" &&
    (nearest === "floor" ? place === "asymmetric" : /half_pixel$/.test(place) && nearest.startsWith("round"));
  if (!whole || !plain) {
    unsupported(
      `it makes images ${times.join(" × ")} times as large (${mode}, ${place}, ${nearest}); known are linear pixels without antialias, and whole factors of nearest ones.`,
    );
  }
  return repeated(builder, v, times);
}
