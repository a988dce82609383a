// A checkpoint's tensors as the leaves of the tree that their names are: modules, and what is in each.

/** What a tensor is in its module. A parameter by itself, such as a class token, is a "value". */
export type Role = "weight" | "bias" | "running_mean" | "running_var" | "value";

/** One array as a module has it: a tensor, several beneath each other, or some rows of one. */
export interface Source {
  readonly names: readonly string[];
  readonly shape: readonly number[];
  /** Whether it is [inputs, outputs] by its name, as Keras and Flax have "kernel". */
  readonly kernel: boolean;
  /** The rows that are meant, where the tensor has several arrays beneath each other. */
  readonly rows?: readonly [first: number, end: number];
}

/** The arrays of one module. */
export interface Leaf {
  /** Its place in the tree. */
  readonly path: readonly string[];
  readonly arrays: ReadonlyMap<Role, Source>;
}

const roles: ReadonlyMap<string, Role> = new Map([
  ["weight", "weight"],
  ["kernel", "weight"],
  ["embedding", "weight"],
  ["gamma", "weight"],
  ["scale", "weight"],
  ["bias", "bias"],
  ["beta", "bias"],
  ["shift", "bias"],
  ["running_mean", "running_mean"],
  ["moving_mean", "running_mean"],
  ["running_var", "running_var"],
  ["moving_variance", "running_var"],
]);

/** Whether a name is that of a module or array, or of what is in it. */
export const within = (name: string, of: string): boolean =>
  name === of || name.startsWith(`${of}.`) || name.startsWith(`${of}/`);

/** Where a tensor stands: torch/nn/modules/rnn.py and activation.py have names of their own. */
function placeOf(name: string): { path: string[]; role: Role } {
  const path = name.split(/[./]/);
  const last = path.pop() as string;
  const role = roles.get(last);
  if (role !== undefined) return { path, role };
  const recurrent = /^(weight|bias)_(ih|hh)_l(\d+)(_reverse)?$/.exec(last);
  if (recurrent !== null) {
    const [, kind, side, layer, reverse] = recurrent;
    // Inputs come before states, one direction before the other.
    const places = [`l${layer}`, reverse === undefined ? "0" : "1", side === "ih" ? "0" : "1"];
    return { path: [...path, ...places], role: kind as Role };
  }
  const joined = /^(in_proj)_(weight|bias)$/.exec(last);
  if (joined !== null) return { path: [...path, joined[1]], role: joined[2] as Role };
  return { path: [...path, last], role: "value" };
}

const keyOf = (path: readonly string[]) => JSON.stringify(path);

/** The leaves, in the order in which their names are met. Two tensors of one role in one module are leaves of their own. */
export function leavesOf(shapes: ReadonlyMap<string, readonly number[]>): Leaf[] {
  const leaves = new Map<string, { path: string[]; arrays: Map<Role, Source> }>();
  for (const [name, shape] of shapes) {
    const place = placeOf(name);
    const kernel = /(^|[./])kernel$/.test(name);
    const twice = leaves.get(keyOf(place.path))?.arrays.has(place.role);
    const path = twice ? [...place.path, name] : place.path;
    const known = leaves.get(keyOf(path));
    const leaf = known ?? { path, arrays: new Map() };
    leaf.arrays.set(twice ? "value" : place.role, { names: [name], shape, kernel });
    if (known === undefined) leaves.set(keyOf(path), leaf);
  }
  return [...leaves.values()];
}

/** What projections to queries, keys and values are called beside each other. */
const projections = [
  ["query", "key", "value"],
  ["q", "k", "v"],
  ["q_proj", "k_proj", "v_proj"],
  ["query_proj", "key_proj", "value_proj"],
  ["q_lin", "k_lin", "v_lin"],
  ["to_q", "to_k", "to_v"],
  ["wq", "wk", "wv"],
];

/** Three arrays beneath each other; undefined where they do not fit together. */
function stacked(parts: readonly Leaf[]): Leaf | undefined {
  const arrays = new Map<Role, Source>();
  for (const [role, { shape, kernel }] of parts[0].arrays) {
    const sources = parts.map((part) => part.arrays.get(role));
    if (kernel || sources.some((one) => one === undefined || String(one.shape) !== String(shape))) return undefined;
    const names = sources.flatMap((one) => (one as Source).names);
    arrays.set(role, { names, shape: [3 * shape[0], ...shape.slice(1)], kernel: false });
  }
  if (parts.some((part) => part.arrays.size !== arrays.size)) return undefined;
  return { path: [...parts[0].path.slice(0, -1), "in_proj"], arrays };
}

/** The leaves with queries, keys and values of one module as one, as `multiHeadAttention` has them. */
export function joinedAttention(leaves: readonly Leaf[]): Leaf[] {
  const known = new Map(leaves.map((leaf) => [keyOf(leaf.path), leaf]));
  const gone = new Set<Leaf>();
  const joined = leaves.map((leaf) => {
    const parent = leaf.path.slice(0, -1);
    for (const names of projections) {
      if (leaf.path.at(-1) !== names[0]) continue;
      const parts = names.map((name) => known.get(keyOf([...parent, name])));
      if (parts.some((part) => part === undefined)) continue;
      const whole = stacked(parts as Leaf[]);
      if (whole === undefined) continue;
      for (const part of parts) gone.add(part as Leaf);
      return whole;
    }
    return leaf;
  });
  return joined.filter((leaf) => !gone.has(leaf));
}

/** The leaves with PyTorch's in_proj as three, for networks whose queries, keys and values are layers of their own. */
export function splitAttention(leaves: readonly Leaf[]): Leaf[] {
  return leaves.flatMap((leaf) => {
    const shapes = [...leaf.arrays.values()].map(({ shape }) => shape);
    if (leaf.path.at(-1) !== "in_proj" || shapes.some(([rows]) => rows % 3 !== 0)) return [leaf];
    return [0, 1, 2].map((i) => {
      const part = (one: Source): Source => {
        const rows = one.shape[0] / 3;
        return { ...one, shape: [rows, ...one.shape.slice(1)], rows: [i * rows, (i + 1) * rows] };
      };
      const arrays = new Map([...leaf.arrays].map(([role, one]) => [role, part(one)]));
      return { path: [...leaf.path, String(i)], arrays };
    });
  });
}

/** A name without its numbers, and those numbers: siblings of one stem come one after the other. */
export function numbered(name: string): { stem: string; numbers: number[] } {
  return { stem: name.replace(/\d+/g, "#"), numbers: (name.match(/\d+/g) ?? []).map(Number) };
}

/** By numbers: negative where a comes first; 0 for the same ones. */
export function compareNumbers(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((number, i) => number !== b[i]);
  return at === -1 ? 0 : a[at] - b[at];
}
