// The documentation's table of support is true: what it says is there is right, what is not is refused by name, and every
// layer and function of networks is in it.

import { readFileSync } from "node:fs";
import { describe, expect, test, vi } from "vitest";
import { type CurvatureOptions, curvatureOf, gaussian, LaplaceError, solver } from "../../src/index.ts";
import { checkCurvature, checkDerivatives, checkPredictions } from "../reference/check.ts";
import { supportCases } from "./cases.ts";
import { operations, subjectOfCase, supportOf } from "./operations.ts";

/** Names that the package exports from the layers' modules, without types. */
const exported = [
  ...readFileSync("src/index.ts", "utf8").matchAll(/export \{([^}]*)\} from "\.\/network\/layers(?:\/\w+)?\.ts"/g),
].flatMap(([, names]) => (names.match(/(?:type )?\w+/g) ?? []).filter((name) => !name.startsWith("type ")));

/** The exported layers that were called. */
const called = vi.hoisted(() => new Set<string>());

vi.mock("../../src/index.ts", async (original) => {
  const library = await original<Record<string, unknown>>();
  const watched = Object.entries(library).map(([name, value]) => {
    if (typeof value !== "function" || !/^[a-z]/.test(name)) return [name, value];
    const watch = (...values: unknown[]) => {
      called.add(name);
      return value(...values);
    };
    return [name, Object.assign(watch, value)];
  });
  return Object.fromEntries(watched);
});

test("every layer and function that networks are made of has a row", () => {
  expect(exported.length).toBeGreaterThan(50);
  const shown = new Set(supportCases.flatMap(({ layers }) => layers));
  // A table in two roles has no Kronecker factors; what it has, test/network/tied.test.ts shows.
  expect([...shown, "tied"].sort()).toEqual(exported.toSorted());
});

test("rows have names of their own", () => {
  const names = supportCases.map(({ layers, options }) => `${layers[0]} ${options}`);
  expect(names.length).toBe(new Set(names).size);
});

describe.each(supportCases.map((one) => [`${one.layers[0]} ${one.options}`.trim(), one] as const))("%s", (_, one) => {
  called.clear();
  const subject = subjectOfCase(one);
  const made = new Set(called);

  test("is made with the layers that it shows", () => {
    for (const name of one.layers) expect([...made]).toContain(name);
  });

  test("has what the table says; what is missing is refused by the layer's name", async () => {
    const found = await supportOf(subject);
    const gaps = operations.filter((_, i) => found[i] !== true).map(({ name }) => name);
    expect(gaps).toEqual(one.missing ?? []);
    for (const error of found) {
      if (error === true) continue;
      expect(error).toBeInstanceOf(LaplaceError);
      expect(error.message).toMatch(new RegExp(`\\b(${one.layers.join("|")})\\b`));
    }
  });

  // What these do not check of a case, derivatives by tokens, the table must not have.
  test("derivatives are the reference's", () => {
    if (subject.tokens) expect(one.missing).toContain("with respect to inputs");
    checkDerivatives(subject);
  });

  test("curvature is the reference's", () => checkCurvature(subject));

  test("low rank at full rank, functions at all inputs and products are the whole matrix", () => {
    const { net, x, y, theta } = subject;
    const of = (options: CurvatureOptions) => curvatureOf(net, gaussian(), { x, y }, options).times(theta).data;
    const due = of({ structure: "full" });
    const size = Math.max(...due.map(Math.abs));
    for (const options of [
      { structure: "lowRank", rank: net.parameterCount },
      { structure: "functional", points: x },
      { structure: "operator", solver: solver() },
    ] as const) {
      expect(of(options)).toBeAllClose(due, { relative: 0, absolute: 1e-8 * size });
    }
  });

  test("predictions are those of the reference's curvature", () => checkPredictions(subject));
});
