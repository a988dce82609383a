// Matrix products of two values.

import { sameShape, shapeText, sizeOf } from "../../array/ndarray.ts";
import { ShapeError } from "../../errors.ts";
import { bytesPerElement, type Pointer } from "../../kernels/memory.ts";
import type { Node } from "../graph.ts";
import type { ForwardPass, Primitive } from "../primitive.ts";

interface MatmulAttributes {
  /** Whether the second factor is [..., n, k] instead of [..., k, n]. */
  readonly transposed: boolean;
}

/** A factor in a product of matrices [rows, columns], one after the other, or their transposes. */
interface Factor {
  readonly at: Pointer;
  readonly rows: number;
  readonly columns: number;
  readonly turned: boolean;
}

/** to = left right (or +=) for so many matrices. */
function products(
  { kernels }: ForwardPass,
  count: number,
  left: Factor,
  right: Factor,
  to: Pointer,
  add: boolean,
): void {
  const [m, k] = left.turned ? [left.columns, left.rows] : [left.rows, left.columns];
  const n = right.turned ? right.rows : right.columns;
  const strides = ({ columns, turned }: Factor) => (turned ? [1, columns] : [columns, 1]);
  const [[rowA, columnA], [rowB, columnB]] = [strides(left), strides(right)];
  const [sizeA, sizeB] = [left.rows * left.columns, right.rows * right.columns];
  const [a, b] = [left.at, right.at];
  kernels.gemm(count, m, n, k, a, sizeA, rowA, columnA, b, sizeB, rowB, columnB, to, m * n, n, 1, add);
}

/** The matrices of a node's factors and value for a batch, and their number. */
function matricesOf({ inputs: [a, b], shape, size, attributes: { transposed } }: Node<MatmulAttributes>) {
  const matrix = (all: readonly number[]) => ({ rows: all[all.length - 2], columns: all[all.length - 1] });
  const y = { ...matrix(shape), turned: false };
  return {
    count: size / (y.rows * y.columns),
    left: { ...matrix(a.shape), turned: false },
    right: { ...matrix(b.shape), turned: transposed },
    y,
  };
}

/** Y = A B for matrices over the last two axes; the axes before them must agree. Or Y = A Bᵀ. */
export const matmul: Primitive<MatmulAttributes> = {
  name: "matmul",
  shape([a, b], { transposed }) {
    const [k, n] = transposed ? [b.at(-1), b.at(-2)] : [b.at(-2), b.at(-1)];
    const fits = a.length >= 2 && b.length >= 2 && sameShape(a.slice(0, -2), b.slice(0, -2)) && a.at(-1) === k;
    if (!fits || n === undefined) {
      const due = transposed ? "[..., m, k] by [..., n, k]" : "[..., m, k] by [..., k, n]";
      throw new ShapeError(`matmul: ${due} with equal leading axes is due, not ${shapeText(a)} by ${shapeText(b)}.`);
    }
    return [...a.slice(0, -1), n];
  },
  forward(node, pass) {
    const [a, b] = node.inputs;
    const { count, left, right } = matricesOf(node);
    const [x, y] = [
      { ...left, at: pass.value(a) },
      { ...right, at: pass.value(b) },
    ];
    products(pass, pass.batch * count, x, y, pass.value(node), false);
  },
  pushforward(node, pass) {
    const [a, b] = node.inputs;
    const { count, left, right } = matricesOf(node);
    const [da, db, to, all] = [pass.tangent(a), pass.tangent(b), pass.tangent(node), pass.batch * count];
    if (da !== 0) products(pass, all, { ...left, at: da }, { ...right, at: pass.value(b) }, to, false);
    if (db !== 0) products(pass, all, { ...left, at: pass.value(a) }, { ...right, at: db }, to, da !== 0);
  },
  pullback(node, pass) {
    const [a, b] = node.inputs;
    const { count, left, right, y } = matricesOf(node);
    const bytes = bytesPerElement(pass.dtype);
    const eachColumn = (input: Node, visit: (d: Factor, to: Pointer, add: boolean) => void) => {
      pass.contribute(input, (to, add) => {
        for (let k = 0; k < pass.columns; k++) {
          const skipped = k * pass.batch * bytes;
          visit({ ...y, at: pass.cotangent(node) + skipped * node.size }, to + skipped * input.size, add);
        }
      });
    };
    const all = pass.batch * count;
    // Ā = Ȳ Bᵀ and B̄ = Aᵀ Ȳ; where the second factor is transposed, B̄ = Ȳᵀ A.
    eachColumn(a, (d, to, add) => {
      products(pass, all, d, { ...right, at: pass.value(b), turned: !right.turned }, to, add);
    });
    eachColumn(b, (d, to, add) => {
      const x = { ...left, at: pass.value(a) };
      if (right.turned) products(pass, all, { ...d, turned: true }, x, to, add);
      else products(pass, all, { ...x, turned: true }, d, to, add);
    });
  },
  rowwise: ({ shape }) => sizeOf(shape.slice(-2)),
};
