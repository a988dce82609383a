import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { array, type DType, einsum, type NDArray, Random, ShapeError, zeros } from "../../src/index.ts";
import { memoryUse } from "../../src/kernels/memory.ts";
import { epsilon } from "../reference/arrays.ts";
import { einsum as reference } from "../reference/einsum.ts";

const LETTERS = "abcde";
const HIDDEN = "XY"; // the axes that "..." stands for; a term may have the last of them only

interface Case {
  lengths: Record<string, number>;
  terms: { labels: string; text: string; dtype: DType }[];
  output: string;
  subscripts: string;
  seed: number;
}

/** A term's text and its labels: letters, and in some terms an ellipsis somewhere for the last `hidden` axes. */
const term = fc
  .record({
    letters: fc.array(fc.constantFrom(...LETTERS), { maxLength: 4 }),
    ellipsis: fc.option(fc.record({ at: fc.nat(4), hidden: fc.nat(2) }), { freq: 2 }),
    dtype: fc.constantFrom<DType>("float32", "float64"),
  })
  .map(({ letters, ellipsis, dtype }) => {
    const join = (middle: string) => {
      const at = Math.min(ellipsis?.at ?? 0, letters.length);
      return [...letters.slice(0, at), middle, ...letters.slice(at)].join("");
    };
    const hidden = ellipsis === null ? "" : HIDDEN.slice(HIDDEN.length - ellipsis.hidden);
    return { labels: join(hidden), text: join(ellipsis === null ? "" : "..."), hidden, dtype };
  });

const einsumCase: fc.Arbitrary<Case> = fc
  .record({
    sizes: fc.array(fc.constantFrom(0, 1, 1, 2, 2, 3, 3, 4), { minLength: 7, maxLength: 7 }),
    terms: fc.array(term, { minLength: 1, maxLength: 4 }),
    order: fc.shuffledSubarray([...LETTERS]),
    ellipsisAt: fc.nat(6),
    implicit: fc.boolean(),
    seed: fc.nat(1e6),
  })
  .map(({ sizes, terms, order, ellipsisAt, implicit, seed }) => {
    const lengths = Object.fromEntries([...LETTERS, ...HIDDEN].map((label, i) => [label, sizes[i]]));
    const all = terms.flatMap(({ labels }) => [...labels]);
    const hidden = terms.reduce((longest, t) => (t.hidden.length > longest.length ? t.hidden : longest), "");
    const left = terms.map(({ text }) => text).join(",");
    if (implicit) {
      const once = [...LETTERS].filter((label) => all.filter((other) => other === label).length === 1);
      return { lengths, terms, output: hidden + once.join(""), subscripts: left, seed };
    }
    const named = order.filter((label) => all.includes(label));
    const at = Math.min(ellipsisAt, named.length);
    const join = (middle: string) => [...named.slice(0, at), middle, ...named.slice(at)].join("");
    return { lengths, terms, output: join(hidden), subscripts: `${left}->${join(hidden && "...")}`, seed };
  });

/** The operands of a case, filled by `value`. */
function operands({ lengths, terms }: Case, value: () => number): NDArray[] {
  return terms.map(({ labels, dtype }) => {
    const result = zeros(
      [...labels].map((label) => lengths[label]),
      { dtype },
    );
    for (let i = 0; i < result.size; i++) result.data[i] = value();
    return result;
  });
}

function expected({ lengths, terms, output }: Case, arrays: readonly NDArray[]) {
  return reference(
    terms.map(({ labels }, i) => ({ labels, data: arrays[i].data })),
    output,
    lengths,
  );
}

