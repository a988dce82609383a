// What goes over a connection besides calls and results: progress, aborting, errors, memory, and the ends of handles.

import { afterAll, describe, expect, test } from "vitest";
import { applyPrimitive, definePrimitive, elementwiseRules } from "../../src/graph.ts";
import {
  adam,
  array,
  chain,
  connect,
  DataLoader,
  dense,
  FileError,
  kernelArray,
  LaplaceError,
  laplace,
  MemoryBudgetError,
  mse,
  NDArray,
  NonFiniteLossError,
  NotPositiveDefiniteError,
  OptionError,
  PlatformError,
  randomNormal,
  ShapeError,
  savePosterior,
  tanh,
  ValueError,
  WeightsError,
} from "../../src/index.ts";
import { errorMessage, errorOf } from "../../src/remote/errors.ts";
import { pair } from "./pair.ts";

const remote = await pair();
afterAll(() => remote.close());
const data = { x: randomNormal([40, 1], { seed: 1 }), y: randomNormal([40, 1], { seed: 2 }) };
const net = chain({ inputs: 1, seed: 1, dtype: "float64" }, dense(3, tanh), dense(1));
const options = { likelihood: "regression", checks: false } as const;
const fitted = async () => remote.laplace(await remote.send(net), options).fit(data);
const anyOf = (value: unknown) => value as never;

describe("progress and aborting", () => {
  test("an abort is heard in the midst, and its reason is the page's own", async () => {
    const there = await remote.send(net);
    const [controller, reason] = [new AbortController(), { own: "reason" }];
    let epochs = 0;
    const long = remote.train(there, data, {
      loss: mse,
      epochs: 1e9,
      signal: controller.signal,
      onProgress: () => {
        if (++epochs === 3) controller.abort(reason);
      },
    });
    await expect(long).rejects.toBe(reason);
    // It is not being trained any more, and keeps what it has learned.
    expect((await remote.receive(there)).parameters).not.toEqual(net.parameters);
    expect((await remote.train(there, data, { loss: mse, epochs: 1 })).steps).toBe(2);
  });

  test("what is aborted before it begins is not begun", async () => {
    const there = await remote.send(net);
    const call = remote.train(there, data, { loss: mse, signal: AbortSignal.abort("at once") });
    await expect(call).rejects.toBe("at once");
    expect((await remote.receive(there)).parameters).toEqual(net.parameters);
  });

  test("an abort that comes with the result rejects", async () => {
    const controller = new AbortController();
    const fit = remote.laplace(await remote.send(net), options).fit(data, {
      signal: controller.signal,
      onProgress: ({ examples }) => {
        if (examples === 40) controller.abort("late");
      },
    });
    await expect(fit).rejects.toBe("late");
  });

  test("an error of onProgress is the call's", async () => {
    const there = await remote.send(net);
    const error = new RangeError("mine");
    const onProgress = () => {
      throw error;
    };
    await expect(remote.train(there, data, { loss: mse, epochs: 1e9, onProgress })).rejects.toBe(error);
    await expect(remote.laplace(there, options).fit(data, { onProgress })).rejects.toBe(error);
  });

  test("warnings come to the page", async () => {
    const warnings: string[] = [];
    const onWarning = (text: string) => warnings.push(text);
    await remote.laplace(await remote.send(net), { likelihood: "regression", onWarning }).fit(data);
    expect(warnings).toEqual([expect.stringContaining("train longer")]);
  });

  test("calls take turns: others are answered while a network is trained", async () => {
    const there = await remote.send(net);
    const controller = new AbortController();
    const training = remote.train(there, data, { loss: mse, epochs: 1e9, signal: controller.signal });
    await expect(remote.laplace(there, options).fit(data)).rejects.toThrow("still being trained");
    expect((await there.forward([[0.5]])).shape).toEqual([1, 1]);
    controller.abort();
    await expect(training).rejects.toThrow(expect.objectContaining({ name: "AbortError" }));
  });
});

