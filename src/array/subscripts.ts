// Reads einsum's subscripts and checks them against the operands' shapes.

import { ShapeError } from "../errors.ts";
import { shapeText } from "./ndarray.ts";

/** Subscripts after reading: one label per axis, and the length of each label. */
export interface Subscripts {
  readonly inputs: readonly (readonly string[])[];
  readonly output: readonly string[];
  readonly lengths: ReadonlyMap<string, number>;
}

/** The labels of one term; "..." becomes `hidden` labels, counted from the right so that operands align. */
function labelsOf(term: string, hidden: number, whole: string): string[] {
  const dots = term.indexOf("...");
  const before = dots < 0 ? term : term.slice(0, dots);
  const after = dots < 0 ? "" : term.slice(dots + 3);
  for (const letter of before + after) {
    if (!/[A-Za-z]/.test(letter)) {
      throw new ShapeError(
        `einsum "${whole}": "${letter}" is not a label. Labels are letters; "..." stands for any axes.`,
      );
    }
  }
  if (dots < 0) return [...term];
  const covered = Array.from({ length: hidden }, (_, i) => `…${hidden - i}`);
  return [...before, ...covered, ...after];
}

/** Reads "ij,jk->ik"; without "->", the output has the labels that occur once, in alphabetical order. */
export function readSubscripts(text: string, shapes: readonly (readonly number[])[]): Subscripts {
  const whole = text.replace(/\s+/g, "");
  const [left, right, ...rest] = whole.split("->");
  if (rest.length > 0) throw new ShapeError(`einsum "${text}": there is more than one "->".`);
  const terms = left.split(",");
  if (terms.length !== shapes.length) {
    throw new ShapeError(`einsum "${text}": ${terms.length} terms for ${shapes.length} operands.`);
  }
  let mostHidden = 0;
  const inputs = terms.map((term, i) => {
    const named = term.replace("...", "").length;
    const hidden = term.includes("...") ? shapes[i].length - named : 0;
    const labels = hidden < 0 ? [] : labelsOf(term, hidden, text);
    if (hidden < 0 || labels.length !== shapes[i].length) {
      throw new ShapeError(
        `einsum "${text}": the term "${term}" names ${named} axes, but operand ${i} has shape ${shapeText(shapes[i])}.`,
      );
    }
    mostHidden = Math.max(mostHidden, hidden);
    return labels;
  });

  const lengths = new Map<string, number>();
  const source = new Map<string, number>();
  inputs.forEach((labels, i) => {
    labels.forEach((label, axis) => {
      const length = shapes[i][axis];
      const known = lengths.get(label);
      if (known !== undefined && known !== length) {
        const shown = label.startsWith("…") ? "..." : label;
        throw new ShapeError(
          `einsum "${text}": the label "${shown}" has size ${known} in operand ${source.get(label)} and size ${length} in operand ${i}.`,
        );
      }
      lengths.set(label, length);
      source.set(label, i);
    });
  });

  const output = right === undefined ? implicitOutput(inputs) : labelsOf(right, mostHidden, text);
  const seen = new Set<string>();
  for (const label of output) {
    if (!lengths.has(label)) throw new ShapeError(`einsum "${text}": the output's "${label}" is in no operand.`);
    if (seen.has(label)) throw new ShapeError(`einsum "${text}": the output names "${label}" twice.`);
    seen.add(label);
  }
  return { inputs, output, lengths };
}

function implicitOutput(inputs: readonly (readonly string[])[]): string[] {
  const all = inputs.flat();
  const hidden = [...new Set(all.filter((label) => label.startsWith("…")))];
  const once = all.filter((label) => !label.startsWith("…") && all.indexOf(label) === all.lastIndexOf(label));
  // "…3" stands left of "…2".
  return [...hidden.sort((a, b) => Number(b.slice(1)) - Number(a.slice(1))), ...once.sort()];
}
