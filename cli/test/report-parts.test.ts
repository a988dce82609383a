import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { temperatureText, threeDigits } from "../src/model/noise.ts";
import type { Finding } from "../src/model/report-data.ts";
import { judgementLines, metricLines } from "../src/output/summary.ts";
import { logAxis } from "../src/report/chart.ts";
import { html, name, short } from "../src/report/html.ts";
import { count, number, percent, powerOfTen, tickLabel, toPrecisionOf } from "../src/report/numbers.ts";
import { extent, histogram, median, spread, thin } from "../src/report/points.ts";
import { style } from "../src/report/style.ts";

const finite = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 });

describe("numbers for people", () => {
  test("prices have no exponents, in the summary and in the noise", () => {
    expect([22_800, 94_949, 1e6, 999.6, 1.3, 0.25].map(threeDigits)).toEqual([
      "22800",
      "94900",
      "1000000",
      "1000",
      "1.30",
      "0.250",
    ]);
    const metrics = { negativeLogLikelihood: 12.18, rootMeanSquaredError: 56_900 };
    const lines = metricLines("regression", metrics, { ...metrics, rootMeanSquaredError: 105_205 });
    const exact = metricLines(
      "classification",
      { expectedCalibrationError: 0.02685 },
      { expectedCalibrationError: 5.55e-16 },
    );
    expect(exact.at(-1)).toMatch(/ 0.02685 +0$/);
    expect(lines.find((line) => line.includes("RMSE"))).toMatch(/ 56900 +105200$/);
  });

  test("large numbers have no exponents anywhere, and a temperature says what it does", () => {
    expect([1.05e5, 2.5e12, 86, 0.00012].map(threeDigits)).toEqual(["105000", "2500000000000", "86.0", "0.000120"]);
    const [, first] = metricLines("regression", { crps: 2.345678e12 }, { crps: 1e10 });
    expect(first).toMatch(/ 2346000000000 10000000000$/);
    const findings: Finding[] = [];
    const better = judgementLines(
      "regression",
      { metrics: { negativeLogLikelihood: 1 }, baseline: { negativeLogLikelihood: 123_456 } },
      findings,
      "",
    );
    expect(better.at(-1)).toContain("by 123000 nats");
    expect(temperatureText(1)).toBeUndefined();
    expect(temperatureText(0.5)).toBe(
      "0.500: the weights' variance is multiplied by it, since rows that were not seen are more probable so",
    );
    expect(temperatureText(0.001)).toMatch(/^0\.00100: .*; what is left of it still grows away from the data$/);
  });

  test.each([
    [0, "0"],
    [1537, "1,537"],
    [0.288123, "0.2881"],
    [-12.5, "−12.5"],
    [1234567.8, "1,234,568"],
    [2.1e-7, "2.10 × 10⁻⁷"],
    [-3e12, "−3.00 × 10¹²"],
    [Number.NaN, "—"],
    [undefined, "—"],
    [Number.NEGATIVE_INFINITY, "−∞"],
  ])("%s is %s", (value, text) => expect(number(value)).toBe(text));

  test.each([
    [0, "0 %"],
    [0.004, "0.4 %"],
    [0.906, "91 %"],
    [1, "100 %"],
    [Number.NaN, "—"],
  ])("the share %s is %s", (value, text) => expect(percent(value)).toBe(text.replace(" ", "\u00a0")));

  test("a count has its noun", () => {
    expect([0, 1, 1204].map((n) => count(n, "row"))).toEqual(["0 rows", "1 row", "1,204 rows"]);
    expect(powerOfTen(-12)).toBe("10⁻¹²");
  });

  test("an uncertainty decides the decimals", () => {
    expect(toPrecisionOf(53.12, 151.234, 53.12)).toEqual(["151", "53"]);
    expect(toPrecisionOf(0.0123, 1.23456, 0.0123)).toEqual(["1.235", "0.012"]);
    expect(toPrecisionOf(0, 1.5)).toEqual(["1.5"]);
    expect(toPrecisionOf(1, Number.NaN)).toEqual(["—"]);
  });

  test("ticks of an axis are told apart", () => {
    fc.assert(
      fc.property(finite, fc.double({ min: 1e-6, max: 1e6, noNaN: true }), (low, share) => {
        const high = low + share * Math.max(1, Math.abs(low)) + 1e-3;
        const label = tickLabel(low, high);
        const texts = [0, 0.25, 0.5, 0.75, 1].map((at) => label(low + at * (high - low)));
        expect(new Set(texts).size).toBe(5);
      }),
    );
  });

  test("a logarithmic axis has some ticks within its ends, whatever these are", () => {
    fc.assert(
      fc.property(
        fc.double({ min: -12, max: 12, noNaN: true }),
        fc.double({ min: 1, max: 20, noNaN: true }),
        (from, decades) => {
          const [low, high] = [10 ** from, 10 ** (from + decades)];
          const { ticks } = logAxis(low, high, "x");
          expect(ticks.length).toBeGreaterThan(0);
          expect(ticks.length).toBeLessThanOrEqual(14);
          for (const tick of ticks) expect(tick >= low && tick <= high).toBe(true);
        },
      ),
    );
  });
});

