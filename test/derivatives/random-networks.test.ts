// Every derivative of random networks, against numbers that carry their gradient.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  array,
  type DType,
  gradient,
  jacobian,
  jvp,
  perSampleGradientNorms,
  perSampleGradients,
  vjp,
} from "../../src/index.ts";
import { memoryUse } from "../../src/kernels/memory.ts";
import { type Case, drawCase, near, numbers, reducedLosses } from "../reference/draw.ts";
import { finiteDifferences } from "../reference/finite-differences.ts";
import { everyCase } from "../setup.ts";

/** The entries of every output's slopes over the parameters, or over the inputs. */
function slopes({ net, outputs }: Case, over: "parameters" | "inputs"): number[][][] {
  const count = net.parameterCount;
  const part = (all: readonly number[]) => (over === "parameters" ? all.slice(0, count) : all.slice(count));
  return outputs.map((example) => example.map((output) => part(output.slopes)));
}

const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, i) => sum + value * b[i], 0);
const total = (rows: readonly (readonly number[])[]) =>
  rows[0].map((_, i) => rows.reduce((sum, row) => sum + row[i], 0));

/** Runs a property on random networks, and afterwards finds the kernels' memory empty. */
function onNetworks(dtype: DType, check: (drawn: Case) => void): void {
  fc.assert(
    fc.property(fc.gen(), (draw) => {
      check(drawCase(draw, { dtype }));
      expect(memoryUse().inUse).toBe(0);
    }),
    { numRuns: everyCase ? 120 : 60 },
  );
}

describe.each(["float64", "float32"] as const)("on random networks in %s", (dtype) => {
  const expectClose = (actual: Parameters<typeof array>[0], expected: readonly number[], least?: number) =>
    expect(array(actual).data).toBeAllClose(expected, near(expected, dtype, least));

  test("forward gives the reference's outputs", () => {
    onNetworks(dtype, ({ net, x, outputs }) => {
      const y = net.forward(x);
      expect(y.shape).toEqual([x.shape[0], ...net.outputShape]);
      expect(y.dtype).toBe(dtype);
      expectClose(
        y,
        outputs.flat().map(({ value }) => value),
      );
    });
  });

  test("the Jacobian is the reference's slopes, over the parameters and over the inputs", () => {
    onNetworks(dtype, (drawn) => {
      const { net, x } = drawn;
      const [batch, ...inputShape] = x.shape;
      const overParameters = jacobian(net, x);
      expect(overParameters.shape).toEqual([batch, ...net.outputShape, net.parameterCount]);
      expectClose(overParameters, slopes(drawn, "parameters").flat(2));
      const overInputs = jacobian(net, x, { withRespectTo: "inputs" });
      expect(overInputs.shape).toEqual([batch, ...net.outputShape, ...inputShape]);
      expectClose(overInputs, slopes(drawn, "inputs").flat(2));
    });
  });

  test("per-sample gradients and their norms are those of each example's own loss", () => {
    onNetworks(dtype, (drawn) => {
      const { net, loss, x, y } = drawn;
      for (const reduction of ["mean", "sum"] as const) {
        const rows = reducedLosses(drawn, reduction).map((loss) => loss.slopes.slice(0, net.parameterCount));
        const g = perSampleGradients(net, loss.loss, { x, y }, { reduction });
        expect(g.shape).toEqual([x.shape[0], net.parameterCount]);
        expectClose(g, rows.flat());
        const squares = perSampleGradientNorms(net, loss.loss, { x, y }, { reduction }).data.map((norm) => norm ** 2);
        // Squares: where the positions of a shared weight cancel, the norm itself keeps half of the digits only.
        expectClose(
          squares,
          rows.map((row) => dot(row, row)),
          10,
        );
      }
    });
  });

  test("the gradient is that of the mean or the sum of all elements, over the parameters and over the inputs", () => {
    onNetworks(dtype, (drawn) => {
      const { net, loss, x, y, losses } = drawn;
      const count = net.parameterCount;
      for (const reduction of ["mean", "sum"] as const) {
        const factor = reduction === "mean" ? 1 / losses.flat().length : 1;
        const rows = losses.map((elements) => total(elements.map((element) => element.slopes.map((s) => s * factor))));
        const overParameters = gradient(net, loss.loss, { x, y }, { reduction });
        expect(overParameters.shape).toEqual([count]);
        expectClose(overParameters, total(rows).slice(0, count));
        const overInputs = gradient(net, loss.loss, { x, y }, { reduction, withRespectTo: "inputs" });
        expect(overInputs.shape).toEqual(x.shape);
        expectClose(
          overInputs,
          rows.flatMap((row) => row.slice(count)),
        );
      }
    });
  });

  test("jvp and vjp are products with the reference's slopes", () => {
    onNetworks(dtype, (drawn) => {
      const { net, x, random, outputs } = drawn;
      const [byParameters, byInputs] = [slopes(drawn, "parameters"), slopes(drawn, "inputs")];
      const dTheta = numbers(random, net.parameterCount, dtype);
      const dx = outputs.map(() => numbers(random, net.graph.input.size, dtype));
      const inputs = array(dx.flat(), { shape: x.shape });
      const ofParameters = byParameters.flatMap((example) => example.map((row) => dot(row, dTheta)));
      const ofInputs = byInputs.flatMap((example, b) => example.map((row) => dot(row, dx[b])));
      expectClose(jvp(net, x, dTheta), ofParameters);
      expectClose(jvp(net, x, { parameters: dTheta }), ofParameters);
      expectClose(jvp(net, x, { inputs }), ofInputs);
      expectClose(
        jvp(net, x, { parameters: dTheta, inputs }),
        ofParameters.map((value, i) => value + ofInputs[i]),
      );

      const columns = outputs.map((example) => numbers(random, example.length, dtype));
      const cotangent = array(columns.flat(), { shape: [outputs.length, ...net.outputShape] });
      const pulled = (rows: number[][][]) =>
        rows.map((example, b) => total(example.map((row, c) => row.map((slope) => slope * columns[b][c]))));
      expectClose(vjp(net, x, cotangent), total(pulled(byParameters)));
      expectClose(vjp(net, x, cotangent, { withRespectTo: "inputs" }), pulled(byInputs).flat());
    });
  });
});

