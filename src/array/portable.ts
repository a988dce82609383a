// Functions that are equal to the bit in every runtime, by IEEE additions, multiplications and divisions alone: those of
// Math may differ in the last bit from one JavaScript engine to the next. Good to a few units in the last place.

/** log(x) of a positive number. */
export function portableLog(x: number): number {
  if (!(x > 0 && x < Number.POSITIVE_INFINITY)) return Math.log(x);
  // x = m 2^e with m in [sqrt(1/2), sqrt(2)); powers of two multiply exactly.
  let exponent = 0;
  let mantissa = x;
  while (mantissa >= Math.SQRT2) {
    mantissa *= 0.5;
    exponent++;
  }
  while (mantissa < Math.SQRT1_2) {
    mantissa *= 2;
    exponent--;
  }
  // log m = 2 atanh((m - 1) / (m + 1)); the argument is below 0.172.
  const t = (mantissa - 1) / (mantissa + 1);
  const t2 = t * t;
  let sum = 0;
  for (let d = 21; d >= 3; d -= 2) sum = (sum + 1 / d) * t2;
  return 2 * (t + t * sum) + exponent * Math.LN2;
}

// Powers of two, which multiply exactly; halves of any exponent that a float64 has.
const MOST_HALF = 540;
const powers = new Float64Array(2 * MOST_HALF + 1);
powers[MOST_HALF] = 1;
for (let k = 1; k <= MOST_HALF; k++) {
  powers[MOST_HALF + k] = 2 * powers[MOST_HALF + k - 1];
  powers[MOST_HALF - k] = powers[MOST_HALF - k + 1] / 2;
}

/** eˣ, also where that overflows or is subnormal. */
export function portableExp(x: number): number {
  if (x > 710) return Number.POSITIVE_INFINITY;
  if (x < -746) return 0;
  // x = k log 2 + r with |r| ≤ log(2) / 2; log 2 in two parts, the first with 32 significant bits (Cody & Waite).
  const k = Math.round(x / Math.LN2);
  const r = x - k * 0.6931471803691238 - k * 1.9082149292705877e-10;
  let sum = 1;
  for (let n = 13; n >= 2; n--) sum = 1 + (sum * r) / n;
  const half = k >> 1;
  return (1 + r * sum) * powers[MOST_HALF + half] * powers[MOST_HALF + k - half];
}

/** log(1 + x) for x > −1, which keeps the digits of a small x (Kahan): the rounding of 1 + x is in both factors. */
export function portableLog1p(x: number): number {
  const u = 1 + x;
  return u === 1 ? x : (portableLog(u) * x) / (u - 1);
}

/** eˣ − 1, which keeps the digits of a small x (Kahan). */
export function portableExpm1(x: number): number {
  const u = portableExp(x);
  if (u === 1) return x;
  if (Math.abs(x) > 40) return u - 1;
  return ((u - 1) * x) / portableLog(u);
}

/** sin(x) for |x| up to about 1e5, to about 1e-15 absolutely. */
export function portableSin(x: number): number {
  // x = k π/2 + r with |r| <= π/4; π/2 in two parts, the first with 33 significant bits (Cody & Waite).
  const k = Math.round(x / (Math.PI / 2));
  const r = x - k * 1.5707963267341256 - k * 6.077100506506192e-11;
  const r2 = r * r;
  let sine = 0;
  let cosine = 0;
  for (let n = 20; n >= 2; n -= 2) {
    cosine = ((cosine + 1) * -r2) / (n * (n - 1));
    sine = ((sine + 1) * -r2) / (n * (n + 1));
  }
  const quadrant = ((k % 4) + 4) % 4;
  const value = quadrant % 2 === 0 ? r * (1 + sine) : 1 + cosine;
  return quadrant < 2 ? value : -value;
}

/** 1 / √(2π) */
const DENSITY_AT_0 = 0.3989422804014327;
/** Beyond, Φ is 0 or 1 to 1e-16. */
const FAR_OUT = 8.3;

/** The standard normal density. */
export function portableNormalDensity(x: number): number {
  return DENSITY_AT_0 * portableExp(-0.5 * x * x);
}

/**
 * The standard normal distribution function, to about 1e-15 absolutely: Φ(x) = ½ + φ(x) Σ x^(2k+1) / (2k+1)!! (Marsaglia 2004).
 * @param density φ(x), where it is known
 */
export function portableNormalCdf(x: number, density: number = portableNormalDensity(x)): number {
  if (x < -FAR_OUT) return 0;
  if (x > FAR_OUT) return 1;
  let [sum, term] = [0, x];
  for (let k = 1; sum + term !== sum; k++) {
    sum += term;
    term *= (x * x) / (2 * k + 1);
  }
  return 0.5 + sum * density;
}
