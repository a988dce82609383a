// Every primitive there is. One more is a file of its own and a line here.

import type { Primitive } from "../primitive.ts";
import { add, affine, multiply } from "./arithmetic.ts";
import { addSinusoids, differs, maskedSoftmax, positions } from "./attention.ts";
import { convolution, transposedConvolution } from "./convolution.ts";
import { elementwise } from "./elementwise.ts";
import { embedding, paddedEmbedding } from "./embedding.ts";
import { input } from "./input.ts";
import { linear, scaleShift } from "./linear.ts";
import { matmul } from "./matmul.ts";
import { normalise } from "./normalise.ts";
import { averagePool, maxPool } from "./pooling.ts";
import { concatenate, permute, slice, sum } from "./rearrange.ts";
import { reshape } from "./reshape.ts";
import { softmax } from "./softmax.ts";
import { batchNormalise, dropout } from "./training.ts";

/** The library's own primitives. */
export const primitives = [
  ...[input, add, multiply, affine, reshape, concatenate, softmax],
  ...[permute, slice, sum],
  ...[elementwise, linear, scaleShift, embedding, paddedEmbedding, matmul, normalise],
  ...[convolution, transposedConvolution, maxPool, averagePool],
  ...[maskedSoftmax, differs, positions, addSinusoids],
  ...[dropout, batchNormalise],
] as readonly Primitive<never>[];
