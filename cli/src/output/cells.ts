// What the cells of a table say that is missing, that cannot be read, or that may be: in a few lines.

import type { CellNotes, ColumnTexts } from "../model/cell-notes.ts";
import { plain, styled } from "./terminal.ts";

/** Columns and texts that are named; the others are counted. */
const [COLUMNS, TEXTS] = [8, 3];

/** Lines about missing values, unreadable cells and texts that may stand for a missing value; `target` is a column's name. */
export function cellLines(cells: CellNotes, target: string): string[] {
  const of = (all: readonly ColumnTexts[], one: boolean) => all.filter(({ name }) => (name === target) === one);
  const list = (all: readonly ColumnTexts[], line: (column: ColumnTexts) => string) => {
    const rest = all.length - COLUMNS;
    return [...all.slice(0, COLUMNS).map(line), ...(rest > 0 ? [`  and so do ${rest} more columns`] : [])];
  };
  return [
    ...of(cells.missing, true).map(
      (column) =>
        `  missing  "${plain(column.name)}", the target: ${countsOf(column)}: these rows were dropped (--na and --no-usual-na say what counts)`,
    ),
    ...list(of(cells.missing, false), (column) => `  missing  "${plain(column.name)}": ${countsOf(column)}, imputed`),
    ...(cells.missing.length > 0 && of(cells.missing, false).length > 0
      ? ["           (--missing refuse makes them errors; --na and --no-usual-na say what counts)"]
      : []),
    ...list(cells.unreadable, (column) => {
      const lines = column.lines.map((line) => line.toLocaleString("en")).join(", ");
      const more = total(column) > column.lines.length ? ", …" : "";
      return styled(
        "yellow",
        `  unreadable "${plain(column.name)}": ${countsOf(column)} (line${total(column) === 1 ? "" : "s"} ${lines}${more}): taken as missing`,
      );
    }),
    ...list(cells.doubtful, (column) => {
      const what = column.name === target ? "a class" : "a category";
      const text = column.texts[0].text;
      return `  "${plain(column.name)}": ${countsOf(column)} is taken as ${what}: --na ${shown(text)} makes it missing`;
    }),
    ...list(cells.spellings, (column) => {
      const what = column.name === target ? "class" : "category";
      return `  "${plain(column.name)}": ${countsOf(column)} are one ${what}`;
    }),
    ...list(cells.cases, (column) => {
      const what = column.name === target ? "classes" : "categories";
      return `  "${plain(column.name)}": ${countsOf(column)} are ${what} of their own, though only upper and lower case tells them apart`;
    }),
    ...list(cells.twoOrders, ({ name, texts, lines }) => {
      const [day, month] = texts.map(({ text }, i) => `${plain(JSON.stringify(text))} (line ${lines[i]})`);
      const what = "dates in two orders, taken as categories";
      return styled(
        "yellow",
        `  "${plain(name)}": ${what}: ${day} has the day first, ${month} the month: write them in one, or say which: --date-format ${shown(`${name}=dmy`)} or ${shown(`${name}=mdy`)}`,
      );
    }),
    ...list(cells.numbersBut, (column) => {
      const text = column.texts[0].text;
      return styled(
        "yellow",
        `  "${plain(column.name)}": numbers, but for ${countsOf(column)}: --na ${shown(text)} makes them missing`,
      );
    }),
  ];
}

const total = ({ texts }: ColumnTexts) => texts.reduce((sum, { count }) => sum + count, 0);

/** 12 × "NA", 3 empty. */
function countsOf({ texts }: ColumnTexts): string {
  const named = texts.slice(0, TEXTS).map(({ text, count }) => {
    const times = count.toLocaleString("en");
    return text === "" ? `${times} empty` : `${times} × ${plain(JSON.stringify(text))}`;
  });
  const rest = texts.slice(TEXTS).reduce((sum, { count }) => sum + count, 0);
  return named.join(", ") + (rest > 0 ? ` and ${rest.toLocaleString("en")} others` : "");
}

/** A text as an argument in a shell. */
const shown = (text: string) => (/^[\w./=-]+$/.test(text) ? text : `'${plain(text)}'`);
