// A dense layer's output factor says that of a shift before it. What arrives at the shift is Wᵀ δ, so Σ Wᵀδ (Wᵀδ)ᵀ is
// Wᵀ (Σ δ δᵀ) W: once for all examples and columns.

import { isPlain } from "../../derivatives/uses.ts";
import type { FloatArray } from "../../kernels/memory.ts";
import type { Steps } from "../../kernels/steps.ts";
import type { LinearSite } from "../../network/parameters.ts";
import { type Node, siteUseOf } from "../../network/primitive.ts";
import type { Selection } from "../selection.ts";

/** The layer that alone reads a site's one use at one position, and whose output factor is summed; undefined if there is none. */
export function nextLayer(selection: Selection, [node, ...others]: readonly Node[]): LinearSite | undefined {
  const { graph } = selection;
  if (node === undefined || others.length > 0 || siteUseOf(node).positions !== 1 || node === graph.output)
    return undefined;
  const [reader, ...more] = graph.nodes.filter(({ inputs }) => inputs.includes(node));
  const site = reader?.site;
  if (more.length > 0 || site?.kind !== "linear") return undefined;
  return isPlain(site, graph.uses.get(site) ?? []) && selection.sites().has(site) ? site : undefined;
}

/** Multiplications that are one step. */
const AT_ONCE = 2 ** 20;

/**
 * Wᵀ B W of a layer's weight [outputs, inputs] and its factor B, row by row without memory of the kernels: it is little work
 * beside what it saves.
 * @param parameters the network's
 */
export function* pulledBack(
  b: Float64Array,
  { weight, outputs, inputs }: LinearSite,
  parameters: FloatArray,
): Steps<Float64Array> {
  const w = new Float64Array(parameters.subarray(weight.offset, weight.offset + weight.size));
  const result = new Float64Array(inputs * inputs);
  const row = new Float64Array(inputs);
  let done = 0;
  for (let o = 0; o < outputs; o++) {
    // The row of B W, then its part in the lower triangle.
    row.fill(0);
    for (let p = 0; p < outputs; p++) {
      const factor = b[o * outputs + p];
      for (let j = 0, at = p * inputs; j < inputs; j++) row[j] += factor * w[at + j];
    }
    for (let i = 0; i < inputs; i++) {
      const factor = w[o * inputs + i];
      for (let j = 0, at = i * inputs; j <= i; j++) result[at + j] += factor * row[j];
    }
    done += inputs * (outputs + inputs / 2);
    if (done < AT_ONCE) continue;
    done = 0;
    yield;
  }
  for (let i = 0; i < inputs; i++) {
    for (let j = 0; j < i; j++) result[j * inputs + i] = result[i * inputs + j];
  }
  return result;
}
