// Primitives from outside of the library.

import { checkChoice, LaplaceError, OptionError } from "../errors.ts";
import { bytesPerElement, inMemory, type Pointer } from "../kernels/memory.ts";
import type { Site } from "./parameters.ts";
import type { ForwardPass, Node, Primitive } from "./primitive.ts";
import { primitives } from "./primitives/all.ts";
import { registered } from "./registry.ts";
import { slopeRules } from "./rules.ts";
import { bendRule } from "./second-rules.ts";
import type { Traced } from "./trace.ts";

/**
 * Makes a primitive known by its name, so that files of networks and posteriors with it are written and read: define it before
 * a file is read. Its rules are the caller's word: compare `jvp` and `vjp` with differences once.
 * @returns the same primitive
 * @throws OptionError for a name that is taken, a rule that is missing, or no order
 */
export function definePrimitive<Attributes>(primitive: Primitive<Attributes>): Primitive<Attributes> {
  const { name } = primitive;
  if (typeof name !== "string" || name === "") throw new OptionError("definePrimitive: the name must be a text.");
  for (const rule of ["shape", "forward", "pushforward", "pullback"] as const) {
    if (typeof primitive[rule] !== "function") {
      throw new OptionError(`definePrimitive: "${name}" must have a function ${rule}.`);
    }
  }
  checkChoice("definePrimitive", "order", primitive.order, ["linear", "bilinear", "general"]);
  const known = primitives.find((one) => one.name === name) ?? registered.get(name);
  if (known !== undefined && known !== (primitive as unknown)) {
    throw new OptionError(`definePrimitive: there is a primitive "${name}" already; take another name.`);
  }
  registered.set(name, primitive as Primitive<never>);
  return primitive;
}

/**
 * Applies a primitive to traced values, in a model's function. A site brings parameters: `x.trace.site(…)` makes one.
 * @throws ShapeError where the primitive does not take their shapes, LaplaceError for values of different networks
 */
export function applyPrimitive<Attributes>(
  primitive: Primitive<Attributes>,
  inputs: readonly Traced[],
  attributes: Attributes,
  site?: Site,
): Traced {
  const where = `applyPrimitive: "${primitive?.name}"`;
  if (!Array.isArray(inputs)) throw new LaplaceError(`${where}: expected its inputs as a list, such as [x].`);
  const [first] = inputs;
  if (first === undefined) throw new LaplaceError(`${where} needs an input.`);
  for (const input of inputs) {
    if (typeof input?.trace?.emit === "function") continue;
    throw new LaplaceError(
      `${where}: expected values of the network that is being built as inputs, got ${typeof input}.`,
    );
  }
  return first.trace.emit(primitive, inputs, attributes, site);
}

/** A function of one number, with its derivative. */
export interface ElementwiseFunctions<Attributes> {
  /** φ(x) */
  value(x: number, attributes: Attributes): number;
  /** φ′(x), given y = φ(x) too. */
  slope(x: number, y: number, attributes: Attributes): number;
  /** φ″(x), given y = φ(x) too: for exact Hessians, which networks with the primitive do not have without it. */
  bend?(x: number, y: number, attributes: Attributes): number;
}

/** The rules of y = φ(x), applied to each element: all that a primitive needs besides its name and its attributes. */
export function elementwiseRules<Attributes = undefined>({
  value,
  slope,
  bend,
}: ElementwiseFunctions<Attributes>): Omit<Primitive<Attributes>, "name" | "attributes"> {
  /** Writes a number for each element of a batch, from x and y there. */
  const write = (
    node: Node<Attributes>,
    pass: ForwardPass,
    to: Pointer,
    of: (x: number, y: number, attributes: Attributes) => number,
  ) => {
    const bytes = bytesPerElement(pass.dtype);
    const [x, y, start] = [pass.value(node.inputs[0]) / bytes, pass.value(node) / bytes, to / bytes];
    const [count, { attributes }] = [pass.batch * node.size, node];
    inMemory(pass.dtype, (memory) => {
      for (let i = 0; i < count; i++) memory[start + i] = of(memory[x + i], memory[y + i], attributes);
    });
  };
  return {
    forward: (node, pass) => write(node, pass, pass.value(node), (x, _, attributes) => value(x, attributes)),
    ...slopeRules((node, pass, to) => write(node, pass, to, slope)),
    ...(bend !== undefined && {
      second: bendRule<Attributes>((node, pass, to) => write(node, pass, to, bend)),
    }),
  };
}
