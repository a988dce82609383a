// Matrix products of two values.

import { sameShape, shapeText, sizeOf } from "../../array/ndarray.ts";
import { ShapeError } from "../../errors.ts";
import { bytesPerElement, type Pointer } from "../../kernels/memory.ts";
import { boolean } from "../attributes.ts";
import type { CotangentPass, Node, Primitive } from "../primitive.ts";
import { product } from "../product.ts";
import { bilinearRules } from "../rules.ts";

interface MatmulAttributes {
  /** Whether the second factor is [..., n, k] instead of [..., k, n]. */
  readonly transposed: boolean;
}

/** The matrices of a node's factors and value, and their number for one example. */
function matricesOf({ inputs: [a, b], shape, size, attributes: { transposed } }: Node<MatmulAttributes>) {
  const matrix = (all: readonly number[]) => ({ rows: all[all.length - 2], columns: all[all.length - 1] });
  const y = matrix(shape);
  return {
    count: size / (y.rows * y.columns),
    left: matrix(a.shape),
    right: { ...matrix(b.shape), transposed },
    y,
  };
}

/** Visits K columns d of a node and of an input's cotangents, one at a time: their products are with the same factor. */
function eachColumn(
  node: Node<MatmulAttributes>,
  { dtype, batch, columns }: CotangentPass,
  input: Node,
  d: Pointer,
  to: Pointer,
  visit: (d: Pointer, to: Pointer) => void,
): void {
  for (let k = 0; k < columns; k++) {
    const skipped = k * batch * bytesPerElement(dtype);
    visit(d + skipped * node.size, to + skipped * input.size);
  }
}

/** Y = A B for matrices over the last two axes; the axes before them must agree. Or Y = A Bᵀ. */
export const matmul: Primitive<MatmulAttributes> = {
  name: "matmul",
  inputs: 2,
  attributes: { transposed: boolean },
  shape([a, b], { transposed }) {
    const [k, n] = transposed ? [b.at(-1), b.at(-2)] : [b.at(-2), b.at(-1)];
    const fits = a.length >= 2 && b.length >= 2 && sameShape(a.slice(0, -2), b.slice(0, -2)) && a.at(-1) === k;
    if (!fits || n === undefined) {
      const expected = transposed ? "[..., m, k] by [..., n, k]" : "[..., m, k] by [..., k, n]";
      throw new ShapeError(
        `matmul: expected ${expected} with equal leading axes, got ${shapeText(a)} by ${shapeText(b)}.`,
      );
    }
    return [...a.slice(0, -1), n];
  },
  // Ā = Ȳ Bᵀ and B̄ = Aᵀ Ȳ; where the second factor is transposed, B̄ = Ȳᵀ A.
  ...bilinearRules({
    apply(node, { kernels, batch }, a, b, to, add) {
      const { count, left, right } = matricesOf(node);
      product(kernels, batch * count, { ...left, at: a }, { ...right, at: b }, to, add);
    },
    left(node, pass, columns, b, toAll, add) {
      const { count, right, y } = matricesOf(node);
      eachColumn(node, pass, node.inputs[0], columns, toAll, (d, to) => {
        const other = { ...right, at: b, transposed: !right.transposed };
        product(pass.kernels, pass.batch * count, { ...y, at: d }, other, to, add);
      });
    },
    right(node, pass, columns, a, toAll, add) {
      const { count, left, right, y } = matricesOf(node);
      const x = { ...left, at: a };
      eachColumn(node, pass, node.inputs[1], columns, toAll, (at, to) => {
        const [one, other] = right.transposed
          ? [{ ...y, at, transposed: true }, x]
          : [
              { ...x, transposed: true },
              { ...y, at },
            ];
        product(pass.kernels, pass.batch * count, one, other, to, add);
      });
    },
  }),
  rowwise: ({ shape }) => sizeOf(shape.slice(-2)),
};
