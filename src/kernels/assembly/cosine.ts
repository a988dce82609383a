// The cosine and its derivative, on one vector as in math.ts.
//
// cos x = -(-1)^j sin(x - (j + 1/2) pi) and -sin x = -(-1)^j sin(x - j pi), with what is left within pi / 2: near a zero of
// the cosine its digits are those of what is left. From |x| of 2^22 (float32: 2^12) on, products with pi round, as if x were
// another in its last places.

import { HALF_PI, INVERSE_PI, MAGIC, PI_HIGH, PI_LOW, PI_MIDDLE, SINE_32, SINE_64 } from "./coefficients";
import { multiplyAdd, multiplySubtract } from "./fused";
import { constant, polynomial } from "./math";

/** -(-1)^j sin(x - (j + offset) pi), j an integer: cos x for the offset 1/2, its derivative for 0. */
// @ts-ignore: decorator
@inline
export function waveOf<F>(x: v128, offset: v128): v128 {
  const magic = constant<F>(MAGIC);
  const t = v128.add<F>(v128.sub<F>(v128.mul<F>(x, constant<F>(INVERSE_PI)), offset), magic);
  const c = v128.add<F>(v128.sub<F>(t, magic), offset);
  let r = multiplySubtract<F>(c, constant<F>(PI_HIGH), x);
  r = multiplySubtract<F>(c, constant<F>(PI_MIDDLE), r);
  r = multiplySubtract<F>(c, constant<F>(PI_LOW), r);
  // Where x is so large that nothing is left of its digits, the result is one of a sine all the same.
  const end = constant<F>(HALF_PI);
  r = v128.pmax<F>(v128.pmin<F>(r, end), v128.neg<F>(end));
  const z = v128.mul<F>(r, r);
  const p = sizeof<F>() == 8 ? polynomial<F>(z, 7, SINE_64) : polynomial<F>(z, 4, SINE_32);
  const y = multiplyAdd<F>(v128.mul<F>(r, z), p, r);
  // The bias of MAGIC is odd: the last bit of t is that of j + 1.
  return v128.xor(y, sizeof<F>() == 8 ? i64x2.shl(t, 63) : i32x4.shl(t, 31));
}
