// The inverse of Yeo & Johnson's power by a table, for integrals over many of its values: additions and products alone, hence equal to
// the bit in every runtime.

/** Intervals per unit, and where the table ends: beyond it the function itself is called. */
const [PER_UNIT, END] = [64, 16];
/** Coefficients of the polynomial of an interval. */
const COEFFICIENTS = 6;

/** A function by polynomials. */
export interface Tabled {
  /** The coefficients of each interval. */
  readonly table: Float64Array;
  /** The function itself, and its p. */
  readonly root: (t: number, p: number) => number;
  readonly p: number;
}

/**
 * The function ((1 + p t)^(1/p) − 1), eᵗ − 1 where p is 0, for t ≥ 0, by polynomials of fifth degree that have its values and two derivatives where
 * intervals meet (Hermite). They are h⁶ max|f⁽⁶⁾| / 46080 away, h = 1/64: 3e-13 at most, relative to 1 + f.
 * @param root the function itself @param p from 0 to 2
 */
export function rootByTable(root: (t: number, p: number) => number, p: number): Tabled {
  const intervals = PER_UNIT * END;
  const table = new Float64Array(COEFFICIENTS * intervals);
  const h = 1 / PER_UNIT;
  // f′ = (1 + f) / (1 + p t) and f″ = (1 − p) f′ / (1 + p t), in intervals.
  const at = (k: number) => {
    const [t, f] = [k * h, root(k * h, p)];
    const slope = (h * (1 + f)) / (1 + p * t);
    return [f, slope, (h * (1 - p) * slope) / (1 + p * t)] as const;
  };
  let [f, slope, bend] = at(0);
  for (let k = 0; k < intervals; k++) {
    const next = at(k + 1);
    // What a parabola leaves of the next value and derivatives.
    const rest = next[0] - (f + slope + bend / 2);
    const [restSlope, restBend] = [next[1] - (slope + bend), next[2] - bend];
    table.set(
      [
        f,
        slope,
        bend / 2,
        10 * rest - 4 * restSlope + restBend / 2,
        -15 * rest + 7 * restSlope - restBend,
        6 * rest - 3 * restSlope + restBend / 2,
      ],
      COEFFICIENTS * k,
    );
    [f, slope, bend] = next;
  }
  return { table, root, p };
}

/** Its value; not a function of a table of its own, which would make an object of each number. */
export function tabledRoot({ table, root, p }: Tabled, t: number): number {
  if (!(t < END)) return root(t, p);
  const place = t * PER_UNIT;
  const k = Math.floor(place);
  const s = place - k;
  const i = COEFFICIENTS * k;
  return (
    table[i] + s * (table[i + 1] + s * (table[i + 2] + s * (table[i + 3] + s * (table[i + 4] + s * table[i + 5]))))
  );
}
