// Constants of the elementary functions for each element type, in memory: V8 would build a constant anew at each use.
//
// The polynomials, highest power first, minimise the largest relative error (Remez's exchange algorithm in 45 digits;
// the comment gives the error's bound). The last bits of TAIL_32 and SLOPE_32 were then chosen
// for the least error in float32 arithmetic. With s = f / (2 + f), z = s^2, t = (a - c) / (a + c) and c = TAIL_CENTRE:
//   EXPM1  (e^r - 1 - r) / r^2                            for |r| <= ln 2 / 2
//   LOG1P  (log(1 + f) / s - 2) / z                       for 0 <= f <= 1
//   LOG    the same                                       for 1/sqrt 2 <= 1 + f <= sqrt 2
//   ERF    erf(x) / x - 1, in powers of x^2               for |x| <= 1
//   TAIL   (a + 1) G(a), G(a) = e^(a^2/2) P(N > a), N normal, in powers of t; for 0 <= a <= TAIL_END
//   SINE   (sin r / r - 1) / r^2, in powers of r^2        for |r| <= pi / 2
//   SLOPE  (G(a) - a / sqrt(2 pi)) / (a - a0), in powers of t; for 0 <= a <= TAIL_END, a0 where the numerator is 0

export const EXPM1_64 = memory.data<f64>([ // 2^-61.7
  2.0924444114823253e-09, 2.5109022791725147e-08, 2.7557242757508115e-07, 2.755724424993538e-06,
  2.480158736055582e-05, 0.00019841269886085097, 0.0013888888888866843, 0.008333333333321648,
  0.0416666666666667, 0.16666666666666677, 0.5,
]);

export const EXPM1_32 = memory.data<f32>([ // 2^-32.0
  0.000199141548, 0.00139409758, 0.00833327323, 0.041666355, 0.166666672, 0.5,
]);

export const LOG1P_64 = memory.data<f64>([ // 2^-59.4
  0.17003973051083152, 0.08348500856651035, 0.12104022682810084, 0.13301255988691968, 0.1538653639069785,
  0.18181745150137782, 0.2222222393043694, 0.2857142854858766, 0.40000000000150215, 0.6666666666666633,
]);

export const LOG1P_32 = memory.data<f32>([ // 2^-27.7
  0.280168414, 0.280009091, 0.400215715, 0.666664183,
]);

export const LOG_64 = memory.data<f64>([ // 2^-59.4
  0.14788598326645838, 0.15314844949334497, 0.18183530371258766, 0.22222199298944761, 0.28571428734349236,
  0.3999999999945727, 0.6666666666666726,
]);

export const LOG_32 = memory.data<f32>([ // 2^-30.2
  0.298672616, 0.399777442, 0.666667759,
]);

export const ERF_64 = memory.data<f64>([ // 2^-56.9
  -7.779746208026742e-10, 1.3711139101907367e-08, -1.620635298075468e-07, 1.6447137060871106e-06,
  -1.4924712780461485e-05, 0.00012055293603784697, -0.0008548325930288686, 0.005223977606140577,
  -0.026866170643114407, 0.11283791670944204, -0.3761263890318352, 0.12837916709551256,
]);

export const ERF_32 = memory.data<f32>([ // 2^-29.6
  7.85402663e-05, -0.000801025482, 0.00518833613, -0.0268538166, 0.112835854, -0.37612626, 0.128379166,
]);

export const SINE_64 = memory.data<f64>([ // 2^-61.6
  2.7211748852492314e-15, -7.642991482374506e-13, 1.6058939705649653e-10, -2.505210687279783e-08,
  2.7557319211137233e-06, -0.00019841269841209218, 0.008333333333333194, -0.16666666666666666,
]);

export const SINE_32 = memory.data<f32>([ // 2^-35.3
  -2.3888907e-08, 2.7525384e-06, -0.00019840868, 0.008333331, -0.16666667,
]);

export const TAIL_64 = memory.data<f64>([ // 2^-56.5
  6.97816030929015e-10, 3.858492134586013e-09, 4.670579984083663e-10, -3.153344025136817e-08,
  -2.190404451720515e-08, 1.9823189000524567e-07, 1.2446435557365151e-07, -1.3094667937156425e-06,
  -6.870858915280567e-08, 9.06095761478242e-06, -9.896596518801702e-06, -5.360796565967713e-05,
  0.00018233424090146648, 7.79167770384438e-06, -0.001676072355695637, 0.006522000657794224,
  -0.015170415401795399, 0.02453696324435854, -0.026401042966329964, 0.010002352385208246, 0.03103036842596391,
  -0.09155228183400885, 0.46151582985003775,
]);

export const TAIL_32 = memory.data<f32>([ // 2^-29.1
  -7.19794771e-05, -6.15373938e-05, 0.0006922147, -0.000303445675, -0.00500394544, 0.0179402269, -0.0321973376,
  0.0285999756, 0.0139996065, -0.0967034623, 0.4720532,
]);

