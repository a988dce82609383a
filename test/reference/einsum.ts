// Einstein's sum by its definition: a loop over every value of every label.

export interface Term {
  /** One letter for each axis. */
  labels: string;
  data: ArrayLike<number>;
}

/** The sums, row-major by `output`, and the same over absolute values, for error bounds. */
export function einsum(terms: readonly Term[], output: string, lengths: Readonly<Record<string, number>>) {
  const labels = [...new Set(terms.flatMap((term) => [...term.labels]))];
  const elements = [...output].reduce((product, label) => product * lengths[label], 1);
  const sums = new Array<number>(elements).fill(0);
  const sizes = new Array<number>(elements).fill(0);
  const at: Record<string, number> = {};
  const position = (names: string) => [...names].reduce((offset, label) => offset * lengths[label] + at[label], 0);
  const visit = (depth: number) => {
    if (depth === labels.length) {
      const product = terms.reduce((value, term) => value * term.data[position(term.labels)], 1);
      sums[position(output)] += product;
      sizes[position(output)] += Math.abs(product);
      return;
    }
    for (at[labels[depth]] = 0; at[labels[depth]] < lengths[labels[depth]]; at[labels[depth]]++) visit(depth + 1);
  };
  visit(0);
  const summed = labels.filter((label) => !output.includes(label));
  const count = summed.reduce((product, label) => product * lengths[label], 1);
  return { sums, sizes, count };
}
