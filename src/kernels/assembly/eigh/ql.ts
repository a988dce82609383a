// Implicitly shifted QL for small tridiagonal matrices (Martin & Wilkinson 1968; Golub & Van Loan, section 8.3.5).
// Rotations act on rows, so that they are contiguous.
import { rotate } from "./simd";

const EPSILON: f64 = 1.1102230246251565e-16;

/**
 * @internal QL on d (n) and e (n, the last entry is scratch), whose norm is about 1 or below; floor is an absolute size below
 * which e is dropped. The rows of z (stride ld bytes, any number of columns) are multiplied by the eigenvectors from the
 * left; row j belongs to d[j], unsorted. Returns 0, or 1 + the index that failed.
 */
export function ql(n: usize, d: usize, e: usize, z: usize, ld: usize, columns: usize, floor: f64): i32 {
  store<f64>(e + ((n - 1) << 3), 0);
  const end = d + ((n - 1) << 3);
  const shift = e - d;
  let budget = 60 * <i32>n;
  for (let l = d; l < end; l += 8) {
    for (;;) {
      let m = l;
      for (; m < end; m += 8) {
        if (Math.abs(load<f64>(m + shift)) <= EPSILON * (Math.abs(load<f64>(m)) + Math.abs(load<f64>(m, 8))) + floor) break;
      }
      if (m == l) break;
      if (--budget < 0) return 1 + <i32>((l - d) >> 3);
      // Wilkinson's shift from the leading 2 x 2 block
      const el = load<f64>(l + shift), dl = load<f64>(l);
      let g = (load<f64>(l, 8) - dl) / (2 * el);
      let r = Math.abs(g) < 1e150 ? Math.sqrt(g * g + 1) : Math.abs(g);
      g = load<f64>(m) - dl + el / (g + (g < 0 ? -r : r));
      let s: f64 = 1, c: f64 = 1, p: f64 = 0;
      let i = m - 8;
      let row = z + ((i - d) >> 3) * ld;
      for (; i >= l; i -= 8) {
        const ei = load<f64>(i + shift);
        const f = s * ei, b = c * ei;
        const square = f * f + g * g;
        r = Math.sqrt(square);
        if (square < 1e-280) {
          // Too small for an orthogonal rotation: split here and start again.
          store<f64>(i + shift, 0, 8);
          store<f64>(i, load<f64>(i, 8) - p, 8);
          store<f64>(m + shift, 0);
          break;
        }
        store<f64>(i + shift, r, 8);
        const inverse = 1 / r;
        s = f * inverse;
        c = g * inverse;
        g = load<f64>(i, 8) - p;
        const q = (load<f64>(i) - g) * s + 2 * c * b;
        p = s * q;
        store<f64>(i, g + p, 8);
        g = c * q - b;
        rotate(columns, row + ld, row, c, s);
        row -= ld;
      }
      if (i >= l) continue;
      store<f64>(l, load<f64>(l) - p);
      store<f64>(l + shift, g);
      store<f64>(m + shift, 0);
    }
  }
  return 0;
}
