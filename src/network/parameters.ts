// Parameters enter at sites of two kinds, and live side by side in one flat vector.

/** The length of each axis, for one example. */
export type Shape = readonly number[];

/** A parameter array within the flat vector. */
export interface Parameter {
  /** Layer and role: "0.weight". */
  readonly name: string;
  readonly shape: Shape;
  readonly size: number;
  /** Where it begins in the flat vector. */
  readonly offset: number;
}

/** An array that training updates, and that everything else takes as constant: a running statistic. */
export interface BufferArray extends Parameter {
  /** What its elements begin with. */
  readonly initial: number;
}

/**
 * A weight W, [outputs, inputs] as a matrix, row-major, whose derivative is a sum of products l ⊗ r over positions. In a
 * dense layer or a convolution l is what arrives at the outputs and r are the inputs, y = W r + b; where W is `transposed`
 * (an embedding, a transposed convolution), y is made of Wᵀ l, and r is what arrives.
 */
export interface LinearSite {
  readonly kind: "linear";
  readonly inputs: number;
  readonly outputs: number;
  /** Into how many blocks of outputs W falls, each with inputs of its own (default 1): grouped convolutions. */
  readonly groups?: number;
  readonly transposed?: boolean;
  readonly weight: Parameter;
  readonly bias?: Parameter;
}

/** y = s ⊙ x + t, or one of the two, over the last axis or the channels. */
export interface ElementwiseSite {
  readonly kind: "elementwise";
  readonly size: number;
  readonly scale?: Parameter;
  readonly shift?: Parameter;
}

/** Where parameters enter. One site may be used by several nodes: a layer applied twice shares its weights. */
export type Site = LinearSite | ElementwiseSite;

/** The parameter arrays of a site, in order. */
export function parametersOf(site: Site): Parameter[] {
  const all = site.kind === "linear" ? [site.weight, site.bias] : [site.scale, site.shift];
  return all.filter((parameter) => parameter !== undefined);
}
