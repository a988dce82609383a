// The elementwise functions that the kernels know.

/** The numbers of the elementwise functions in assembly/elementwise.ts. */
export const activationCode = {
  relu: 0,
  leakyRelu: 1,
  elu: 2,
  gelu: 3,
  silu: 4,
  softplus: 5,
  sigmoid: 6,
  tanh: 7,
  exp: 8,
  selu: 9,
  log: 10,
  erf: 11,
  cos: 12,
} as const;