describe("einsum", () => {
  test("agrees exactly with a loop over all labels where every sum is an integer", () => {
    fc.assert(
      fc.property(einsumCase, (c) => {
        const random = new Random(c.seed);
        const arrays = operands(c, () => random.integer(7) - 3);
        const result = einsum(c.subscripts, ...arrays);
        expect(result.shape).toEqual([...c.output].map((label) => c.lengths[label]));
        expect(result.dtype).toBe(arrays.some((a) => a.dtype === "float64") ? "float64" : "float32");
        expect(Array.from(result.data, (x) => x + 0)).toEqual(expected(c, arrays).sums.map((x) => x + 0));
      }),
      { numRuns: 1500 },
    );
  });

  test("is within the rounding of its sums for real numbers", () => {
    fc.assert(
      fc.property(einsumCase, (c) => {
        const random = new Random(c.seed);
        const arrays = operands(c, () => random.normal());
        const result = einsum(c.subscripts, ...arrays);
        const { sums, sizes, count } = expected(c, arrays);
        result.data.forEach((x, i) => {
          const bound = 4 * (count + arrays.length) * epsilon[result.dtype] * sizes[i];
          expect(Math.abs(x - sums[i])).toBeLessThanOrEqual(bound);
        });
      }),
      { numRuns: 300 },
    );
  });

  const m = [
    [1, 2, 3],
    [4, 5, 6],
  ];
  const square = [
    [1, 2],
    [3, 4],
  ];
  test.each<[string, unknown, ...(typeof m | number[] | number)[]]>([
    [
      "ij->ji",
      [
        [1, 4],
        [2, 5],
        [3, 6],
      ],
      m,
    ],
    ["ij->", 21, m],
    ["ij->i", [6, 15], m],
    ["ij->j", [5, 7, 9], m],
    ["ii->", 5, square],
    ["ii->i", [1, 4], square],
    ["ii", 5, square],
    [
      "ba",
      [
        [1, 3],
        [2, 4],
      ],
      square,
    ],
    ["i,i->", 11, [1, 2], [3, 4]],
    ["i,i->i", [3, 8], [1, 2], [3, 4]],
    [
      "i,j->ij",
      [
        [3, 4],
        [6, 8],
      ],
      [1, 2],
      [3, 4],
    ],
    [
      "ij,jk",
      [
        [7, 10],
        [15, 22],
      ],
      square,
      square,
    ],
    [
      "ij , jk -> k i",
      [
        [7, 15],
        [10, 22],
      ],
      square,
      square,
    ],
    ["...j,j->...", [14, 32], m, [1, 2, 3]],
    [",i->i", [5, 10], 5, [1, 2]],
    ["->", 7, 7],
    ["", 7, 7],
    [",,", 24, 2, 3, 4],
    ["i,ij,j->", 17, [1, 2], square, [1, 1]],
    ["Ba,a->B", [5, 11], square, [1, 2]],
  ])("%s", (subscripts, result, ...arrays) => {
    expect(einsum(subscripts, ...arrays).toArray()).toEqual(result);
  });

  test("the same products wherever the output has the batch, to the bit", () => {
    const sizes = fc.tuple(
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 40 }),
    );
    fc.assert(
      fc.property(sizes, fc.constantFrom<DType>("float32", "float64"), fc.nat(1e6), ([m, p, n], dtype, seed) => {
        const random = new Random(seed);
        const numbers = (rows: number) =>
          array(Float64Array.from({ length: rows * n }, () => random.normal()))
            .reshape(rows, n)
            .as(dtype);
        const [x, y] = [numbers(m), numbers(p)];
        const behind = einsum("ib,jb->ijb", x, y);
        expect(behind).toEqual(einsum("bij->ijb", einsum("ib,jb->bij", x, y)));
        expect(einsum("ib,jb->jib", x, y)).toEqual(einsum("ijb->jib", behind));
      }),
    );
  });

  test("gives capital labels their place before small ones in an implicit output", () => {
    const a = array([[1, 2, 3]]);
    expect(einsum("aB", a).shape).toEqual([3, 1]);
  });

  test("sums over axes of size 0 to zeros", () => {
    expect(einsum("ij,jk->ik", zeros([2, 0]), zeros([0, 3])).toArray()).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ]);
    expect(einsum("ij->", zeros([0, 3])).item()).toBe(0);
  });

  test("sums over an ellipsis that the output leaves out", () => {
    expect(einsum("...i->i", m).toArray()).toEqual([5, 7, 9]);
  });

  test("leaves its operands as they were and the kernels' memory released", () => {
    const a = array(m);
    const before = a.clone();
    einsum("ij,kj,il->kl", a, a, a);
    expect(a.data).toEqual(before.data);
    expect(memoryUse().inUse).toBe(0);
    expect(() => einsum("ij,jk->ik", a, a)).toThrow(ShapeError);
    expect(memoryUse().inUse).toBe(0);
  });

  test("writes into the array it is given, which may be an operand", () => {
    const a = array(square);
    expect(einsum("ij,jk->ik", a, a, { out: a })).toBe(a);
    expect(a.toArray()).toEqual([
      [7, 10],
      [15, 22],
    ]);
  });

  test("refuses an out of another shape or type", () => {
    expect(() => einsum("i,i->i", [1, 2], [3, 4], { out: zeros([3]) })).toThrow(/float64 array of shape \[3\].*\[2\]/);
    expect(() => einsum("i,i->i", [1, 2], [3, 4], { out: zeros([2], { dtype: "float32" }) })).toThrow(
      /float32.*float64/,
    );
  });
});

describe("einsum's errors", () => {
  const a = zeros([2, 3]);
  test.each<[string, string, RegExp, NDArray[]]>([
    ["sizes that disagree show the subscripts and both sizes", "ij,jk->ik", /"ij,jk->ik".*"j".*size 3.*size 2/, [a, a]],
    ["a diagonal of two lengths shows both", "ii->i", /"ii->i".*"i".*size 2.*size 3/, [a]],
    ["ellipses that disagree are named by their dots", "...,...->...", /"\.\.\.".*size 3.*size 4/, [a, zeros([2, 4])]],
    ["too few labels", "i->i", /"i" names 1 axes.*\[2, 3\]/, [a]],
    ["too many labels", "ijk->ijk", /"ijk" names 3 axes.*\[2, 3\]/, [a]],
    ["too many labels beside an ellipsis", "ijk...->ijk", /names 3 axes.*\[2, 3\]/, [a]],
    ["a label beside an ellipsis for a number", "i...->...", /names 1 axes.*shape \[\]/, [array(5)]],
    ["an unknown output label", "ij->ik", /"k" is in no operand/, [a]],
    ["a repeated output label", "ij->ii", /"i" twice/, [a]],
    ["a digit", "i1->i", /"1" is not a label/, [a]],
    ["two dots", "i..->i", /"\." is not a label/, [a]],
    ["a letter beyond A to Z", "iß->i", /"ß" is not a label/, [a]],
    ["a bad character in the output", "ij->i*", /"\*" is not a label/, [a]],
    ["fewer operands than terms", "ij,jk->ik", /2 terms for 1 operands/, [a]],
    ["more operands than terms", "ij->ij", /1 terms for 2 operands/, [a, a]],
    ["two arrows", "ij->ji->ij", /more than one "->"/, [a]],
  ])("%s", (_, subscripts, message, arrays) => {
    expect(() => einsum(subscripts, ...arrays)).toThrow(message);
    expect(() => einsum(subscripts, ...arrays)).toThrow(ShapeError);
  });

  test("without operands there is nothing to sum", () => {
    expect(() => einsum("")).toThrow(/1 terms for 0 operands/);
  });
});
