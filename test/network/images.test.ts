// Every layer over images, with all its options, on images larger than vectors: values against naive loops, derivatives
// against each other. (Small ones are among the random networks, against numbers that carry their gradient.)

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  array,
  averagePool2d,
  conv1d,
  conv2d,
  convTranspose2d,
  curvatureOf,
  type DType,
  dense,
  flatten,
  globalAveragePool,
  gradient,
  jacobian,
  jvp,
  type Layer,
  maxPool1d,
  maxPool2d,
  mse,
  network,
  OptionError,
  perSampleGradientNorms,
  perSampleGradients,
  Random,
  randomNormal,
  ShapeError,
  vjp,
} from "../../src/index.ts";
import { numbers } from "../reference/draw.ts";
import { type Block, build, evaluateValue, layerOf } from "../reference/network.ts";

const pair = (least: number, most: number) =>
  fc.tuple(fc.integer({ min: least, max: most }), fc.integer({ min: least, max: most }));

/** A block that fits its image, or none. */
const drawn = fc
  .record({
    kind: fc.constantFrom("convolution", "transposed", "maxPool", "averagePool"),
    channels: fc.integer({ min: 1, max: 3 }),
    size: fc.tuple(fc.integer({ min: 1, max: 11 }), fc.integer({ min: 1, max: 13 })),
    flat: fc.boolean(),
    kernel: pair(1, 5),
    stride: pair(1, 4),
    padding: pair(0, 3),
    dilation: pair(1, 3),
    outputPadding: pair(0, 2),
    grouped: fc.boolean(),
    multiple: fc.integer({ min: 1, max: 2 }),
    same: fc.boolean(),
    bias: fc.boolean(),
    countPadding: fc.boolean(),
    batch: fc.integer({ min: 1, max: 3 }),
    seed: fc.nat(),
  })
  .map((d) => {
    const flat = d.flat && d.kind !== "transposed";
    const one = (p: readonly [number, number], value: number) => (flat ? ([value, p[1]] as const) : p);
    const [kernel, stride] = [one(d.kernel, 1), one(d.stride, 1)];
    const dilation = one(d.dilation, 1);
    const pool = d.kind === "maxPool" || d.kind === "averagePool";
    const half = (zeros: number, k: number) => (pool ? Math.min(zeros, Math.floor(k / 2)) : zeros);
    const padding = one([half(d.padding[0], kernel[0]), half(d.padding[1], kernel[1])], 0);
    const shape = flat ? [d.channels, d.size[1]] : [d.channels, ...d.size];
    const groups = d.grouped ? d.channels : 1;
    const same = d.same && stride.every((step) => step === 1);
    const outputPadding = d.outputPadding.map((more, i) => Math.min(more, stride[i] - 1)) as unknown as readonly [
      number,
      number,
    ];
    const common = { kernel, stride, padding };
    const weights = { dilation, groups, bias: d.bias, outputs: groups * d.multiple };
    const block: Block =
      d.kind === "convolution"
        ? { kind: d.kind, ...common, ...weights, same }
        : d.kind === "transposed"
          ? { kind: d.kind, ...common, ...weights, outputPadding }
          : d.kind === "maxPool"
            ? { kind: d.kind, ...common }
            : { kind: d.kind, ...common, countPadding: d.countPadding };
    const image = flat ? [1, shape[1]] : shape.slice(1);
    const fits =
      d.kind === "transposed"
        ? [0, 1].every((i) => {
            const length =
              (image[i] - 1) * stride[i] - 2 * padding[i] + dilation[i] * (kernel[i] - 1) + outputPadding[i];
            return length >= 0;
          })
        : [0, 1].every((i) => {
            const zeros = block.kind === "convolution" && same ? dilation[i] * (kernel[i] - 1) : 2 * padding[i];
            return image[i] + zeros >= (pool ? 1 : dilation[i]) * (kernel[i] - 1) + 1;
          });
    return { block, shape, fits, batch: d.batch, seed: d.seed };
  });

