import {
  chain,
  dense,
  embedding,
  flatten,
  laplace,
  lastPosition,
  loadPosterior,
  mse,
  multiHeadAttention,
  paddingMask,
  perSampleGradients,
  savePosterior,
  type Traced,
  tanh,
  zeros,
} from "laplace-ts";
import { applyPrimitive, definePrimitive, elementwiseRules, primitives } from "laplace-ts/graph";
import { fromOnnx, ModelError, toOnnx } from "laplace-ts-models";
import { describe, expect, test } from "vitest";
import { supportCases } from "../../test/support/cases.ts";
import { subjectOfCase } from "../../test/support/operations.ts";
import { build, close, f64, inputsOf, networks, shaken } from "./networks.ts";

describe("what toOnnx writes", () => {
  test.each(Object.entries(networks))("%s comes back with the same outputs and gradients", (_, net) => {
    const { network: back, report } = fromOnnx(toOnnx(net));
    expect(back.dtype).toBe(f64);
    const x = inputsOf(net);
    // ε of norms and slopes are float32 in a file.
    const tolerance = { relative: 1e-6, absolute: 1e-7 };
    close(back.forward(x), net.forward(x), tolerance);
    const y = zeros([3, ...net.outputShape]);
    const gradients = back.named(perSampleGradients(back, mse, { x, y }));
    const expected = net.named(perSampleGradients(net, mse, { x, y }));
    for (const { array: name, parameter } of report.parameters) {
      if (net.parameterTable.some((one) => one.name === name)) close(gradients[parameter], expected[name], tolerance);
    }
    expect(report.parameters.length).toBeGreaterThan(0);
    expect(report.producer).toBe("laplace-ts");
  });

  test("tokens are looked up in a table", () => {
    const net = shaken(chain({ inputs: 3, dtype: f64 }, embedding(7, 4), flatten, dense(2)));
    const x = [
      [0, 3, 6],
      [1, 1, 2],
    ];
    close(fromOnnx(toOnnx(net)).network.forward(x), net.forward(x));
  });

  test("a posterior of a network that was read is written and loaded", async () => {
    const { network: net } = fromOnnx(toOnnx(build(2, dense(4, tanh), dense(1))));
    const x = inputsOf(net, 8);
    const posterior = await laplace(net, { likelihood: "regression" }).fit({ x, y: zeros([8, 1]) });
    const again = loadPosterior(savePosterior(posterior));
    close(again.predict(x).mean, posterior.predict(x).mean);
  });
});

// Made of the library's sources, which know their layers' cases; a file has no classes.
describe("every layer of the table of support", () => {
  const written = new Set<string>();

  test.each(supportCases.map((one) => [`${one.layers[0]} ${one.options}`.trim(), one] as const))("%s", (_, one) => {
    const { net, x } = subjectOfCase(one);
    for (const { primitive } of net.graph.nodes) written.add(primitive.name);
    const back = fromOnnx(toOnnx(net as never), { dtype: f64 }).network;
    // ε of norms and slopes are float32 in a file.
    expect(back.forward(x).data).toBeAllClose(net.forward(x).data, { relative: 1e-6, absolute: 1e-7 });
  });

  test("a table whose padding has no derivative, and masks by which rows see nothing", () => {
    const layers = (causal: boolean) => (tokens: Traced) => {
      const mask = paddingMask(tokens);
      const x = embedding(5, 4, { paddingIndex: 0 })(tokens);
      return lastPosition(multiHeadAttention(2, { causal })(x, mask), mask);
    };
    for (const causal of [true, false]) {
      const net = build(3, layers(causal), dense(2));
      for (const { primitive } of net.graph.nodes) written.add(primitive.name);
      const x = [
        [0, 3, 4],
        [2, 0, 0],
        [0, 0, 0],
        [1, 2, 3],
      ];
      close(fromOnnx(toOnnx(net)).network.forward(x), net.forward(x), { relative: 1e-12, absolute: 1e-14 });
    }
  });

  test("every primitive was written", () => {
    expect([...written].sort()).toEqual(primitives.map(({ name }) => name).sort());
  });

  test("a primitive of somebody's own is refused by its name, with all others", () => {
    const rules = elementwiseRules({ value: (x) => x * x, slope: (x) => 2 * x });
    const [own, other] = ["own", "other"].map((name) =>
      definePrimitive<undefined>({ ...rules, name: `toOnnx ${name}` }),
    );
    const net = build(
      2,
      dense(3),
      (x) => applyPrimitive(own, [x], undefined),
      (x) => applyPrimitive(other, [x], undefined),
    );
    expect(() => toOnnx(net)).toThrow(ModelError);
    expect(() => toOnnx(net)).toThrow(/toOnnx own.*no operator in ONNX.*toOnnx other/);
  });
});
