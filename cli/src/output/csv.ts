// Rows as CSV text.

const QUOTED = /["\n\r]/;

/** A line of CSV (RFC 4180), quoted where it must be. */
export function csvLine(cells: readonly string[], delimiter: string): string {
  const quote = (cell: string) =>
    QUOTED.test(cell) || cell.includes(delimiter) ? `"${cell.replaceAll('"', '""')}"` : cell;
  return `${cells.map(quote).join(delimiter)}\n`;
}

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
