import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Finding, ReportData } from "../src/model/report-data.ts";
import { classification, regression } from "./report-data.ts";
import { checkTags, pageOf, render, sections } from "./report-page.ts";

const both = [
  ["regression", regression(60)],
  ["classification", classification(60, 3)],
] as const;

describe.each(both)("the report of a %s", (task, data) => {
  const { page, document, text } = render(data);

  test("is a page in English with a title and every section, each listed in the contents", () => {
    expect(page.startsWith('<!doctype html>\n<html lang="en">')).toBe(true);
    expect(document.querySelector("title")?.textContent).toBe(`${data.target} · houses.csv`);
    expect([...document.querySelectorAll("main > section")].map(({ id }) => id)).toEqual(sections);
    const links = [...document.querySelectorAll("nav a")].map((link) => link.getAttribute("href"));
    expect(links).toEqual(sections.map((id) => `#${id}`));
    for (const id of sections) expect(text(`#${id}-title`)).not.toBe("");
  });

  test("asks for nothing from elsewhere, and runs nothing", () => {
    const own = page.replaceAll("http://www.w3.org/2000/svg", "");
    expect(own).not.toMatch(/https?:|\bsrc=|@import|url\(|<script|<link|<iframe|\son\w+=/i);
  });

  test("has a picture with a description and a sentence in every figure", () => {
    const figures = [...document.querySelectorAll("figure")];
    expect(figures.length).toBe(14);
    for (const figure of figures) {
      expect(figure.querySelector("figcaption")?.textContent).toMatch(/[\w)]\.$/);
      expect(figure.querySelector(".chart, table")).not.toBeNull();
    }
    for (const chart of document.querySelectorAll(".chart")) {
      expect(chart.getAttribute("role")).toBe("img");
      expect(chart.getAttribute("aria-label")).toMatch(/\.$/);
      expect(chart.getAttribute("viewBox")).toMatch(/^0 0 480 \d+$/);
    }
  });

  test("draws the portfolio: each candidate with its weight, what was given up, and where the gain comes from", () => {
    const [candidates, evidence, gain] = document.querySelectorAll("#portfolio figure");
    expect(candidates.textContent).toMatch(/1 {2}12 units: 0\.5.*70\s%/s);
    expect(candidates.textContent).toMatch(/3 {2}<features>: 40, beyond the edge.*left out/s);
    expect(candidates.textContent).toContain("12 units in the place of 6 units gain 0.031 ± 0.010 nats per row.");
    expect(candidates.textContent).toContain("or because a fit failed: lost & gone.");
    // A dot each, but of what was given up; each with an evidence in the second picture.
    expect(candidates.querySelectorAll(".chart circle")).toHaveLength(3);
    expect(evidence.querySelectorAll(".chart circle")).toHaveLength(3);
    expect(gain.textContent).toContain("1 to 2 (20)");
    expect(gain.textContent).toContain("curves and interactions (12 units) 0.120 ± 0.030 nats.");
    expect(gain.querySelectorAll(".chart rect")).toHaveLength(3);
    for (const few of [undefined, data.candidates?.slice(0, 1)])
      expect(render({ ...data, candidates: few }).document.querySelector("#portfolio")).toBeNull();
  });

  test("draws every class along an input where there are three or more", () => {
    const found = document.querySelectorAll("#inputs details");
    expect(found).toHaveLength(task === "regression" ? 0 : 3);
    for (const one of found) {
      const labels = [...one.querySelectorAll(".chart")].map((chart) => chart.textContent);
      expect(labels).toHaveLength(3);
      for (const [c, label] of labels.entries()) expect(label).toContain(`probability of class ${c}`);
    }
    const two = render(classification(60, 2)).document;
    expect(two.querySelector("#inputs details")).toBeNull();
  });

  test("has tables with heads that say what they head", () => {
    expect(document.querySelectorAll("table").length).toBe(task === "regression" ? 2 : 3);
    for (const head of document.querySelectorAll("th")) expect(head.getAttribute("scope")).toMatch(/^(row|col)$/);
  });

  test("is the same each time, and changes nothing", () => {
    const before = JSON.stringify(data);
    expect(pageOf(data)).toBe(page);
    expect(JSON.stringify(data)).toBe(before);
  });

  test("says what was looked at when nothing is wrong", () => {
    expect(text("#diagnosis")).toContain("Nothing wrong was found");
    expect(text("#diagnosis").includes("noise")).toBe(task === "regression");
  });

  test("says what is wrong, problems first, with what to do", () => {
    const findings: Finding[] = [
      { severity: "warning", message: "A is odd.", advice: "Change --a." },
      { severity: "problem", message: "B is wrong.", advice: "Change --b." },
    ];
    const report = render({ ...data, findings });
    const items = [...report.document.querySelectorAll("#diagnosis li")].map((item) => item.textContent);
    expect(items.length).toBe(2);
    expect(items[0]).toMatch(/Problem.*B is wrong.*Change --b/s);
    expect(items[1]).toMatch(/Warning.*A is odd.*Change --a/s);
    expect(report.text("#diagnosis")).toContain("1 problem");
    expect(report.text("#diagnosis")).not.toContain("Nothing wrong");
  });

  test("says how it was made", () => {
    const made = text("#making");
    for (const fact of [
      data.network,
      data.structure,
      data.structureReason,
      "1.5",
      "300 for training",
      "laplace-ts 0.1.0",
    ]) {
      expect(made).toContain(fact);
    }
    expect(made.includes("9.5, as a standard deviation")).toBe(task === "regression");
  });
});

