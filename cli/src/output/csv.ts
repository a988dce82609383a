// Rows as CSV text.

const QUOTED = /["\n\r]/;

/** Cells of a line of CSV (RFC 4180), quoted where they must be. */
export function csvCells(cells: readonly string[], delimiter: string): string {
  const whole = cells.join(delimiter);
  // Nearly always nothing is to be quoted, and as many delimiters are there as stand between cells.
  if (!QUOTED.test(whole) && occurrences(whole, delimiter) === cells.length - 1) return whole;
  const quote = (cell: string) =>
    QUOTED.test(cell) || cell.includes(delimiter) ? `"${cell.replaceAll('"', '""')}"` : cell;
  return cells.map(quote).join(delimiter);
}

function occurrences(text: string, sign: string): number {
  let count = 0;
  for (let at = text.indexOf(sign); at >= 0; at = text.indexOf(sign, at + sign.length)) count++;
  return count;
}

/** A line of CSV. */
export const csvLine = (cells: readonly string[], delimiter: string): string => `${csvCells(cells, delimiter)}\n`;

/** Powers of ten that a double holds exactly. */
const POWERS = Array.from({ length: 23 }, (_, i) => Number(`1e${i}`));

/** A number with nine digits at most: no rounding that anyone would notice, no digits that mean nothing. */
export function digits(value: number): string {
  const size = Math.abs(value);
  // An integer over a power of ten is the double nearest to those digits: its shortest text has no others.
  if (size >= 1e-9 && size < 1e8) {
    let places = 8;
    for (let bound = 10; places > 0 && size >= bound; bound *= 10) places--;
    for (let bound = 1; size < bound; bound /= 10) places++;
    const power = POWERS[Math.min(places, 22)];
    return String(Math.round(value * power) / power);
  }
  return String(Number(value.toPrecision(9)));
}
