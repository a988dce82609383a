// The one idea as a diagram: columns on the outputs, pulled back, contracted at each parameter.
import { line, picture, rectangle, text } from "./svg.mjs";

function box(x, y, width, lines, heading) {
  const height = 26 + 19 * lines.length;
  return [
    rectangle(x, y, width, height, "box", 6),
    text(x + 12, y + 20, heading, { class: "strong" }),
    ...lines.map((content, i) => text(x + 12, y + 40 + 19 * i, content, { class: "quiet" })),
  ];
}

const arrow = (x, y, to) => [
  line(
    [
      [x, y],
      [to - 6, y],
    ],
    "mean",
  ),
  line(
    [
      [to - 8, y - 5],
      [to, y],
      [to - 8, y + 5],
    ],
    "head",
    true,
  ),
];

export function columns() {
  const title =
    "Columns on the outputs of every example are pulled back through the network and contracted at each parameter";
  return picture(720, 210, title, [
    box(
      2,
      20,
      190,
      ["∂ℓ/∂f: one column", "unit columns: C of them", "Λ^½: C or C − 1", "drawn targets: a few", "or given: jvp, vjp"],
      "1. Columns [K, B, C]",
    ),
    arrow(196, 82, 252),
    text(224, 72, "K", { anchor: "middle", class: "quiet" }),
    box(
      256,
      20,
      190,
      ["forward: inputs a", "back: K columns at once", "at a layer: δ arrives", "derivative = δ ⊗ a"],
      "2. Pull back",
    ),
    arrow(450, 82, 506),
    text(478, 72, "δ, a", { anchor: "middle", class: "quiet" }),
    box(
      510,
      20,
      208,
      [
        "sum: gradient",
        "keep: per sample, Jacobian",
        "squares: diagonal",
        "Gram matrix: full",
        "Σ a aᵀ, Σ δ δᵀ: Kronecker",
        "quadratic form: variance of f",
      ],
      "3. Contract",
    ),
    text(2, 196, "A row of length P is written only where you asked for rows.", { class: "quiet" }),
  ]);
}
