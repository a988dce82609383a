// The hyperparameters of likelihoods: numbers beside the network's outputs, which the evidence can tune.

/** What a likelihood says of its own. */
interface HyperParts {
  readonly name?: string;
  readonly value?: number;
  readonly ratios?: readonly number[] | undefined;
  readonly apart?: boolean;
  readonly normaliser?: number;
}

/**
 * The hyperparameters σ_c = σ r_c of a likelihood's outputs c, such as a Gaussian's noise; all 1 where it has none. The −log
 * density of a target is loss / σ_c² + log σ_c + what does not depend on them. So the loss and the curvature of a fit are sums
 * at σ = 1, which any σ divides by σ², and those of an output by r_c² too.
 */
export class Hyper {
  /** What options and reports call it; undefined where there is none. */
  readonly name: string | undefined;
  /** σ, the geometric mean of the σ_c. */
  readonly value: number;
  /** r_c; undefined where all are 1, whatever the number of outputs. */
  readonly ratios: readonly number[] | undefined;
  /** Whether the ratios are tuned too: a fit keeps the curvatures of the outputs apart, from which that at any ratios is made. */
  readonly apart: boolean;
  /** What −log density of a target has besides loss / σ² and `constant`, in the mean over the outputs. */
  readonly normaliser: number;

  constructor({ name, value = 1, ratios, apart = false, normaliser = 0 }: HyperParts = {}) {
    this.name = name;
    this.value = value;
    this.ratios = ratios;
    this.apart = apart;
    this.normaliser = normaliser;
  }

  /** Whether there is one. */
  get any(): boolean {
    return this.name !== undefined;
  }

  /** r_c */
  ratio(c: number): number {
    return this.ratios?.[c] ?? 1;
  }

  /** σ_c */
  of(c: number): number {
    return this.value * this.ratio(c);
  }

  /** 1 / r_c², by which loss and curvature of an output count in sums at σ = 1. */
  weight(c: number): number {
    return this.ratio(c) ** -2;
  }

  /** The σ at which targets are likeliest whose losses at σ = 1 have that sum; so many, less the parameters fitted to them. */
  shownBy(loss: number, count: number): number {
    return Math.sqrt((2 * loss) / count);
  }

  /** In words: ", noise 0.1", or nothing. */
  get text(): string {
    return this.name === undefined ? "" : `, ${this.name} ${this.value.toPrecision(4)}`;
  }

  /** What a file says of it, beside the likelihood's entry. */
  get entry(): Readonly<Record<string, unknown>> {
    return this.name === undefined ? {} : { [this.name]: this.value, ratios: this.ratios };
  }
}

/** Of likelihoods without. */
export const noHyper = new Hyper();
