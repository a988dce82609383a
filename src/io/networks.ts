// A network's architecture as plain JSON, and back. What comes back is traced anew: each node goes through its primitive's
// own rules, as if a model's function had applied it. Nothing in a file is ever run.

import { sameShape, shapeText, sizeOf } from "../array/ndarray.ts";
import { FileError, LaplaceError } from "../errors.ts";
import type { DType } from "../kernels/memory.ts";
import type { AttributeReader } from "../network/attributes.ts";
import type { Graph } from "../network/graph.ts";
import type { Network } from "../network/network.ts";
import type { Parameter, Shape, Site } from "../network/parameters.ts";
import type { Node, Primitive } from "../network/primitive.ts";
import { primitives } from "../network/primitives/all.ts";
import { input } from "../network/primitives/input.ts";
import { registered } from "../network/registry.ts";
import { type ParameterDraft, Trace, type Traced } from "../network/trace.ts";
import { type Fields, numberJson } from "./fields.ts";
import { type Json, quoted } from "./json.ts";

/** A parameter of a site: its place in the flat vector. */
export interface ParameterJson {
  readonly name: string;
  readonly shape: Shape;
  readonly offset: number;
}

/** A site and its parameters. */
export interface SiteJson {
  readonly kind: Site["kind"];
  /** Of a linear site, where there is more than one. */
  readonly groups?: number;
  /** Of a linear site, where it is. */
  readonly transposed?: boolean;
  readonly weight?: ParameterJson;
  readonly bias?: ParameterJson;
  readonly scale?: ParameterJson;
  readonly shift?: ParameterJson;
}

/** A primitive applied to earlier nodes, which are given by their places in the list. */
export interface NodeJson {
  readonly primitive: string;
  readonly inputs: readonly number[];
  readonly attributes?: { readonly [name: string]: Json };
  /** The site's place in the list of sites. */
  readonly site?: number;
}

/** A network without the values of its parameters. The first node is the input, the last the output. */
export interface NetworkJson {
  readonly dtype: DType;
  readonly sites: readonly SiteJson[];
  readonly nodes: readonly NodeJson[];
  readonly frozen: readonly string[];
}

// Bounds for what a file can ask for; real networks are far below them.
const MOST_NODES = 100_000;
const MOST_WEIGHT_AXES = 4;
const MOST_INPUTS = 10_000;
/** Numbers that all values of one example have together. */
const MOST_NUMBERS = 2 ** 24;

const roles = { linear: ["weight", "bias"], elementwise: ["scale", "shift"] } as const;
type Role = "weight" | "bias" | "scale" | "shift";

/** Primitives by name. */
export type PrimitiveOf = (name: string) => Primitive<never> | undefined;

// A Map, because names come from files.
let own: Map<string, Primitive<never>> | undefined;

/** The primitive of that name: the library's own, or one that was registered. */
export const primitiveOf: PrimitiveOf = (name) => {
  own ??= new Map(primitives.map((primitive) => [primitive.name, primitive]));
  return own.get(name) ?? registered.get(name);
};

/** A node's attributes as files have them. */
function attributesJson({ primitive, attributes }: Node): { [name: string]: Json } | undefined {
  const plain = primitive.stored?.write(attributes) ?? attributes;
  const names = Object.keys(primitive.stored?.attributes ?? primitive.attributes ?? {});
  if (names.length === 0) return undefined;
  const values = plain as { readonly [name: string]: Json };
  const json = (value: Json) => (typeof value === "number" ? numberJson(value) : value);
  return Object.fromEntries(names.map((name) => [name, json(values[name])]));
}

function readAttributes({ stored, attributes }: Primitive<unknown>, fields: Fields, trace: Trace): unknown {
  const readers = Object.entries<AttributeReader<unknown>>(stored?.attributes ?? attributes ?? {});
  if (readers.length === 0) return undefined;
  const from = fields.object(
    "attributes",
    readers.map(([name]) => name),
  );
  const found = Object.fromEntries(readers.map(([name, read]) => [name, read(from, name)]));
  return stored === undefined ? found : stored.read(found, (layer, channels) => trace.statistics(layer, channels));
}