function world(
  dtype: DType,
  { block, shape, batch, seed }: { block: Block; shape: number[]; batch: number; seed: number },
) {
  const random = new Random(seed);
  const net = build([block], shape, dtype);
  const theta = numbers(random, net.parameterCount, dtype);
  net.setParameters(theta);
  const width = shape.reduce((product, length) => product * length, 1);
  const rows = Array.from({ length: batch }, () => numbers(random, width, dtype));
  const normal = (...lengths: number[]) =>
    array(
      numbers(
        random,
        lengths.reduce((a, b) => a * b, 1),
        dtype,
      ),
      { shape: lengths, dtype },
    );
  return { net, theta, rows, x: array(rows.flat(), { shape: [batch, ...shape], dtype }), normal };
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => Array.from(a).reduce((sum, x, i) => sum + x * b[i], 0);

describe.each(["float64", "float32"] as const)("in %s", (dtype) => {
  const tolerance = dtype === "float64" ? { relative: 1e-11, absolute: 1e-11 } : { relative: 1e-4, absolute: 1e-4 };

  test("values are those of naive loops; what does not fit is refused", () => {
    fc.assert(
      fc.property(drawn, (one) => {
        if (!one.fits) {
          expect(() => build([one.block], one.shape, dtype)).toThrow(ShapeError);
          return;
        }
        const { net, theta, rows, x } = world(dtype, one);
        const due = rows.map((row) => evaluateValue([one.block], one.shape, theta, row));
        const found = net.forward(x);
        expect(found.shape).toEqual([one.batch, ...due[0].shape]);
        expect(found.data).toBeAllClose(
          due.flatMap(({ elements }) => elements.map(({ value }) => value)),
          tolerance,
        );
      }),
      { numRuns: 100 },
    );
  });

  test("a direction forward and a column back are transposes of each other; gradients are their sums", () => {
    fc.assert(
      fc.property(drawn, (one) => {
        fc.pre(one.fits);
        const { net, x, normal } = world(dtype, one);
        const [v, w] = [normal(net.parameterCount), normal(...x.shape)];
        const u = normal(one.batch, ...net.outputShape);
        const close = (a: number, b: number, terms: number) =>
          expect([a]).toBeAllClose([b], { relative: 0, absolute: tolerance.absolute * terms });
        const inputs = vjp(net, x, u, { withRespectTo: "inputs" });
        close(dot(jvp(net, x, { inputs: w }).data, u.data), dot(w.data, inputs.data), u.size);
        if (net.parameterCount === 0) return;
        const parameters = vjp(net, x, u);
        close(dot(jvp(net, x, v).data, u.data), dot(v.data, parameters.data), u.size);
        // Layers are linear in their parameters, so that differences are derivatives.
        const moved = net.clone(
          array(
            net.parameters.data.map((p, i) => p + v.data[i]),
            { dtype },
          ),
        );
        const difference = moved.forward(x).data.map((y, i) => y - net.forward(x).data[i]);
        expect(difference).toBeAllClose(jvp(net, x, v).data, { relative: 0, absolute: 10 * tolerance.absolute });
      }),
      { numRuns: 100 },
    );
  });

  test("gradients of examples sum to the gradient, have their norms, and their squares are the diagonal", () => {
    fc.assert(
      fc.property(drawn, (one) => {
        fc.pre(one.fits);
        const { net, x, normal } = world(dtype, one);
        fc.pre(net.parameterCount > 0);
        const y = normal(one.batch, ...net.outputShape);
        const rows = perSampleGradients(net, mse, { x, y }, { reduction: "sum" });
        const sums = Array.from({ length: net.parameterCount }, (_, i) => {
          let total = 0;
          for (let b = 0; b < one.batch; b++) total += rows.data[b * net.parameterCount + i];
          return total;
        });
        const near = (due: ArrayLike<number>) => {
          const largest = Math.max(...Array.from(due, Math.abs));
          return { relative: 0, absolute: tolerance.relative * (1 + largest) };
        };
        expect(gradient(net, mse, { x, y }, { reduction: "sum" }).data).toBeAllClose(sums, near(sums));
        const norms = Array.from({ length: one.batch }, (_, b) =>
          Math.hypot(...rows.data.subarray(b * net.parameterCount, (b + 1) * net.parameterCount)),
        );
        const found = perSampleGradientNorms(net, mse, { x, y }, { reduction: "sum" });
        expect(found.data).toBeAllClose(norms, near(norms));
        fc.pre(net.graph.output.size <= 60);
        const flat = network({ inputs: one.shape, dtype }, (value) => flatten(layerOf(one.block)(value)));
        flat.setParameters(net.parameters);
        const j = jacobian(flat, x);
        const squares = new Float64Array(net.parameterCount);
        for (let i = 0; i < j.size; i++) squares[i % net.parameterCount] += j.data[i] ** 2;
        const targets = y.reshape(one.batch, y.size / one.batch);
        const diagonal = curvatureOf(flat, "regression", { x, y: targets }, { structure: "diagonal" }).diagonal();
        expect(diagonal.data).toBeAllClose(squares, near(squares));
      }),
      { numRuns: 60 },
    );
  });
});

test("parts and chunks: many examples are what single ones are", () => {
  const net = network({ inputs: [3, 20, 20], dtype: "float64", seed: 1 }, (x) =>
    dense(4)(flatten(maxPool2d(2)(conv2d(10, 5)(x)))),
  );
  const x = randomNormal([37, 3, 20, 20], { dtype: "float64", seed: 2 });
  const y = randomNormal([37, 4], { dtype: "float64", seed: 3 });
  const all = perSampleGradients(net, mse, { x, y });
  for (const b of [0, 1, 17, 36]) {
    const [one, target] = [x.sub(b).reshape(1, 3, 20, 20), y.sub(b).reshape(1, 4)];
    const own = perSampleGradients(net, mse, { x: one, y: target });
    expect(all.sub(b).data).toBeAllClose(own.data, { relative: 1e-11, absolute: 1e-12 });
  }
  const whole = curvatureOf(net, "regression", { x, y }, { structure: "diagonal" }).diagonal().data;
  const sums = new Float64Array(net.parameterCount);
  for (let b = 0; b < 37; b++) {
    const one = { x: x.sub(b).reshape(1, 3, 20, 20), y: y.sub(b).reshape(1, 4) };
    const own = curvatureOf(net, "regression", one, { structure: "diagonal" }).diagonal().data;
    own.forEach((value, i) => {
      sums[i] += value;
    });
  }
  expect(whole).toBeAllClose(sums, { relative: 1e-11 });
});

describe("refusals", () => {
  const make = (shape: number[], layer: Layer) => () => network({ inputs: shape }, layer);

  test.each<[string, () => unknown, typeof ShapeError | typeof OptionError, string]>([
    [
      "a kernel larger than its image",
      make([1, 3, 3], conv2d(2, 5)),
      ShapeError,
      "are larger than the input [1, 3, 3]",
    ],
    ["a window larger than its sequence", make([2, 3], maxPool1d(4)), ShapeError, "are larger than the input [2, 3]"],
    [
      "an image where a sequence is expected",
      make([2, 3, 3], conv1d(2, 2)),
      ShapeError,
      "a sequence [channels, length]",
    ],
    ["a vector where an image is expected", make([9], conv2d(2, 2)), ShapeError, "an image [channels, height, width]"],
    ["a vector where an image is pooled", make([9], maxPool2d(2)), ShapeError, "an image [channels, height, width]"],
    ["a vector where everything is pooled", make([9], globalAveragePool), ShapeError, "must be an image"],
    [
      "channels that cannot be grouped",
      make([3, 4, 4], conv2d(4, 2, undefined, { groups: 2 })),
      ShapeError,
      "3 channels",
    ],
    ["outputs that cannot be grouped", () => conv2d(3, 2, undefined, { groups: 2 }), OptionError, "3 output channels"],
    ['"same" with a stride', () => conv2d(3, 2, undefined, { padding: "same", stride: 2 }), OptionError, "stride of 1"],
    ["an unknown padding", () => conv2d(3, 2, undefined, { padding: "full" as "same" }), OptionError, '"full"'],
    [
      "options in the activation's place",
      () => conv2d(3, 2, {} as unknown as Layer),
      OptionError,
      "options come fourth",
    ],
    ["a kernel of three", () => conv2d(3, [1, 2, 3] as unknown as [number, number]), OptionError, "the kernel"],
    ["a stride of 0", () => maxPool2d(2, { stride: 0 }), OptionError, "stride"],
    ["an unknown option", () => averagePool2d(2, { size: 1 } as object), OptionError, "size"],
    ["too much padding in a pool", make([1, 4, 4], maxPool2d(2, { padding: 2 })), ShapeError, "more than half"],
    [
      "too much output padding",
      () => convTranspose2d(1, 2, undefined, { outputPadding: 1 }),
      OptionError,
      "outputPadding",
    ],
    [
      "padding that leaves nothing",
      make([1, 1, 1], convTranspose2d(1, 1, undefined, { padding: 1 })),
      ShapeError,
      "leaves nothing",
    ],
  ])("%s", (_, call, error, message) => {
    expect(call).toThrow(error);
    expect(call).toThrow(message);
  });
});
