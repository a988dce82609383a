import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

/** Words that a reader stumbles over, each with what is said instead, and why. */
const words: readonly { readonly word: RegExp; readonly better: string; readonly why: string }[] = [
  {
    word: /\bdoubts?\b/i,
    better: "uncertainty (epistemic, aleatoric)",
    why: "it is the field's word, and a model has no feelings",
  },
  {
    word: /\bdue\b(?! to\b)/i,
    better: "expected …, got …",
    why: "what is due is a debt; say what was expected and what was seen",
  },
  {
    word: /(?<!\bthere )\b(?:is|are|was|were) no\b(?! (?:longer|more|better|worse|larger|smaller|later|earlier|less)\b)/i,
    better: "is not a …",
    why: '"is no count" is German word for word',
  },
  { word: /\bsurer\b/i, better: "more certain", why: "nobody says it" },
  {
    word: /(?<!\bthere )\b(?:is|are|was|were) none\b/i,
    better: "is not one, is not known, counts as none",
    why: '"that are none" leaves open which of the nouns before it is meant',
  },
];

/** Lines without what marks a comment, so that a sentence over two lines is one text. */
const plain = (line: string) => line.replace(/^\s*(?:\/\/|\/?\*+\/?|\|)?\s*/, "").replace(/\s*\*\/\s*$/, "");

/** Where a text has such a word: the line, and the words around. */
function found(text: string): { readonly line: number; readonly around: string; readonly say: string }[] {
  const lines = text.split("\n").map(plain);
  const starts: number[] = [];
  let length = 0;
  for (const line of lines) {
    starts.push(length);
    length += line.length + 1;
  }
  const whole = lines.join(" ");
  return words.flatMap(({ word, better, why }) =>
    Array.from(whole.matchAll(new RegExp(word, "gi")), ({ index }) => ({
      line: starts.findLastIndex((start) => start <= index) + 1,
      around: whole.slice(Math.max(0, index - 40), index + 40).trim(),
      say: `${better}: ${why}`,
    })),
  );
}

function textsIn(path: string): string[] {
  if (!statSync(path).isDirectory()) return /\.(?:ts|md|mjs)$/.test(path) ? [path] : [];
  return readdirSync(path).flatMap((name) =>
    ["node_modules", "generated", "api", "dist"].includes(name) ? [] : textsIn(join(path, name)),
  );
}

/** What people read in a file of tests: its titles, texts and comments, each in its line. */
function readIn(code: string): string {
  const read = /\/\/.*$|\/\*[\s\S]*?\*\/|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/gm;
  let [text, end] = ["", 0];
  for (const { 0: piece, index } of code.matchAll(read)) {
    const between = code.slice(end, index).replace(/[^\n]+/g, piece.startsWith("/") ? "" : ".");
    text += between + piece.replace(/\$\{[^{}]*\}/g, "…");
    end = index + piece.length;
  }
  return text;
}

const places = [
  "src",
  "cli/src",
  "models/src",
  "cluster/src",
  "examples",
  "bench",
  "docs",
  "README.md",
  "cli/README.md",
  "models/README.md",
  "cluster/README.md",
  "CHANGELOG.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
];

describe("prose is plain English", () => {
  test.each(places.flatMap(textsIn))("%s", (file) => {
    const all = found(readFileSync(file, "utf8"));
    expect(all.map(({ line, around, say }) => `${file}:${line} … ${around} … Say ${say}`)).toEqual([]);
  });

  test.each(
    ["test", "cli/test", "models/test", "cluster/test"]
      .flatMap(textsIn)
      .filter((file) => file !== "test/words.test.ts"),
  )("%s", (file) => {
    const all = found(readIn(readFileSync(file, "utf8")));
    expect(all.map(({ line, around, say }) => `${file}:${line} … ${around} … Say ${say}`)).toEqual([]);
  });

  test("of tests, titles, texts and comments are read, and names are not", () => {
    const code = ["const due = 1;", 'test("a vector is no number", () => {', "  // is", "  // none", '  f("is", no);'];
    expect(found(readIn(code.join("\n")))).toMatchObject([{ line: 2 }, { line: 3 }]);
  });

  test.each([
    ["Its doubt is large.", 1],
    ["a number is due.", 1],
    ["// the target 1.5 is\n// no count", 1],
    ["for formats\n * that are none", 2],
  ])("%o is found, with its line", (text, line) => {
    expect(found(text)).toMatchObject([{ line }]);
  });

  test.each([
    "There is no count, and it is no longer one.",
    "it has none; there are none.",
    "The error is due to rounding.",
    "doubtful",
  ])("%o is left alone", (text) => {
    expect(found(text)).toEqual([]);
  });
});