/** The architecture as JSON. @throws LaplaceError for a primitive that is not the library's own */
export function networkJson({ graph, dtype, frozen }: Network): NetworkJson {
  const places = new Map(graph.nodes.map((node, i) => [node, i]));
  const parameter = ({ name, shape, offset }: Parameter): ParameterJson => ({ name, shape, offset });
  const sites = graph.sites.map((site): SiteJson => {
    const all = Object.entries(site).filter(([role]) => (roles[site.kind] as readonly string[]).includes(role));
    const { groups = 1, transposed = false } = site.kind === "linear" ? site : {};
    const more = { ...(groups > 1 && { groups }), ...(transposed && { transposed }) };
    return {
      kind: site.kind,
      ...more,
      ...Object.fromEntries(all.map(([role, one]) => [role, parameter(one as Parameter)])),
    };
  });
  const nodes = graph.nodes.map((node: Node): NodeJson => {
    if ((primitiveOf(node.primitive.name) as unknown) !== node.primitive) {
      throw new LaplaceError(
        `The primitive "${node.primitive.name}" cannot be written to a file: definePrimitive(…) of laplace-ts/graph registers one.`,
      );
    }
    const attributes = attributesJson(node);
    return {
      primitive: node.primitive.name,
      inputs: node.inputs.map((input) => places.get(input) as number),
      ...(attributes !== undefined && { attributes }),
      ...(node.site !== undefined && { site: graph.sites.indexOf(node.site) }),
    };
  });
  return { dtype, sites, nodes, frozen: [...frozen].sort() };
}

/** A network that has been read, but for the values of its parameters. */
export interface ReadNetwork {
  readonly graph: Graph;
  readonly dtype: DType;
  readonly frozen: readonly string[];
}

/**
 * Reads an architecture.
 * @param parameterCount the number of parameters there are values for
 * @param primitives those that it may have; `primitiveOf` is all
 * @throws FileError unless everything in it fits together
 */
export function readNetwork(fields: Fields, parameterCount: number, primitives: PrimitiveOf): ReadNetwork {
  try {
    const graph = readGraph(fields, parameterCount, primitives);
    const freezable = [...graph.parameters, ...graph.buffers];
    const frozen = fields.texts("frozen", freezable.length);
    const names = new Set(freezable.map(({ name }) => name));
    const stray = frozen.find((name) => !names.has(name));
    if (stray !== undefined) throw new LaplaceError(`no parameter has the frozen name ${quoted(stray)}.`);
    return { graph, dtype: fields.choice("dtype", ["float32", "float64"]), frozen };
  } catch (cause) {
    if (!(cause instanceof LaplaceError) || cause instanceof FileError) throw cause;
    throw new FileError("malformed", `${fields.where}: ${cause.message}`, { cause });
  }
}

/** The names of an architecture's fields. */
export const networkFields: readonly (keyof NetworkJson)[] = ["dtype", "sites", "nodes", "frozen"];

function readGraph(fields: Fields, parameterCount: number, primitives: PrimitiveOf): Graph {
  const trace = new Trace();
  const sites = fields
    .objects("sites", MOST_NODES, ["kind", "groups", "transposed", ...roles.linear, ...roles.elementwise])
    .map((site) => readSite(trace, site, parameterCount));
  const nodes = fields.objects("nodes", MOST_NODES, ["primitive", "inputs", "attributes", "site"]);
  const values: Traced[] = [];
  let numbers = 0;
  for (const node of nodes) {
    const value = readNode(trace, node, values, sites, primitives);
    numbers += value.node.size;
    if (!(numbers <= MOST_NUMBERS)) throw new LaplaceError(`its values have more than ${MOST_NUMBERS} numbers.`);
    values.push(value);
  }
  if (values.length === 0) throw new LaplaceError("it has no nodes.");
  const graph = trace.finish(values[values.length - 1]);
  if (graph.nodes.length < nodes.length) throw new LaplaceError("it has nodes that do not lead to its output.");
  if (graph.sites.some((site) => graph.uses.get(site)?.length === 0)) throw new LaplaceError("a site is not used.");
  if (graph.parameterCount !== parameterCount) {
    throw new LaplaceError(
      `it has ${graph.parameterCount} parameters, but there are ${parameterCount} values for them.`,
    );
  }
  return graph;
}

const noValues = () => {};