describe("what it says is so", () => {
  const data = regression(150);
  const { heldOut } = data;
  const { document, text } = render(data);

  test("metrics stand beside the baseline's", () => {
    const tiles = [...document.querySelectorAll(".tile")].map((tile) => tile.textContent.replace(/\s+/g, " "));
    expect(tiles.length).toBe(8);
    expect(tiles[0]).toMatch(/Typical error RMSE ?12\.25 ?always the mean: 24\.5 ✓ better by 12/);
    expect(tiles.find((tile) => tile.includes("coverage"))).toMatch(/91 %.*right would be 90 %/);
  });

  test("a worse metric is called worse, an equal one the same, an unknown one by its name", () => {
    const { text } = render({
      ...data,
      metrics: { rootMeanSquaredError: 30, meanAbsoluteError: 2, someOtherScore: 3 },
      baseline: { rootMeanSquaredError: 20, meanAbsoluteError: 2 },
    });
    expect(text("#numbers")).toContain("✕ worse by 10");
    expect(text("#numbers")).toContain("about the same");
    expect(text("#numbers")).toContain("some other score");
  });

  test("the share of intervals that hold the truth is counted, and each miss is a cross", () => {
    const misses = heldOut.truth.filter(
      (y, i) => y < (heldOut.lower?.[i] ?? 0) || y > (heldOut.upper?.[i] ?? 0),
    ).length;
    expect(misses).toBeGreaterThan(3);
    expect(text("#predictions figcaption")).toContain(`${Math.round(100 * (1 - misses / 150))} % of 150 rows`);
    expect(document.querySelectorAll("#predictions .chart path[d] title").length).toBe(misses);
    expect(document.querySelectorAll("#predictions .chart circle title").length).toBe(150 - misses);
  });

  test("the most uncertain rows are those with the largest standard deviations, with their cells", () => {
    const shown = [...document.querySelectorAll("#rows tbody tr")];
    const lines = shown.map((row) => Number(row.querySelector("th")?.textContent));
    const order = (heldOut.sd ?? [])
      .map((sd, i) => ({ sd, line: i + 2 }))
      .toSorted((a, b) => b.sd - a.sd || a.line - b.line);
    expect(lines).toEqual(order.slice(0, 12).map(({ line }) => line));
    const i = lines[0] - 2;
    expect([...shown[0].querySelectorAll("td")].slice(0, 3).map((cell) => cell.textContent)).toEqual([
      heldOut.rows[i].area,
      heldOut.rows[i].town,
      heldOut.rows[i].built,
    ]);
    expect(shown.map((row) => row.textContent.includes("far"))).toEqual(lines.map((line) => heldOut.far[line - 2]));
  });

  test("far rows are marked in the histogram of uncertainty", () => {
    const far = heldOut.far.filter(Boolean).length;
    expect(text("#uncertainty")).toContain(`${far} rows are far`);
    expect(document.querySelectorAll("#uncertainty .chart path title").length).toBe(far);
  });

  test("the confusion table counts", () => {
    const data = classification(200, 4);
    const { document } = render(data);
    const table = [...document.querySelectorAll(".confusion tbody tr")].map((row) =>
      [...row.querySelectorAll("td")].map((cell) => Number(cell.textContent.replace("·", "0"))),
    );
    const counted = [0, 1, 2, 3].map((truth) => {
      const rows = data.heldOut.mean.filter((_, i) => data.heldOut.truth[i] === truth);
      return [...[0, 1, 2, 3].map((predicted) => rows.filter((k) => k === predicted).length), rows.length];
    });
    expect(table).toEqual(counted);
  });
});

