// Rows as CSV text.

/** A line of CSV (RFC 4180), quoted where it must be. */
export function csvLine(cells: readonly string[], delimiter: string): string {
  return `${cells.map((cell) => (needsQuotes(cell, delimiter) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(delimiter)}\n`;
}

function needsQuotes(cell: string, delimiter: string): boolean {
  return cell.includes(delimiter) || cell.includes('"') || cell.includes("\n") || cell.includes("\r");
}

/** A number with nine digits at most: no rounding that anyone would notice, no digits that mean nothing. */
export function digits(value: number): string {
  return String(Number(value.toPrecision(9)));
}
