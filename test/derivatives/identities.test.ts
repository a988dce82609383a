// What must hold between the derivatives themselves, in float64.

import fc from "fast-check";
import { expect, test } from "vitest";
import {
  array,
  dense,
  einsum,
  gradient,
  jacobian,
  jvp,
  mse,
  multiply,
  type NDArray,
  network,
  perSampleGradientNorms,
  perSampleGradients,
  Random,
  randomNormal,
  subtract,
  vjp,
} from "../../src/index.ts";
import { type Case, drawCase, near, numbers } from "../reference/draw.ts";

function onNetworks(check: (drawn: Case) => void): void {
  fc.assert(fc.property(fc.gen(), (draw) => check(drawCase(draw))));
}

/** The examples at these positions. */
function rowsAt(values: NDArray, positions: readonly number[]): NDArray {
  const rows = positions.map((i) => [...values.sub(i).data]);
  return array(rows.flat(), { shape: [positions.length, ...values.shape.slice(1)] });
}

test("per-sample gradients sum to the gradient with the reduction sum, and average to it with mean", () => {
  onNetworks(({ net, loss: { loss }, x, y }) => {
    const sum = einsum("bp->p", perSampleGradients(net, loss, { x, y }, { reduction: "sum" }));
    expect(gradient(net, loss, { x, y }, { reduction: "sum" })).toBeAllClose(sum, near(sum.data));
    const mean = einsum("bp->p", perSampleGradients(net, loss, { x, y })).data.map((value) => value / x.shape[0]);
    expect(gradient(net, loss, { x, y }).data).toBeAllClose(mean, near(mean));
  });
});

test("the transposed Jacobian times the loss's gradient at the outputs is the per-sample gradients", () => {
  onNetworks(({ net, loss, x, y, outputs }) => {
    const [batch, size] = [outputs.length, outputs[0].length];
    // The loss as a function of the outputs alone: the network that is its input.
    const identityNet = network({ inputs: net.outputShape, dtype: "float64" }, (f) => f);
    const column = gradient(
      identityNet,
      loss.loss,
      { x: net.forward(x), y },
      { reduction: "sum", withRespectTo: "inputs" },
    );
    const j = jacobian(net, x).reshape(batch, size, net.parameterCount);
    const expected = einsum("bcp,bc->bp", j, column.reshape(batch, size));
    const g = perSampleGradients(net, loss.loss, { x, y }, { reduction: "sum" });
    expect(g).toBeAllClose(expected, near(expected.data));
  });
});

test("jvp and vjp are products with the Jacobian, over the parameters and over the inputs", () => {
  onNetworks(({ net, x, random, outputs }) => {
    const [batch, size] = [outputs.length, outputs[0].length];
    const inputs = net.graph.input.size;
    const shape = [batch, ...net.outputShape];
    const jTheta = jacobian(net, x).reshape(batch, size, net.parameterCount);
    const jInputs = jacobian(net, x, { withRespectTo: "inputs" }).reshape(batch, size, inputs);
    const dTheta = array(numbers(random, net.parameterCount, "float64"));
    const dx = array(numbers(random, batch * inputs, "float64"), { shape: [batch, inputs] });
    const u = array(numbers(random, batch * size, "float64"), { shape: [batch, size] });

    const forwards = einsum("bcp,p->bc", jTheta, dTheta);
    expect(jvp(net, x, dTheta).data).toBeAllClose(forwards.data, near(forwards.data));
    const moved = einsum("bci,bi->bc", jInputs, dx);
    expect(jvp(net, x, { inputs: dx.reshape(...x.shape) }).data).toBeAllClose(moved.data, near(moved.data));
    const back = einsum("bcp,bc->p", jTheta, u);
    expect(vjp(net, x, u.reshape(...shape)).data).toBeAllClose(back.data, near(back.data));
    const backToInputs = einsum("bci,bc->bi", jInputs, u);
    expect(vjp(net, x, u.reshape(...shape), { withRespectTo: "inputs" }).data).toBeAllClose(
      backToInputs.data,
      near(backToInputs.data),
    );
  });
});