describe("errors", () => {
  const errors = [
    new LaplaceError("a"),
    new ShapeError("b"),
    new ValueError("c"),
    new OptionError("d"),
    new PlatformError("e"),
    new MemoryBudgetError("f", 5, 4),
    new NotPositiveDefiniteError(3, -0.5),
    new NonFiniteLossError("g", 2, 7),
    new FileError("newer", "h", { cause: new ShapeError("within", { cause: new TypeError("deep") }) }),
    new WeightsError("i", ["a"], ["b"], [{ name: "c", expected: [1], found: [2, 3] }]),
    new RangeError("j"),
    new Error("k"),
    new DOMException("l", "AbortError"),
  ];
  test.each(errors.map((error) => [error.name, error] as const))(
    "%s comes with its class and its fields",
    (_, error) => {
      const found = errorOf(structuredClone(errorMessage(error)));
      const fields = ({ cause: _, ...rest }: object & { cause?: unknown }) => rest;
      expect(fields(found)).toEqual(fields(error));
      expect(found.constructor).toBe(error.constructor);
      expect(String(found)).toBe(String(error));
      expect(Object.prototype.toString.call(found)).toBe(Object.prototype.toString.call(error));
      if (!(error instanceof DOMException)) expect(found.stack).toBe(error.stack);
      for (
        let [a, b] = [found.cause, error.cause] as Error[];
        b !== undefined;
        a = a.cause as Error, b = b.cause as Error
      ) {
        expect([a.constructor, a.message]).toEqual([b.constructor, b.message]);
      }
    },
  );

  test("those of calls are those of the page", async () => {
    const posterior = await fitted();
    const here = await laplace(net, options).fit(data);
    const tried: [() => Promise<unknown>, () => unknown][] = [
      [() => posterior.predict([[1, 2]]), () => here.predict([[1, 2]])],
      [() => posterior.predict([[1]], anyOf({ sampels: 1 })), () => here.predict([[1]], anyOf({ sampels: 1 }))],
      [() => posterior.sample(1e9), () => here.sample(1e9)],
      [() => remote.train(anyOf("net"), data, { loss: mse }), () => remote.train(anyOf("net"), data, { loss: mse })],
    ];
    for (const [there, due] of tried) {
      const error = await (async () => due())().catch((one: unknown) => one);
      expect(error).toBeInstanceOf(LaplaceError);
      const found = await there().catch((one: unknown) => one);
      expect(found).toEqual(error);
      expect((found as Error).constructor).toBe((error as Error).constructor);
    }
  });
});

describe("memory", () => {
  const plain = [0.5, 1, 1.5];
  const rows = (data: Float64Array) => new NDArray(data, [3, 1]);

  test("arrays are copied, or given with the option transfer", async () => {
    const posterior = await fitted();
    const due = await posterior.predict(plain.map((one) => [one]));
    const kept = rows(Float64Array.from(plain));
    expect(await posterior.predict(kept)).toEqual(due);
    expect(await posterior.predict(kept, { transfer: false })).toEqual(due);
    expect(kept.data.length).toBe(3);
    expect(await posterior.predict(kept, { transfer: true })).toEqual(due);
    expect(kept.data.length).toBe(0);
    await expect(posterior.predict(kept)).rejects.toThrow("Transfer a copy (slice()) instead.");
    await expect(posterior.predict(rows(Float64Array.from(plain)), { transfer: true, samples: 0 })).rejects.toThrow(
      "samples",
    );
  });

  test("of a part of an array the part goes; arrays of options stay", async () => {
    const posterior = await fitted();
    const whole = new Float64Array([9, ...plain, 9]);
    const due = await posterior.predict(plain.map((one) => [one]));
    expect(await posterior.predict(rows(whole.subarray(1, 4)), { transfer: true })).toEqual(due);
    expect(whole.length).toBe(5);
    const priorPrecision = Float64Array.of(2);
    const own = { x: data.x.clone(), y: data.y.clone() };
    const of = remote.laplace(await remote.send(net), { ...options, priorPrecision });
    const again = await of.fit(own, { transfer: true });
    expect([own.x.data.length, own.y.data.length, priorPrecision.length]).toEqual([0, 0, 1]);
    expect(again.priorPrecision).toEqual(array([2]));
    expect(Float64Array.from(again.priorPrecision.data)).toEqual(priorPrecision);
  });

  // Not where memory moves: there is none then.
  test.skipIf(typeof SharedArrayBuffer === "undefined")(
    "shared memory is shared, and arrays in the kernels' memory are copied",
    async () => {
      const posterior = await fitted();
      const due = await posterior.predict(plain.map((one) => [one]));
      const shared = new Float64Array(new SharedArrayBuffer(40), 8, 3);
      shared.set(plain);
      expect(await posterior.predict(rows(shared), { transfer: true })).toEqual(due);
      expect(Array.from(shared)).toEqual(plain);
      const there = kernelArray([3, 1]);
      there.data.set(plain);
      expect(await posterior.predict(there, { transfer: true })).toEqual(due);
      expect(Array.from(there.data)).toEqual(plain);
      there.free();
      await expect(posterior.predict(there)).rejects.toThrow(LaplaceError);
    },
  );

  test("bytes of files are copied, or given", async () => {
    const bytes = savePosterior(await laplace(net, options).fit(data));
    const first = await remote.loadPosterior(bytes);
    expect(bytes.length).toBeGreaterThan(0);
    expect(await remote.savePosterior(first)).toEqual(bytes);
    expect((await remote.loadPosterior(bytes.buffer)).size).toBe(first.size);
  });
});

