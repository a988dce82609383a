// Random Fourier features: cosines of random frequencies, with which a linear layer is nearly a Gaussian process.

import { Random } from "../../array/random.ts";
import { checkBoolean, checkInteger, checkNumber, checkOptions, OptionError } from "../../errors.ts";
import { cos, type Layer, lastAxis, multiply, requireTraced } from "../layers.ts";
import { linear, scaleShift } from "../primitives/linear.ts";
import type { Initialiser } from "../trace.ts";

/** Options of `fourierFeatures`. */
export interface FourierFeaturesOptions {
  /** How many cosines. */
  features: number;
  /** Whether each input has a scale of its own, its relevance, which is learned (default false). */
  relevance?: boolean;
  /** ℓ: over how many of the mean distances of standardised inputs the functions change (default 1). */
  lengthScale?: number;
  /** Seed of frequencies and phases (default: they are drawn with the network's other parameters). */
  seed?: number;
  /** The layer's name in the table of parameters (default: its number). */
  name?: string;
}

/**
 * √(2/M) cos(Ω (w ⊙ x) / (ℓ √d) + b) of a vector of d inputs, or of each row: M features with random frequencies Ω, standard normal,
 * and phases b, uniform in [0, 2π), which are frozen (Rahimi & Recht 2007). A linear layer over them has the prior of a Gaussian process whose
 * covariance is about exp(−‖x − x′‖² / (2 ℓ² d)): take inputs that are standardised. With `relevance` the scales w of the inputs, all 1 at the beginning, are
 * parameters that `lastLayerEvidence()` learns: automatic relevance determination. @throws OptionError, ShapeError
 */
export function fourierFeatures(options: FourierFeaturesOptions): Layer {
  const where = "fourierFeatures";
  if (typeof options !== "object" || options === null) {
    throw new OptionError(`${where}: expected options, such as { features: 300 }, not ${typeof options}.`);
  }
  checkOptions(where, options, ["features", "relevance", "lengthScale", "seed", "name"]);
  const { features, relevance = false, lengthScale = 1, seed, name } = options;
  checkInteger(where, "features", features, 1);
  checkBoolean(where, "relevance", relevance);
  checkNumber(where, "lengthScale", lengthScale, 0, true);
  if (seed !== undefined) checkInteger(where, "seed", seed, 0);
  const layer: Layer = (x) => {
    requireTraced(where, x);
    const inputs = lastAxis(where, x);
    const scaled = relevance
      ? x.trace.emit(
          scaleShift,
          [x],
          { axis: "last" },
          x.trace.site(
            layer,
            name,
            (parameter) => ({
              kind: "elementwise",
              size: inputs,
              scale: parameter({ role: "scale", shape: [inputs], initialise: (values) => values.fill(1) }),
            }),
            "relevance",
          ),
        )
      : x;
    const own = seed === undefined ? undefined : new Random(seed);
    const drawn = (draw: (random: Random) => number): Initialiser => {
      return (values, random) => {
        for (let i = 0; i < values.length; i++) values[i] = draw(own ?? random);
      };
    };
    const length = lengthScale * Math.sqrt(inputs);
    const site = x.trace.site(
      layer,
      name,
      (parameter) => ({
        kind: "linear",
        inputs,
        outputs: features,
        weight: parameter({
          role: "weight",
          shape: [features, inputs],
          initialise: drawn((random) => random.normal() / length),
          frozen: true,
        }),
        bias: parameter({
          role: "bias",
          shape: [features],
          initialise: drawn((random) => 2 * Math.PI * random.uniform()),
          frozen: true,
        }),
      }),
      "frequencies",
    );
    return multiply(cos(x.trace.emit(linear, [scaled], undefined, site)), Math.sqrt(2 / features));
  };
  return layer;
}
