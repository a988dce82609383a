// The last linear layer of many outputs. The sum of c_k c_kᵀ over the columns of Λ^½ is known there, so none is written at the
// outputs: contractions take Λ itself, and what lies below the layer is given columns behind it, in closed form; no more of them
// than it has inputs, where each is then pulled through other layers.

import { withClasses } from "../kernels/classes.ts";
import {
  allocateFloats,
  bytesPerElement,
  copyIn,
  type FloatArray,
  inMemory,
  type Pointer,
  scope,
} from "../kernels/memory.ts";
import type { Graph } from "../network/graph.ts";
import type { LinearSite, Shape } from "../network/parameters.ts";
import { type Outputs, outputsOf } from "../network/part-outputs.ts";
import { type Node, siteUseOf } from "../network/primitive.ts";
import type { Columns } from "../network/run.ts";
import { OutputSpread, writeCholeskyColumns } from "./spreads.ts";

/** The layer whose outputs are the network's. */
export interface Head {
  readonly site: LinearSite;
  /** The columns that are put on its inputs, and what those at the outputs sum to. */
  behind(reaches: (node: Node) => boolean): Columns;
}

/** The head of a network whose outputs have that shape; undefined where its columns are to be written. */
export type HeadOf = (graph: Graph, outputs: Shape) => Head | undefined;

/** What a likelihood says of Λ: diag(q) − q qᵀ / Σ q of groups of outputs that are `shared`, diag(q) where each stands for itself. */
interface ClosedForm {
  readonly shared: boolean;
  /** Writes q, [B, C]; of targets t. */
  write(outputs: Outputs, to: Pointer, t: Pointer): void;
  /** Whether groups are the rows of the last axis; needed where they are shared. */
  inRows?(shape: Shape): boolean;
  dropIgnored?(outputs: Outputs, targets: Pointer, columns: number, at: Pointer): void;
}

/** Finds the head of networks. */
export function headsBy({ shared, write, inRows, dropIgnored }: ClosedForm): HeadOf {
  return (graph, outputs) => {
    const site = plainSite(graph);
    if (site === undefined || inRows?.(outputs) === false) return undefined;
    const node = graph.output;
    return {
      site,
      behind: (reaches) => ({
        ...columnsBehind(graph, site, shared, reaches),
        spread(part) {
          const { weights, count: batch, targets } = part;
          const f = outputsOf(part);
          const { dtype, kernels } = f;
          const q = allocateFloats(dtype, batch * node.size);
          write(f, q, targets);
          dropIgnored?.(f, targets, 1, q);
          if (weights !== undefined) {
            scope(() => kernels.scaleRows(batch, node.size, q, copyIn(dtype, weights), 1, q));
          }
          return new OutputSpread(dtype, node, (batch * node.size) / site.outputs, site.outputs, shared, q);
        },
      }),
    };
  };
}

/** Writes the squares of entries of Λ^½ where that is diagonal: q. */
export function squaresOf(
  rootsOf: (outputs: Outputs, memory: FloatArray, t: Pointer) => (i: number) => number,
): ClosedForm["write"] {
  return (outputs, to, t) =>
    inMemory(outputs.dtype, (memory) => {
      const root = rootsOf(outputs, memory, t);
      const start = to / bytesPerElement(outputs.dtype);
      for (let i = 0; i < outputs.batch * outputs.outputs; i++) memory[start + i] = root(i) ** 2;
    });
}

/** The site of a dense layer on the outputs that is used once. */
function plainSite({ output, uses }: Graph): LinearSite | undefined {
  const { site } = output;
  if (site?.kind !== "linear" || uses.get(site)?.length !== 1) return undefined;
  const { groups = 1, transposed = false } = site;
  const { left, right } = siteUseOf(output);
  const plain = (side: typeof left) => side?.unfold === undefined && side?.channelsFirst === false;
  return groups === 1 && !transposed && plain(left) && plain(right) ? site : undefined;
}

function columnsBehind(
  { nodes, output }: Graph,
  { weight, inputs: width, outputs: classes }: LinearSite,
  shared: boolean,
  reaches: (node: Node) => boolean,
): Columns {
  const [at] = output.inputs;
  const positions = output.size / classes;
  const own = classes - Number(shared);
  const isPulledOn = nodes.some((node) => node !== output && node.site?.kind === "linear" && node.inputs.some(reaches));
  const fewer = own > width && isPulledOn;
  const each = fewer ? width : own;
  return {
    at,
    count: () => (reaches(at) ? positions * each : 0),
    write({ forward, count: batch }, { first, count }, to, spread) {
      const { kernels, dtype } = forward;
      const bytes = bytesPerElement(dtype);
      const w = forward.parameter(weight);
      const { q } = spread as OutputSpread;
      const mean = allocateFloats(dtype, width);
      const column = batch * positions * width;
      const place = (length: number, type = dtype) => (fewer ? allocateFloats(type, length) : 0);
      const [all, gram, work] = [place(own * width), place(width ** 2), place(width ** 2, "float64")];
      if (positions > 1) kernels.fill(count * column, 0, to);
      for (let done = 0; done < count; ) {
        const [t, k] = [Math.floor((first + done) / each), (first + done) % each];
        const number = Math.min(each - k, count - done);
        // The rows of a position, one after the other where there is one.
        const [calls, rows] = positions === 1 && !fewer ? [1, batch] : [batch, 1];
        for (let b = 0; b < calls; b++) {
          const row = b * positions + t;
          const [from, target] = [q + row * classes * bytes, to + (done * column + row * width) * bytes];
          if (!fewer) {
            withClasses(kernels).spreadColumns(
              rows,
              classes,
              width,
              from,
              w,
              shared,
              k,
              number,
              mean,
              target,
              column,
              width,
            );
            continue;
          }
          withClasses(kernels).spreadColumns(1, classes, width, from, w, shared, 0, own, mean, all, width, 0);
          kernels.syrk(width, own, all, 1, width, gram, width, 1, false, false);
          writeCholeskyColumns(dtype, width, gram, work, { first: k, count: number }, target, column);
        }
        done += number;
      }
    },
  };
}
