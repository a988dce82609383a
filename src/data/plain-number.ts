// The number that digits say, perhaps with a sign before them and a point among them: nearly all cells of nearly all tables, read
// without a pattern.

/** So long a text has at most 22 decimals. */
const LONGEST = 24;
/** Powers of ten that are exact. */
const POWERS = Array.from({ length: LONGEST - 1 }, (_, k) => Number(`1e${k}`));
const EXACT = 2 ** 53;
const [PLUS, MINUS, POINT, ZERO] = [43, 45, 46, 48];

/**
 * `Number` of a text of digits that is not long: a digit first, or behind a sign, and at most one point. NaN of any other text, which
 * may be a number that is written otherwise.
 */
export function plainNumber(text: string): number {
  const { length } = text;
  if (length > LONGEST) return Number.NaN;
  const sign = text.charCodeAt(0);
  const first = sign === MINUS || sign === PLUS ? 1 : 0;
  let [digits, point] = [0, -1];
  for (let at = first; at < length; at++) {
    const digit = text.charCodeAt(at) - ZERO;
    if (digit >= 0 && digit <= 9) digits = 10 * digits + digit;
    else if (digit === POINT - ZERO && point < 0 && at > first) point = at;
    else return Number.NaN;
  }
  if (length === first) return Number.NaN;
  // A quotient of two exact numbers is rounded once, as `Number` rounds.
  if (digits >= EXACT) return Number(text);
  const size = point < 0 ? digits : digits / POWERS[length - 1 - point];
  return sign === MINUS ? -size : size;
}
