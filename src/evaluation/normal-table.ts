// The standard normal distribution by a table, for integrals over many of its values.

import { normalCdf, normalDensity } from "./normal.ts";

/** Values at multiples of 1 / PER_UNIT up to END; beyond it Φ is 0 or 1 to 1e-16. */
const [PER_UNIT, END] = [64, 8.3];
const COUNT = Math.ceil(2 * END * PER_UNIT) + 1;

/** Φ and φ / PER_UNIT, one after the other. */
let table: Float64Array | undefined;

/** A function that is Φ(x) to 1e-9: cubics between values of a table (Hermite), h⁴ max|φ‴| / 384 away. */
export function normalCdfByTable(): (x: number) => number {
  table ??= Float64Array.from({ length: 2 * (COUNT + 1) }, (_, k) => {
    const x = -END + (k >> 1) / PER_UNIT;
    return k % 2 === 0 ? normalCdf(x) : normalDensity(x) / PER_UNIT;
  });
  const known = table;
  return (x) => {
    if (x <= -END) return 0;
    if (x >= END) return 1;
    const place = (x + END) * PER_UNIT;
    const at = Math.floor(place);
    const t = place - at;
    const [left, right] = [known[2 * at], known[2 * at + 2]];
    const [up, on] = [known[2 * at + 1], known[2 * at + 3]];
    const rise = right - left;
    return left + t * (up + t * (3 * rise - 2 * up - on + t * (up + on - 2 * rise)));
  };
}