/** A site whose parameters come next in the flat vector. */
function readSite(trace: Trace, fields: Fields, parameterCount: number): Site {
  const kind = fields.choice("kind", ["linear", "elementwise"]);
  const all = roles[kind].filter((role: Role) => fields.has(role));
  const given = new Map<Role, Fields>(all.map((role) => [role, fields.object(role, ["name", "shape", "offset"])]));
  const stray = [...roles.linear, ...roles.elementwise].find((role) => fields.has(role) && !given.has(role));
  if (stray !== undefined) throw new LaplaceError(`a ${kind} site has no ${stray}.`);
  const [[first, one] = ["", undefined]] = given;
  if (one === undefined || (kind === "linear" && first !== "weight"))
    throw new LaplaceError("a site lacks parameters.");
  const suffix = `.${first}`;
  const name = one.text("name");
  if (!name.endsWith(suffix))
    throw new LaplaceError(`the name of a ${first}, ${quoted(name)}, must end in "${suffix}".`);
  const whole = one.integers("shape", 1, MOST_WEIGHT_AXES);
  const [size, ...rest] = whole;
  const inputs = sizeOf(rest);
  if (!(size * inputs <= parameterCount)) throw new LaplaceError(`${quoted(name)} has too many values.`);
  if (kind === "elementwise" ? whole.length !== 1 : whole.length < 2) {
    const axes = kind === "elementwise" ? "one axis" : "two to four axes";
    throw new LaplaceError(`${quoted(name)} ${shapeText(whole)}: expected a ${first} of ${axes}.`);
  }
  const more = readLayout(kind, fields, size);
  // A transposed weight's outputs are not its rows: its primitive checks their number.
  const biases = more.transposed ? given.get("bias")?.integers("shape", 1, 1) : [size];
  const shapes: Record<Role, Shape> = { weight: whole, bias: biases ?? [size], scale: [size], shift: [size] };
  return trace.site(fields, name.slice(0, -suffix.length), (parameter) => {
    const make = (role: Role) => {
      const draft: ParameterDraft = { role, shape: shapes[role], initialise: noValues };
      const [made, found] = [parameter(draft), given.get(role) as Fields];
      const shape = found.integers("shape", 1, MOST_WEIGHT_AXES);
      if (
        made.name === found.text("name") &&
        sameShape(made.shape, shape) &&
        made.offset === found.integer("offset", 0)
      ) {
        return made;
      }
      throw new LaplaceError(
        `${quoted(found.text("name"))} ${shapeText(shape)}: expected "${made.name}" ${shapeText(made.shape)} @${made.offset}.`,
      );
    };
    const made = Object.fromEntries([...given.keys()].map((role) => [role, make(role)]));
    return (kind === "linear" ? { kind, inputs, outputs: size, ...more, ...made } : { kind, size, ...made }) as Site;
  });
}

/** Groups and transposition of a linear site. */
function readLayout(kind: Site["kind"], fields: Fields, rows: number): { groups?: number; transposed?: boolean } {
  const groups = fields.has("groups") ? fields.integer("groups", 2) : 1;
  const transposed = fields.has("transposed") && fields.boolean("transposed");
  if (kind !== "linear" && (groups > 1 || transposed)) throw new LaplaceError(`a ${kind} site has no groups.`);
  if (rows % groups !== 0) throw new LaplaceError(`${rows} outputs do not divide into ${groups} groups.`);
  return { ...(groups > 1 && { groups }), ...(transposed && { transposed }) };
}

function readNode(
  trace: Trace,
  fields: Fields,
  before: readonly Traced[],
  sites: readonly Site[],
  primitives: PrimitiveOf,
): Traced {
  const name = fields.text("primitive");
  const primitive = primitives(name) as Primitive<unknown> | undefined;
  if (primitive === undefined) {
    throw new LaplaceError(
      `${quoted(name)} is not a primitive that this version knows. One of your own must be defined before the file is read: definePrimitive(…) of laplace-ts/graph.`,
    );
  }
  const places = fields.integers("inputs", 0, MOST_INPUTS);
  const { inputs: arity } = primitive;
  if (arity === "some" ? places.length === 0 : places.length !== arity) {
    throw new LaplaceError(`"${name}" takes ${arity === "some" ? "one or more" : arity} inputs, not ${places.length}.`);
  }
  if ((primitive === (input as unknown)) !== (before.length === 0))
    throw new LaplaceError("the first node, and no other, is the input.");
  if (places.some((place) => place >= before.length)) {
    throw new LaplaceError(`the inputs of node ${before.length} must come before it.`);
  }
  const site = fields.has("site") ? sites[fields.integer("site", 0)] : undefined;
  if (site?.kind !== primitive.site) throw new LaplaceError(`"${name}" needs ${primitive.site ?? "no"} site.`);
  const attributes = readAttributes(primitive, fields, trace);
  if (attributes === undefined && fields.has("attributes")) throw new LaplaceError(`"${name}" has no attributes.`);
  const inputs = places.map((place) => before[place]);
  return trace.emit(primitive, inputs, attributes, site);
}
