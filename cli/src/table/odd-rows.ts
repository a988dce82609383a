// What is wrong with a row that is not a record, in plain words.

/** Beyond any row of a real table; a quote that is never closed must not read the whole file into memory. */
export const LONGEST_ROW = 2 ** 22;

/** What is wrong with a row's quotes or its length. */
export const oddRows = {
  unclosed: "a quote is not closed: it opens in this row, and the file ends before it does.",
  after: 'a quoted cell goes on after its closing quote. A quote within a cell is written "".',
  within: "a quote stands within a cell that does not begin with one. Quote the whole cell.",
  long: `a row has more than ${LONGEST_ROW} characters. Likely cause: a quote that is not closed.`,
} as const;

/** "1 cell", "4 cells". */
export const cellsOf = (count: number | string) => `${count} cell${Number(count) === 1 ? "" : "s"}`;

/** A row of another width than the header. */
export function widthText(found: number, header: number): string {
  const advice =
    found < header
      ? "Is it a total, a comment or a title? --on-error skip leaves such rows out."
      : "Is the delimiter right (--delimiter)? A cell that has it is quoted. --on-error skip leaves such rows out.";
  return `the row has ${cellsOf(found)}, the header ${header}. ${advice}`;
}
