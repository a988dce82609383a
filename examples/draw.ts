// A curve with its band, drawn in plain characters, for terminals.

/** What is drawn at one of the x of a grid, from left to right; low and high are the band's edges. */
export interface BandAt {
  readonly x: number;
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/**
 * A picture with a column for each x of the grid and 7 characters more on the left: "*" is the curve, ":" its band, "o" a
 * point. What is above or below the picture is left out.
 */
export function draw(
  grid: readonly BandAt[],
  points: readonly (readonly [x: number, y: number])[],
  { from, to, rows = 21 }: { from: number; to: number; rows?: number },
): string[] {
  const [left, right] = [grid[0].x, grid[grid.length - 1].x];
  const rowOf = (y: number) => Math.round(((to - y) / (to - from)) * (rows - 1));
  const columnOf = (x: number) => Math.round(((x - left) / (right - left)) * (grid.length - 1));
  const cells = Array.from({ length: rows }, () => grid.map(() => " "));
  const put = (row: number, column: number, mark: string) => {
    if (row >= 0 && row < rows && column >= 0 && column < grid.length) cells[row][column] = mark;
  };
  for (const [column, { low, high }] of grid.entries()) {
    const [top, bottom] = [Math.max(rowOf(high), 0), Math.min(rowOf(low), rows - 1)];
    for (let row = top; row <= bottom; row++) put(row, column, ":");
  }
  for (const [x, y] of points) put(rowOf(y), columnOf(x), "o");
  for (const [column, { mean }] of grid.entries()) put(rowOf(mean), column, "*");

  const lines = cells.map((line, row) => {
    const y = to - (row * (to - from)) / (rows - 1);
    const label = row % 5 === 0 ? y.toFixed(1) : "";
    return `${label.padStart(5)} |${line.join("")}`.trimEnd();
  });
  const places = [0, 0.25, 0.5, 0.75, 1].map((share) => Math.round(share * (grid.length - 1)));
  const ruler = grid.map((_, column) => (places.includes(column) ? "+" : "-")).join("");
  let labels = "";
  for (const column of places) {
    const text = grid[column].x.toFixed(1);
    const begin = 7 + Math.min(column - Math.floor(text.length / 2), grid.length - text.length);
    labels = labels.padEnd(begin) + text;
  }
  return [...lines, `${" ".repeat(7)}${ruler}`, labels];
}