describe("handles", () => {
  test("what was disposed of is not called any more; what uses it meanwhile goes on", async () => {
    const posterior = await fitted();
    const before = posterior.predict([[1]]);
    posterior.dispose();
    posterior.dispose();
    expect((await before).mean.shape).toEqual([1, 1]);
    await expect(posterior.predict([[1]])).rejects.toThrow("predict: the posterior was disposed of.");
    await expect(remote.savePosterior(posterior)).rejects.toThrow("savePosterior: the posterior was disposed of.");
    expect(String(posterior)).toBe("A posterior (full, 10 weights) that a worker keeps, disposed of");
  });

  test("of one worker are refused by another, and by clones", async () => {
    const other = await pair();
    const posterior = await fitted();
    await expect(other.savePosterior(posterior)).rejects.toThrow("savePosterior: the posterior is on another worker.");
    await expect(other.receive(await remote.send(net))).rejects.toThrow("on another worker");
    other.close();
    expect(() => structuredClone(posterior)).toThrow("remote.receive(…)");
    expect(() => JSON.stringify(posterior)).toThrow("remote.receive(…)");
  });

  test("dispose at the end of a block, where the runtime knows it", async () => {
    const { dispose } = Symbol as unknown as { dispose?: symbol };
    if (dispose === undefined) return;
    const posterior = await fitted();
    (posterior as unknown as Record<symbol, () => void>)[dispose]();
    await expect(posterior.variance()).rejects.toThrow("was disposed of");
    const other = await pair();
    (other as unknown as Record<symbol, () => void>)[dispose]();
    await expect(other.send(net)).rejects.toThrow("the connection was closed");
  });
});

describe("what cannot go over says so", () => {
  test("networks, posteriors and other objects of the page", async () => {
    const here = await laplace(net, options).fit(data);
    await expect(remote.train(anyOf(net), data, { loss: mse })).rejects.toThrow(
      "train: the network is one of this thread. Send it first: const net = await remote.send(network).",
    );
    await expect(remote.evaluate(anyOf(here), data)).rejects.toThrow("remote.loadPosterior(savePosterior(posterior))");
    await expect(remote.send(anyOf(here))).rejects.toThrow("send: the network must be one");
    await expect(remote.receive(anyOf(net))).rejects.toThrow("receive: expected a network that a worker keeps");
    await expect(remote.train(await remote.send(net), new DataLoader(data), { loss: mse })).rejects.toThrow(
      "Give its data (loader.data)",
    );
  });

  test("functions of one's own: optimisers, losses, options", async () => {
    const there = await remote.send(net);
    const { options: _, ...optimizer } = adam();
    const definitions = 'the file of the worker, which imports "laplace-ts/worker", defines it too.';
    await expect(remote.train(there, data, { loss: mse, optimizer })).rejects.toThrow(definitions);
    await expect(remote.train(there, data, anyOf({ loss: () => 1 }))).rejects.toThrow(definitions);
    await expect(remote.train(there, data, { loss: mse, schedule: () => 1 })).rejects.toThrow("schedule is a function");
    await expect(remote.train(there, data, anyOf({ loss: mse, seed: () => 1 }))).rejects.toThrow(
      "train: seed is a function",
    );
    await expect(remote.train(there, data, anyOf({ loss: mse, seed: Symbol("s") }))).rejects.toThrow(LaplaceError);
    await expect(remote.train(there, data, anyOf({ loss: mse, seed: new Map() }))).rejects.toThrow(ValueError);
  });

  test("a primitive without a name in files; with one it goes", async () => {
    const square = definePrimitive({
      name: "test.remoteSquare",
      ...elementwiseRules({ value: (v) => v * v, slope: (v) => 2 * v }),
    });
    const own = chain({ inputs: 1, seed: 1 }, dense(2), (v) => applyPrimitive(square, [v], undefined), dense(1));
    const there = await remote.send(own);
    expect(await there.forward([[0.5]])).toEqual(own.forward([[0.5]]));
  });
});

test("connect refuses what is not a worker, and unknown options", async () => {
  for (const given of [undefined, null, {}, "worker", () => 1]) {
    await expect(connect(anyOf(given))).rejects.toThrow("connect: expected a worker, such as new Worker(new URL(");
  }
  const { port1 } = new MessageChannel();
  await expect(connect(anyOf(port1), anyOf({ sginal: 1 }))).rejects.toThrow(OptionError);
  await expect(connect(anyOf(port1), { threads: 0 })).rejects.toThrow("connect: threads must be");
  await expect(connect(anyOf(port1), anyOf({ signal: 1 }))).rejects.toThrow("such as AbortSignal.timeout(10_000)");
  // Nobody serves at the other end.
  await expect(connect(anyOf(port1), { signal: AbortSignal.abort("waited long enough") })).rejects.toBe(
    "waited long enough",
  );
  const controller = new AbortController();
  const waiting = connect(anyOf(port1), { signal: controller.signal });
  controller.abort("given up");
  await expect(waiting).rejects.toBe("given up");
  port1.close();
});

test("another version of the library is refused", async () => {
  const { port1, port2 } = new MessageChannel();
  port2.addEventListener("message", ({ data }) => (data as { port: MessagePort }).port.postMessage({ ready: "0.0.1" }));
  port2.start();
  await expect(connect(anyOf(port1))).rejects.toThrow(/^connect: the worker runs laplace-ts 0\.0\.1, and this is \d/);
  port1.close();
});
