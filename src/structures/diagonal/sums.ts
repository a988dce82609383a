// Sums of the diagonal.

import { addTableSquares, eachTableRows, isTable } from "../../derivatives/lookup-tables.ts";
import { eachChunk, plainUse } from "../../derivatives/uses.ts";
import { vectorRows } from "../../derivatives/vectors.ts";
import { bytesPerElement, type Pointer, scope } from "../../kernels/memory.ts";
import type { LinearSite, Parameter } from "../../network/parameters.ts";
import type { Backward } from "../../network/passes.ts";
import type { Node } from "../../network/primitive.ts";
import type { Accumulator } from "../curvature.ts";
import type { SelectedParameter } from "../selection.ts";
import { addPlainSquares, addSquaredProducts, addSquares, squareNumbers, sumOfSquares } from "../squares.ts";
import type { SumOptions } from "../structure.ts";
import { DiagonalCurvature } from "./curvature.ts";

/** Whether a vector's derivative is what arrives at its one node. */
function plainVector(nodes: readonly Node[], { size }: Parameter, role: SelectedParameter["role"]): boolean {
  return role !== "scale" && nodes.length === 1 && nodes[0].size === size;
}

/** Squares of derivatives, from the factors of each layer: no row is written where a layer has one position. */
export function diagonalSums({ selection, dtype }: SumOptions): Accumulator<DiagonalCurvature> {
  const { graph, parameters } = selection;
  // Of a parameter that is selected in part, all squares are summed; they cost as little.
  const starts: number[] = [];
  let length = 0;
  for (const { parameter } of parameters) {
    starts.push(length);
    length += parameter.size;
  }
  return {
    dtype,
    length,
    add(backward, to) {
      const bytes = bytesPerElement(backward.dtype);
      parameters.forEach(({ parameter, site, role }, i) => {
        const at = to + starts[i] * bytes;
        const nodes = graph.uses.get(site) ?? [];
        scope(() => {
          if (role === "weight" && site.kind === "linear") addWeight(backward, site, nodes, at);
          else addVector(backward, nodes, parameter, role, at);
        });
      });
    },
    *finish(sums, examples) {
      const result = new Float64Array(selection.size);
      parameters.forEach(({ at, size, chosen, parameter }: SelectedParameter, p) => {
        const [start, end] = [starts[p], starts[p] + parameter.size];
        if (chosen === undefined) {
          sums(start, end, result, at);
          return;
        }
        const values = new Float64Array(parameter.size);
        sums(start, end, values, 0);
        for (let i = 0; i < size; i++) result[at + i] = values[chosen[i]];
      });
      return new DiagonalCurvature(selection, examples, result);
    },
  };
}

function addWeight(backward: Backward, site: LinearSite, nodes: readonly Node[], to: Pointer): void {
  const spread = backward.spreadAt(nodes);
  if (spread !== undefined) {
    addSquaredProducts(backward, site, spread.rows, spread.variances(), backward.value(nodes[0].inputs[0]), to);
    return;
  }
  const plain = plainUse(backward, site, nodes);
  if (plain !== undefined) {
    addPlainSquares(backward, site, plain, to);
    return;
  }
  if (isTable(nodes)) {
    eachTableRows(backward, site, nodes, (rows) => addTableSquares(backward, site, rows, to));
    return;
  }
  eachChunk(backward, site, nodes, squareNumbers(site, nodes, backward.columns), (chunk) => {
    addSquares(backward, site, nodes, chunk, to);
  });
}

function addVector(
  backward: Backward,
  nodes: readonly Node[],
  parameter: Parameter,
  role: SelectedParameter["role"],
  to: Pointer,
): void {
  const { kernels, batch, columns } = backward;
  const n = parameter.size;
  const spread = backward.spreadAt(nodes);
  if (spread !== undefined) {
    kernels.sumAxis(1, spread.rows, n, spread.variances(), to, n, true);
    return;
  }
  if (plainVector(nodes, parameter, role)) {
    kernels.sumAxis(1, batch, n, sumOfSquares(backward, backward.cotangent(nodes[0]), n), to, n, true);
    return;
  }
  kernels.addSquares(columns * batch, n, vectorRows(backward, nodes, n, role === "scale"), to);
}