describe("points", () => {
  test("thinning keeps the ends and the order, and nothing twice", () => {
    fc.assert(
      fc.property(fc.nat(500), fc.integer({ min: 2, max: 50 }), (n, limit) => {
        const items = Array.from({ length: n }, (_, i) => i);
        const kept = thin(items, limit);
        expect(kept.length).toBe(Math.min(n, limit));
        expect(new Set(kept).size).toBe(kept.length);
        expect(kept).toEqual(kept.toSorted((a, b) => a - b));
        if (n > 0) expect([kept[0], kept.at(-1)]).toEqual([0, n - 1]);
      }),
    );
  });

  test("a histogram counts as looking at every bin for every value does", () => {
    fc.assert(
      fc.property(fc.array(finite, { maxLength: 40 }), fc.integer({ min: 1, max: 9 }), (values, bins) => {
        const [low, high] = extent(values);
        const found = histogram(values, [low, high], bins, [() => 1, (i) => i]);
        const place = (value: number) => Math.min(bins - 1, Math.floor((value - low) / ((high - low) / bins)));
        found.forEach((bin, k) => {
          const members = values.map((_, i) => i).filter((i) => place(values[i]) === k);
          expect(bin.sums).toEqual([members.length, members.reduce((sum, i) => sum + i, 0)]);
        });
        expect(found[0].from).toBe(low);
        expect(found[bins - 1].to).toBeCloseTo(high, 6);
      }),
    );
  });

  test("values outside a histogram go into its ends, those that are not numbers nowhere", () => {
    const bins = histogram([-9, 0.1, 0.9, 9, Number.NaN], [0, 1], 2);
    expect(bins.map(({ sums }) => sums)).toEqual([[2], [2]]);
  });

  test("an extent of numbers next to 0 has bins of some width", () => {
    const [low, high] = extent([0, -5e-324]);
    expect([low, high]).toEqual([-1, 1]);
    expect(histogram([0, -5e-324], [low, high], 2).map(({ sums }) => sums[0])).toEqual([0, 2]);
  });

  test("an extent holds all values and is never empty", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(finite, fc.constant(Number.NaN))), (values) => {
        const [low, high] = extent(values);
        expect(low).toBeLessThan(high);
        for (const value of values) if (!Number.isNaN(value)) expect(value >= low && value <= high).toBe(true);
      }),
    );
  });

  test("the median of odd, even and no numbers", () => {
    expect([median([3, 1, 2]), median([4, 1, 2, 3]), median([])]).toEqual([2, 2.5, Number.NaN]);
  });

  test.each([0, 1] as const)("spread fills its interval evenly (dimension %i)", (dimension) => {
    const values = Array.from({ length: 100 }, (_, i) => spread(i, dimension));
    for (const { sums } of histogram(values, [-0.5, 0.5], 10)) expect(Math.abs(sums[0] - 10)).toBeLessThanOrEqual(2);
  });
});

describe("text in HTML", () => {
  test("values are escaped, pieces of HTML are not", () => {
    const piece = html`<b>${"<&>\"'"}</b>`;
    expect(html`<p title="${'"'}">${[piece, 1, undefined]}</p>`.text).toBe(
      '<p title="&quot;"><b>&lt;&amp;&gt;&quot;&#39;</b>1</p>',
    );
  });

  test("long names are shortened, with the whole in the tooltip; characters are not cut in two", () => {
    expect(short("abcdef", 4)).toBe("abc…");
    expect(short("😀😀😀", 3)).toBe("😀😀😀");
    expect(short("😀😀😀😀", 3)).toBe("😀😀…");
    expect(name("abcdef", 4).text).toBe('<span title="abcdef">abc…</span>');
    expect(name("abc", 4).text).toBe("abc");
  });

  test("a text is shortened to its length at most", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.integer({ min: 1, max: 9 }), (text, length) => {
        const shown = [...short(text, length)];
        expect(shown.length).toBeLessThanOrEqual(length);
        if ([...text].length <= length) expect(shown.length).toBe([...text].length);
      }),
    );
  });
});

describe("colours", () => {
  /** Relative luminance, WCAG 2.2. */
  function luminance(colour: string): number {
    const digits =
      colour.length === 4 ? [...colour.slice(1)].map((digit) => digit + digit) : colour.slice(1).match(/../g);
    const [r, g, b] = (digits ?? []).map((pair) => {
      const value = Number.parseInt(pair, 16) / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }
  const contrast = (a: string, b: string) => {
    const [low, high] = [luminance(a), luminance(b)].toSorted((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const all = [...style.slice(0, style.indexOf("@media print {")).matchAll(/--([\w-]+): (#[0-9a-f]+);/g)].map(
    ([, key, value]) => [key, value] as const,
  );
  const half = all.length / 2;

  test.each([
    ["light", Object.fromEntries(all.slice(0, half))],
    ["dark", Object.fromEntries(all.slice(half))],
  ])("in %s, text can be read (AA: 4.5) and marks can be seen (3)", (_, colours) => {
    const text = {
      paper: "ink soft model alarm fine",
      page: "ink soft model",
      "fine-paper": "ink",
      "careful-paper": "ink careful",
      "serious-paper": "ink careful alarm",
    };
    for (const [ground, inks] of Object.entries(text)) {
      for (const ink of inks.split(" "))
        expect(contrast(colours[ink], colours[ground]), `${ink} on ${ground}`).toBeGreaterThan(4.5);
    }
    for (const mark of ["model", "alarm", "ink"])
      expect(contrast(colours[mark], colours.band), mark).toBeGreaterThan(3);
    expect(contrast(colours.quiet, colours.paper)).toBeGreaterThan(3);
  });
});