describe("what comes from data is text", () => {
  const attacks = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style></svg></title><script>1</script>",
    "]]><!-- --><b>",
    "&lt;b&gt; &amp;",
    "\u0000\u202e\ud800\r\n",
  ];

  /** The data with a text in every place that takes one. */
  function poison(data: ReportData, text: string): ReportData {
    const classes = data.classes?.map((_, i) => `${text}${i}`);
    return {
      ...data,
      data: text,
      target: text,
      classes,
      created: text,
      version: text,
      network: text,
      structure: text,
      structureReason: text,
      columns: data.columns.map((column) => ({ ...column, name: text, note: text })),
      findings: [{ severity: "problem", message: text, advice: text }],
      metrics: { ...data.metrics, [text]: 1 },
      heldOut: { ...data.heldOut, rows: data.heldOut.rows.map(() => ({ [text]: text, [`${text}!`]: text })) },
      slices: data.slices.map((slice) => ({
        ...slice,
        input: `${text}!`,
        ...(classes ? { shownClass: text } : {}),
        ...(slice.kind === "category"
          ? { x: slice.x.map((_, i) => `${text}${i}`), points: [{ x: `${text}0`, y: 1 }] }
          : {}),
      })),
    };
  }

  const names = (data: ReportData) => {
    const { document } = render(data);
    const elements = [...document.querySelectorAll("*")];
    return {
      document,
      tags: new Set(elements.map(({ tagName }) => tagName)),
      attributes: new Set(elements.flatMap((element) => [...element.attributes].map(({ name }) => name))),
    };
  };

  test.each(both)("no text adds a tag or an attribute to a %s", (_, data) => {
    const harmless = names(
      poison(data, "a long enough name to be shortened, with a tooltip to show all of it, &c.".repeat(4)),
    );
    for (const attack of attacks) {
      const { document, tags, attributes } = names(poison(data, attack));
      for (const tag of tags) expect(harmless.tags).toContain(tag);
      for (const attribute of attributes) expect(harmless.attributes).toContain(attribute);
      const [start] = attack
        .replace(/[^ -~]/g, "")
        .slice(0, 12)
        .split("\0");
      expect(document.querySelector("h1")?.textContent).toContain(start);
      expect(document.querySelector("#columns tbody th")?.textContent).toContain(start);
    }
  });

  test("any text at all", () => {
    const [quiet, words] = [regression(3), classification(3, 2)];
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 60 }), fc.boolean(), (text, isNumber) => {
        const page = pageOf(poison(isNumber ? quiet : words, text));
        checkTags(page);
        expect(page).not.toMatch(/\p{Surrogate}/u);
        expect(page).not.toMatch(/<script|<img/i);
      }),
      { numRuns: 15 },
    );
  }, 120_000);
});

test("with folds, what was learned from and what was checked are the same rows, and it says so", () => {
  const data = regression(60);
  const folded = render({ ...data, counts: { ...data.counts, folded: true } });
  expect(folded.page).toContain("learned from 60 rows and checked on each of them by a model that had not seen it");
  expect(render(data).page).toContain("checked on 60 rows it never saw");
});