test("per-sample norms are the norms of the per-sample gradients", () => {
  onNetworks(({ net, loss: { loss }, x, y }) => {
    const g = perSampleGradients(net, loss, { x, y });
    const squares = einsum("bp,bp->b", g, g);
    const norms = perSampleGradientNorms(net, loss, { x, y });
    expect(norms.data.map((norm) => norm ** 2)).toBeAllClose(squares.data, near(squares.data, "float64", 10));
  });
});

test("per-sample norms are numbers, not NaN, where the uses of a shared layer cancel", () => {
  for (let seed = 0; seed < 50; seed++) {
    // W (0.3 x) − W (0.1 x) − W (0.2 x) is 0 whatever W is, up to rounding.
    const net = network({ inputs: 3, dtype: "float64", seed }, (x) => {
      const shared = dense(4, undefined, { bias: false });
      const of = (factor: number) => shared(multiply(x, factor));
      return subtract(subtract(of(0.3), of(0.1)), of(0.2));
    });
    const random = new Random(seed);
    const x = array(numbers(random, 6, "float64"), { shape: [2, 3] });
    const y = array(numbers(random, 8, "float64"), { shape: [2, 4] });
    const g = perSampleGradients(net, mse, { x, y });
    const norms = perSampleGradientNorms(net, mse, { x, y });
    for (let b = 0; b < 2; b++) expect(norms.data[b]).toBeCloseTo(Math.hypot(...g.sub(b).data), 6);
  }
});

test("a batch gives what its examples give one at a time, in any order", () => {
  onNetworks(({ net, loss: { loss }, x, y, random }) => {
    const order = [...random.permutation(x.shape[0])];
    const [shuffledX, shuffledY] = [rowsAt(x, order), rowsAt(y, order)];
    const results: [NDArray, NDArray, (x: NDArray, y: NDArray) => NDArray][] = (
      [
        (x) => net.forward(x),
        (x) => jacobian(net, x),
        (x) => jacobian(net, x, { withRespectTo: "inputs" }),
        (x, y) => perSampleGradients(net, loss, { x, y }),
        (x, y) => perSampleGradientNorms(net, loss, { x, y }),
        (x, y) => gradient(net, loss, { x, y }, { reduction: "sum", withRespectTo: "inputs" }),
      ] as ((x: NDArray, y: NDArray) => NDArray)[]
    ).map((f) => [f(x, y), f(shuffledX, shuffledY), f]);
    for (const [inOrder, shuffled, f] of results) {
      expect(shuffled).toBeAllClose(rowsAt(inOrder, order), near(inOrder.data));
      order.forEach((_, i) => {
        const one = f(rowsAt(x, [i]), rowsAt(y, [i]));
        expect(one).toBeAllClose(rowsAt(inOrder, [i]), near(inOrder.data));
      });
    }
    const whole = gradient(net, loss, { x, y });
    expect(gradient(net, loss, { x: shuffledX, y: shuffledY })).toBeAllClose(whole, near(whole.data));
  });
});

test("a result written into the caller's array is the result", () => {
  const net = network({ inputs: 2, dtype: "float64" }, (x) => dense(3)(x));
  const x = randomNormal([4, 2], { seed: 1 });
  const y = randomNormal([4, 3], { seed: 2 });
  const calls = [
    (out?: NDArray) => jacobian(net, x, { ...(out && { out }) }),
    (out?: NDArray) => jacobian(net, x, { withRespectTo: "inputs", ...(out && { out }) }),
    (out?: NDArray) => gradient(net, mse, { x, y }, { ...(out && { out }) }),
    (out?: NDArray) => perSampleGradients(net, mse, { x, y }, { ...(out && { out }) }),
  ];
  for (const call of calls) {
    const fresh = call();
    const out = array(fresh);
    out.data.fill(Number.NaN);
    expect(call(out)).toBe(out);
    expect(out.data).toEqual(fresh.data);
  }
});