/** Whether values are the slopes that differences of a function say, as well as these are known: by how much two steps differ. */
function expectSlopes(
  found: ArrayLike<number>,
  f: (x: readonly number[]) => ArrayLike<number>,
  at: readonly number[],
  absolute = 1e-6,
) {
  const [slopes, others] = [5e-4, 3.5e-4].map((step) => finiteDifferences(f, at, step).flat());
  expect(found.length).toBe(slopes.length);
  slopes.forEach((slope, i) => {
    // Of second order alone the longer step errs by 1.96 times what the two differ by; higher orders add to it.
    const known = absolute + 1e-6 * Math.abs(slope) + 4 * Math.abs(slope - others[i]);
    expect(Math.abs(found[i] - slope), `element ${i}: ${found[i]}, expected ${slope}`).toBeLessThanOrEqual(known);
  });
}

test("finite differences of the outputs agree with the Jacobian on smooth networks", () => {
  fc.assert(
    fc.property(fc.gen(), (draw) => {
      const { net, x } = drawCase(draw, { smooth: true });
      const one = x.sub(0).reshape(1, ...net.inputShape);
      expectSlopes(jacobian(net, one).data, (theta) => net.clone([...theta]).forward(one).data, [
        ...net.parameters.data,
      ]);
      const byInputs = (values: readonly number[]) => net.forward(array([...values], { shape: one.shape })).data;
      expectSlopes(jacobian(net, one, { withRespectTo: "inputs" }).data, byInputs, [...one.data]);
    }),
  );
});

test("finite differences of the losses agree with the gradient on smooth networks", () => {
  fc.assert(
    fc.property(fc.gen(), (draw) => {
      const { net, loss, x, y } = drawCase(draw, { smooth: true });
      const value = (theta: readonly number[]) => [loss.loss(net.clone([...theta]).forward(x), y)];
      // Differences of a sum lose digits of its largest terms.
      expectSlopes(gradient(net, loss.loss, { x, y }).data, value, [...net.parameters.data], 1e-5);
    }),
  );
});
