// Solutions of linear systems by products with their matrix.

import { dot } from "../array/dot.ts";
import type { Steps } from "../kernels/steps.ts";

/** A system H x = b with a positive matrix, and when its solution is good enough. */
export interface System<Report> {
  times(v: Float64Array): Steps<Float64Array, Report>;
  readonly b: Float64Array;
  /** An approximation of H⁻¹ r. */
  before(r: Float64Array): Float64Array;
  /** Products at most. */
  readonly products: number;
  /** @param rz rᵀ before(r) */
  enough(r: Float64Array, rz: number): boolean;
  /**
   * The radius of a region √(xᵀ M x) ≤ radius, M⁻¹ being `before`, at whose boundary the solution ends, also along a direction in
   * which H is not positive (Steihaug 1983). @param rz of b
   */
  radius?(rz: number): number;
}

/** What was found: the solution so far, b − H x (but at the boundary of a region), the products taken, and pᵀHp of a direction p in which H is not positive. */
export interface Solved {
  readonly x: Float64Array;
  readonly residual: Float64Array;
  readonly taken: number;
  /** bᵀx − ½ xᵀHx */
  readonly decrease: number;
  /** √(xᵀ M x) */
  readonly length: number;
  /** Whether it ends at the boundary of the region. */
  readonly bounded: boolean;
  readonly notPositive: number | undefined;
}

/** A solution in a region, and the way to it. */
export interface Way extends Solved {
  /** The solution in a region that is no larger, which needs no products. */
  within(radius: number): Solved;
}

/** Where a turn begins: at x along p, rᵀz and pᵀHp there, xᵀMx, xᵀMp and pᵀMp, and bᵀx − ½ xᵀHx. */
interface Turn {
  readonly x: Float64Array;
  readonly p: Float64Array;
  readonly residual: Float64Array;
  readonly rz: number;
  readonly curve: number;
  readonly xx: number;
  readonly xp: number;
  readonly pp: number;
  readonly decrease: number;
}

/** Whether a turn leaves a region. */
function leaves(turn: Turn, radius: number): boolean {
  const { rz, curve, xx, xp, pp } = turn;
  const by = rz / curve;
  return !(curve > 0) || xx + 2 * by * xp + by * by * pp >= radius * radius;
}

/** The solution where a turn, one of `taken`, meets the boundary. */
function atBoundary({ x, p, residual, rz, curve, xx, xp, pp, decrease }: Turn, radius: number, taken: number): Solved {
  const by = (Math.sqrt(xp * xp + pp * (radius * radius - xx)) - xp) / pp;
  return {
    x: x.map((at, i) => at + by * p[i]),
    decrease: decrease + (by * rz - 0.5 * by * by * curve),
    ...{ residual, taken, length: radius, bounded: true, notPositive: undefined },
  };
}

/** Conjugate gradients (Hestenes & Stiefel 1952), until it is enough, or the matrix is not positive along a direction. */
export function* conjugateGradients<Report>(system: System<Report>): Steps<Way, Report> {
  const { b, products } = system;
  const [x, residual] = [new Float64Array(b.length), b.slice()];
  let z = system.before(residual);
  let rz = dot(residual, z);
  const p = z.slice();
  const radius = system.radius?.(rz);
  let [xx, xp, pp] = [0, 0, rz];
  let [taken, decrease] = [0, 0];
  /** Of a region, all turns. */
  const turns: Turn[] = [];
  const found = (last: Solved): Way => {
    const within = (smaller: number) => {
      const at = turns.findIndex((turn) => leaves(turn, smaller));
      return at < 0 ? last : atBoundary(turns[at], smaller, at + 1);
    };
    return { ...last, within };
  };
  const inside = (notPositive?: number): Way =>
    found({ x, residual, taken, decrease, length: Math.sqrt(xx), bounded: false, notPositive });
  while (taken < products && !system.enough(residual, rz)) {
    const hp = yield* system.times(p);
    taken++;
    const curve = dot(p, hp);
    if (radius !== undefined) {
      const turn = { x: x.slice(), p: p.slice(), residual: residual.slice(), rz, curve, xx, xp, pp, decrease };
      turns.push(turn);
      if (leaves(turn, radius)) return found(atBoundary(turn, radius, taken));
    } else if (!(curve > 0)) return inside(curve);
    const by = rz / curve;
    for (let i = 0; i < x.length; i++) x[i] += by * p[i];
    // pᵀr = rᵀz, as p and the solution so far are conjugate.
    decrease += by * rz - 0.5 * by * by * curve;
    xx += 2 * by * xp + by * by * pp;
    for (let i = 0; i < x.length; i++) residual[i] -= by * hp[i];
    z = system.before(residual);
    const next = dot(residual, z);
    const turn = next / rz;
    for (let i = 0; i < p.length; i++) p[i] = z[i] + turn * p[i];
    xp = turn * (xp + by * pp);
    pp = next + turn * turn * pp;
    rz = next;
  }
  return inside();
}
