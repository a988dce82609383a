// A network as a table for people.

import { shapeText } from "../array/ndarray.ts";
import { bytesText } from "../errors.ts";
import { bytesPerElement, type DType } from "../kernels/memory.ts";
import type { Graph } from "./graph.ts";
import { parametersOf, type Site } from "./parameters.ts";
import type { Node, Primitive } from "./primitive.ts";
import { reshape } from "./primitives/reshape.ts";

/** What a node does, in a word. */
export function labelOf(node: Node): string {
  return node.primitive.label?.(node) ?? node.primitive.name;
}

/** The node that a network ends in, changes of shape apart. */
export function endOf(output: Node): Node {
  let last = output;
  while (last.primitive === (reshape as Primitive<never>)) last = last.inputs[0];
  return last;
}

export function summaryOf(graph: Graph, dtype: DType, frozen: ReadonlySet<string>): string {
  const rows = [["layer", "output", "parameters", "count"]];
  const shown = new Set<Site>();
  for (const node of graph.nodes) {
    const { site } = node;
    if (site === undefined) {
      const buffers = graph.buffers.filter((buffer) => Object.values(node.attributes ?? {}).includes(buffer));
      const names = buffers
        .map(({ name, shape }) => `${name} ${shapeText(shape)}${frozen.has(name) ? " frozen" : " running"}`)
        .join(", ");
      rows.push([labelOf(node), shapeText(node.shape), names, ""]);
    } else if (shown.has(site)) {
      rows.push([labelOf(node), shapeText(node.shape), `shared with ${parametersOf(site)[0]?.name ?? "above"}`, ""]);
    } else {
      shown.add(site);
      const parameters = parametersOf(site);
      const mark = (name: string) => (frozen.has(name) ? " frozen" : "");
      const names = parameters.map(({ name, shape }) => `${name} ${shapeText(shape)}${mark(name)}`).join(", ");
      const count = parameters.reduce((sum, { size }) => sum + size, 0);
      rows.push([labelOf(node), shapeText(node.shape), names, String(count)]);
    }
  }
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const lines = rows.map((row) => {
    const cells = row.map((cell, i) => (i === row.length - 1 ? cell.padStart(widths[i]) : cell.padEnd(widths[i])));
    return cells.join("  ").trimEnd();
  });
  const arrays = graph.parameters.length;
  const count = graph.parameterCount;
  const bytes = bytesText(count * bytesPerElement(dtype));
  const still = graph.parameters.reduce((sum, { name, size }) => sum + (frozen.has(name) ? size : 0), 0);
  const plural = (n: number, word: string) => `${n} ${word}${n === 1 ? "" : "s"}`;
  lines.push(
    `Total: ${plural(arrays, "array")}, ${plural(count, "parameter")}${still > 0 ? ` (${still} frozen)` : ""}, ${bytes} (${dtype})`,
  );
  return lines.join("\n");
}
