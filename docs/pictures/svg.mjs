// Small drawings as SVG text. Colours are classes, which the site's style sheet and `standalone` define for light and dark.

/** A number with one decimal. */
export const fixed = (value) => {
  if (!Number.isFinite(value)) throw new Error(`A picture has the coordinate ${value}.`);
  return String(Math.round(value * 10) / 10);
};

const escaped = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** A text; `attributes` such as { anchor: "middle", class: "quiet" }. */
export function text(x, y, content, { anchor = "start", class: name = "ink", size = 13 } = {}) {
  return `<text x="${fixed(x)}" y="${fixed(y)}" class="${name}" text-anchor="${anchor}" font-size="${size}">${escaped(content)}</text>`;
}

/** A path through points [x, y]; closed where it is an area. */
export function line(points, name, closed = false) {
  const steps = points.map(([x, y], i) => `${i === 0 ? "M" : "L"}${fixed(x)} ${fixed(y)}`);
  return `<path class="${name}" d="${steps.join("")}${closed ? "Z" : ""}"/>`;
}

export function rectangle(x, y, width, height, name, radius = 0) {
  return `<rect x="${fixed(x)}" y="${fixed(y)}" width="${fixed(width)}" height="${fixed(height)}" rx="${radius}" class="${name}"/>`;
}

/** Points as small circles in one path. */
export function dots(points, name, radius = 2.5) {
  const r = fixed(radius);
  const d = points.map(
    ([x, y]) =>
      `M${fixed(x - radius)} ${fixed(y)}a${r} ${r} 0 1 0 ${fixed(2 * radius)} 0a${r} ${r} 0 1 0 -${fixed(2 * radius)} 0`,
  );
  return `<path class="${name}" d="${d.join("")}"/>`;
}

/**
 * Cells of a grid coloured by `level(row, column)`, a number from −1 to 1: blue above 0, orange below, nothing at 0. Cells
 * of one shade are one path.
 */
export function cells(left, top, size, rows, columns, level) {
  const shades = 12;
  const paths = new Map();
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; ) {
      const shade = Math.round(level(r, c) * shades);
      let end = c + 1;
      while (end < columns && Math.round(level(r, end) * shades) === shade) end++;
      if (shade !== 0) {
        const [x, width] = [left + c * size, (end - c) * size];
        const d = `M${fixed(x)} ${fixed(top + r * size)}h${fixed(width)}v${fixed(size)}h-${fixed(width)}z`;
        paths.set(shade, (paths.get(shade) ?? "") + d);
      }
      c = end;
    }
  }
  const one = ([shade, d]) =>
    `<path class="${shade > 0 ? "plus" : "minus"}" shape-rendering="crispEdges" fill-opacity="${(Math.abs(shade) / shades).toFixed(2)}" d="${d}"/>`;
  return [...paths]
    .sort(([a], [b]) => a - b)
    .map(one)
    .join("\n");
}

/** Maps numbers [a, b] to pixels [from, to]. */
export const scale = (a, b, from, to) => (value) => from + ((value - a) / (b - a)) * (to - from);

/** A window onto parts that may reach beyond it. */
export function clipped(x, y, width, height, parts) {
  const place = [x, y, width, height].map(fixed);
  const [left, top, w, h] = place;
  return `<svg x="${left}" y="${top}" width="${w}" height="${h}" viewBox="${place.join(" ")}" aria-hidden="true">\n${parts.join("\n")}\n</svg>`;
}

/** The frame of a plot with ticks below and to the left. */
export function axes({ left, top, width, height, x, y, xTicks, yTicks }) {
  const parts = [rectangle(left, top, width, height, "frame")];
  for (const tick of xTicks) parts.push(text(x(tick), top + height + 18, tick, { anchor: "middle", class: "quiet" }));
  for (const tick of yTicks) parts.push(text(left - 8, y(tick) + 4, tick, { anchor: "end", class: "quiet" }));
  return parts.join("\n");
}

/** The classes for a file that stands alone, such as a README's picture. The site has the same in its style sheet. */
const style = `<style>
text{font-family:system-ui,sans-serif;fill:#3c3c43}.quiet{fill:#67676c}.strong{font-weight:600}
.frame,.box{fill:none;stroke:#c2c2c4}.box{fill:#f6f6f7}
.band{fill:#2f6fb5;fill-opacity:.16}.curve{fill:#2f6fb5;fill-opacity:.3}.mean{fill:none;stroke:#2f6fb5;stroke-width:2}
.point{fill:#3c3c43;fill-opacity:.65}.edge{fill:none;stroke:#67676c;stroke-dasharray:3 4}
@media(prefers-color-scheme:dark){text{fill:#dfdfd6}.quiet{fill:#98989f}.frame,.box{stroke:#3c3f44}.box{fill:#202127}
.band,.curve{fill:#7ab4f0}.mean{stroke:#7ab4f0}.point{fill:#dfdfd6}.edge{stroke:#98989f}}
</style>
`;

/** A picture: its title is what screen readers say. */
export function picture(width, height, title, parts, { standalone = false } = {}) {
  const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)}">`;
  const body = parts.flat().filter(Boolean).join("\n");
  return `${head}\n${standalone ? style : ""}${body}\n</svg>\n`;
}