export const SLOPE_64 = memory.data<f64>([ // 2^-61.2
  2.6955227478532486e-11, 3.498527232826122e-12, -4.032814388180787e-10, -2.639366404483118e-10,
  3.1234133275377946e-09, 2.4447943147317413e-09, -2.209527703447205e-08, -1.2473701486248732e-08,
  1.6896044087341406e-07, -2.139675555519456e-08, -1.3602399195222513e-06, 1.9927324456136684e-06,
  9.201188179980967e-06, -4.0646971684782485e-05, 1.519577004767695e-05, 0.00044053062182483583,
  -0.0023021837231121576, 0.007334310929262514, -0.017807831556908352, 0.03553512146914582,
  -0.06048781355387043, 0.08979658026980383, -0.45143549526340543,
]);

export const SLOPE_32 = memory.data<f32>([ // 2^-31.8
  1.25223266e-06, 1.88497597e-05, 1.38695104e-05, -0.000187342681, 0.000155607369, 0.00178876868,
  -0.00950506981, 0.0280833039, -0.0604629181, 0.103365906, -0.462211251,
]);

// The upper half of a number's bits; the square of what they keep is exact.
export const HEAD_64 = memory.data<u64>([0xfffffffff8000000]);
export const HEAD_32 = memory.data<u32>([0xfffff000]);

// The numbers below, by their place in CONSTANTS.
export const ONE = 0;
export const TWO = 1;
export const SIGN = 2; // the sign bit alone
export const LOG2_E = 3;
export const LN2_HIGH = 4; // short enough for exact products with exponents
export const LN2_LOW = 5;
export const MAGIC = 6; // a sum with it has, in its low bits, the other summand as a biased exponent
export const SHIFTED_MAGIC = 7; // for exponents larger by 128 (float64) or 64 (float32): none is denormal then
export const UNSHIFT = 8; // 2^-128, 2^-64
export const EXP_START = 9; // e^x x is 0 below it
export const EXP_END = 10; // e^x is infinite above it
export const EXPM1_START = 11; // e^x - 1 is -1 below it
export const HALF = 12;
export const TAIL_CENTRE = 13;
export const ERF_SLOPE = 14; // 2 / sqrt(pi)
export const SQRT2 = 15;
export const ERF_END = 16; // erf is 1 above it
export const ERF_SLOPE_END = 17; // e^(-x^2) is 0 above it
export const TAIL_END = 18; // a e^(-a^2/2) is 0 above it
export const SMALLEST = 19; // normal number
export const ENLARGE = 20; // 2^54, 2^24: makes denormal numbers normal
export const ENLARGE_EXPONENT = 21;
export const INFINITE = 22;
export const MINUS_INFINITE = 23; // the bits of sign and exponent
export const ROOT_HALF = 24; // 1 / sqrt 2
export const WHOLE = 25; // 2^52, 2^23: the bits of an integer below it in the place of its last bits add that integer
export const EXPONENT_OFFSET = 26; // 2^52 + 1023, 2^23 + 127
export const ROOT_HIGH = 27; // a0
export const ROOT_LOW = 28;
export const INVERSE_PI = 29;
export const PI_HIGH = 30; // pi in three parts, the first two short enough for exact products with integers
export const PI_MIDDLE = 31;
export const PI_LOW = 32;
export const HALF_PI = 33;

export const CONSTANTS_64 = memory.data<f64>([
  1.0, 2.0, -0.0, 1.4426950408889634, 0.6931471805598903, 5.497923018708371e-14,
  6755399441056767.0, 6755399441056895.0, 2.938735877055719e-39, -760.0, 710.0, -40.0, 0.5,
  5.0, 1.1283791670955126, 1.4142135623730951, 6.0, 27.5, 39.0,
  2.2250738585072014e-308, 18014398509481984.0, 54.0, Infinity, -Infinity,
  0.7071067811865476, 4503599627370496.0, 4503599627371519.0, 0.7517915246935645, -1.4956759177009883e-17,
  0.3183098861837907, 3.141592651605606, 1.9841871583270443e-09, 1.034036596358821e-18, 1.5707963267948966,
]);

export const CONSTANTS_32 = memory.data<f32>([
  1.0, 2.0, -0.0, 1.44269504, 0.693145751953125, 1.428606765330187e-06,
  12583039.0, 12583103.0, 5.421010862427522e-20, -112.0, 89.0, -20.0, 0.5,
  4.0, 1.12837917, 1.41421356, 4.0, 10.5, 15.0,
  1.1754943508222875e-38, 16777216.0, 24.0, Infinity, -Infinity,
  0.70710678, 8388608.0, 8388735.0, 0.7517915368080139, -1.211444945855772e-08,
  0.31830987, 3.140625, 0.0009675025939941406, 1.509958e-07, 1.5707964,
]);
