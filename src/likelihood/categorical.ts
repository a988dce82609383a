// Classes, one of several: outputs are logits.

import { shapeText, sizeOf } from "../array/ndarray.ts";
import { ShapeError } from "../errors.ts";
import { withLayers } from "../kernels/layers.ts";
import { allocateFloats, bytesPerElement, copyOut, type FloatArray, inMemory, scope } from "../kernels/memory.ts";
import {
  type ClassLayout,
  type ClassOptions,
  checkClassOptions,
  classLayout,
  classRows,
  startOf,
  writeSoftmax,
} from "../losses/classes.ts";
import { crossEntropy } from "../losses/losses.ts";
import { classEntropies } from "./entropies.ts";
import { headsBy } from "./head.ts";
import { noHyper } from "./hyper.ts";
import {
  type Draw,
  type FunctionDistribution,
  frequencies,
  type Likelihood,
  likelihoodOf,
  refuseSigmoid,
} from "./likelihood.ts";
import { type ClassLink, classLinks, classLogProbabilities, classProbabilities, marginalLinks } from "./links.ts";

/**
 * A categorical likelihood on logits f [B, C]: the loss is the cross-entropy −log softmax(f)_y. Λ = diag(p) − p pᵀ has the
 * rank C − 1; its columns are those of its Cholesky factor (Tanabe & Sagae 1992). Targets are labels [B] or probabilities
 * [B, C]. Predictions have probabilities p as their mean and p (1 − p) as the variance: "meanField2" (default; Lu, Ie & Sha,
 * arXiv:2006.07584), "probit" (MacKay 1992), "plugin", "bridge", "normalizedBridge", "meanField1" or "monteCarlo". The
 * default ignores what softmax ignores, a constant added to all logits, whose variance is the prior's alone.
 *
 * A network that gives the logits of a label at every position takes the axis of the classes by its name:
 * `categorical({ classAxis: "last" })` for outputs [B, T, C] and labels [B, T], "first" for [B, C, H, W] and [B, H, W]. Labels
 * of the value `ignoredLabel` are left out of loss, gradient and curvature. Λ has a block for each position. The factor A of
 * Kronecker structures is a mean over all positions; over those that count where each is an example of its own: for the
 * generalised Gauss-Newton matrix of layers that do not mix positions, with the classes last.
 * @throws OptionError
 */
export function categorical(options: ClassOptions = {}): Likelihood<"classes"> {
  checkClassOptions("categorical", options, ["classAxis", "ignoredLabel"]);
  const { classAxis, ignoredLabel } = options;
  const { elementShape, readTargets, counted, elements, gradient, dropIgnored } = crossEntropy.with(options).rule;
  const layoutOf = (shape: readonly number[]) => classLayout("categorical", shape, classAxis);
  /** Arrays like the outputs, from rows [n, classes] of all labels. Of classes that come first, positions are `step` apart. */
  const rowsOf = (
    { batch, outputs, mean, variance, covariance, block = outputs }: FunctionDistribution,
    make: (mean: Float64Array, v: Float64Array, batch: number, classes: number) => Float64Array[],
  ) => {
    const classes = covariance === undefined || mean.length === 0 ? block : covariance.length / mean.length;
    const positions = outputs / classes;
    const first = classAxis === "first" && positions > 1;
    const inRows = (values: Float64Array) => (first ? exchanged(values, batch, classes, positions) : values);
    return make(inRows(mean), covariance ?? inRows(variance), batch * positions, classes).map((made) =>
      first ? exchanged(made, batch, positions, classes) : made,
    );
  };
  return likelihoodOf<"classes">({
    name: "categorical",
    elementShape,
    readTargets,
    counted,
    elements,
    gradient,
    dropIgnored,
    targets: "classes",
    normal: false,
    hyper: noHyper,
    classAxis,
    ignoredLabel,
    links: classLinks,
    needs: (link) => (link === "plugin" ? "mean" : marginalLinks.includes(link) ? "variance" : "covariance"),
    checkNetwork(where, net) {
      refuseSigmoid(where, net);
      const [classes] = net.outputShape;
      if (net.outputShape.length > 1) classLayout(where, net.outputShape, classAxis);
      else if (!(classes >= 2)) {
        throw new ShapeError(
          `${where}: a categorical likelihood takes logits [C] of at least two classes, but the network's output has shape ${shapeText(net.outputShape)}. One logit is for "binary".`,
        );
      }
    },
    group(shape) {
      const { classes, step } = layoutOf(shape);
      return { size: classes, step };
    },
    curve: "root",
    rootColumns(shape) {
      const { classes, positions } = layoutOf(shape);
      return positions * (classes - 1);
    },
    root(outputs, { first, count }, to) {
      const { kernels, dtype, batch, shape, f } = outputs;
      const layout = layoutOf(shape);
      const { classes, step } = layout;
      const each = classes - 1;
      const start = Math.floor(first / each);
      const positions = Math.ceil((first + count) / each) - start;
      const p = scope(() => {
        const to = allocateFloats(dtype, batch * positions * classes);
        withLayers(kernels).softmax(batch * positions, classes, classRows(outputs, layout, f, start, positions), to);
        return copyOut(dtype, to, batch * positions * classes);
      });
      kernels.fill(count * batch * outputs.outputs, 0, to);
      const at = to / bytesPerElement(dtype);
      inMemory(dtype, (memory) => {
        for (let b = 0; b < batch; b++) {
          for (let t = 0; t < positions; t++) {
            const row = (b * positions + t) * classes;
            let below = p[row + classes - 1];
            for (let k = classes - 2; k >= 0; k--) {
              // Sums of the probabilities after p_k, and with it: none is a difference, so that all keep their digits.
              const rest = below;
              below += p[row + k];
              const column = (start + t) * each + k - first;
              if (column < 0 || column >= count) continue;
              const place = at + (column * batch + b) * outputs.outputs + startOf(layout, start + t);
              const root = below > 0 ? Math.sqrt(p[row + k] / below) : 0;
              memory[place + k * step] = root * Math.sqrt(rest);
              const factor = rest > 0 ? root / Math.sqrt(rest) : 0;
              for (let c = k + 1; c < classes; c++) memory[place + c * step] = -factor * p[row + c];
            }
          }
        }
      });
    },
    head: headsBy({
      shared: true,
      write: (outputs, to) => writeSoftmax(outputs, layoutOf(outputs.shape), to),
      inRows: (shape) => layoutOf(shape).step === 1,
      dropIgnored,
    }),
    drawColumn(outputs, draws, to) {
      const { dtype, batch, shape } = outputs;
      const layout = layoutOf(shape);
      const { classes, positions, step } = layout;
      writeSoftmax(outputs, layout, to);
      inMemory(dtype, (memory) => {
        for (let b = 0; b < batch; b++) {
          const random = draws(b);
          for (let i = 0; i < positions; i++) {
            const row = to / bytesPerElement(dtype) + b * outputs.outputs + startOf(layout, i);
            let rest = random.uniform();
            let label = 0;
            while (label < classes - 1 && rest >= memory[row + label * step]) rest -= memory[row + label++ * step];
            memory[row + label * step] = -others(memory, row, layout, label);
          }
        }
      });
    },
    constant: () => 0,
    information: ({ mean }) => mean,
    uncertainty: ({ mean, covariance, batch, outputs }, draw) =>
      classEntropies(mean, covariance as Float64Array, batch, outputs, draw),
    baseline: frequencies(false),
    entry: { classAxis, ignoredLabel },
    target(link, f, draw) {
      const [p, variance] = rowsOf(f, (mean, v, batch, classes) => {
        const rows = classProbabilities(link as ClassLink, mean, v, batch, classes, draw);
        return [rows, spreads(rows, classes)];
      });
      return { mean: p, variance };
    },
    logProbabilities(link: string, f: FunctionDistribution, draw: Draw) {
      const [logs] = rowsOf(f, (mean, v, batch, classes) => [
        classLogProbabilities(link as ClassLink, mean, v, batch, classes, draw),
      ]);
      return logs;
    },
    targetAt(f, shape) {
      const { classes } = layoutOf(shape);
      const outputs = sizeOf(shape);
      const at = {
        batch: f.length / outputs,
        outputs,
        mean: f,
        variance: new Float64Array(f.length),
        block: classes,
      };
      return this.target("plugin", at, { samples: 1, seed: 0 });
    },
  });
}

/** p (1 − p) of rows of probabilities: 1 − p of the largest is the sum of the others, which keeps its digits. */
export function spreads(p: Float64Array, classes: number): Float64Array {
  const result = new Float64Array(p.length);
  for (let start = 0; start < p.length; start += classes) {
    let largest = 0;
    for (let c = 1; c < classes; c++) if (p[start + c] > p[start + largest]) largest = c;
    let others = 0;
    for (let c = 0; c < classes; c++) {
      if (c === largest) continue;
      others += p[start + c];
      result[start + c] = p[start + c] * (1 - p[start + c]);
    }
    result[start + largest] = p[start + largest] * others;
  }
  return result;
}

/** An array [B, n, m] as [B, m, n]. */
export function exchanged(values: Float64Array, batch: number, n: number, m: number): Float64Array {
  const result = new Float64Array(values.length);
  for (let b = 0; b < batch; b++) {
    const start = b * n * m;
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < m; j++) result[start + j * n + i] = values[start + i * m + j];
    }
  }
  return result;
}

/** 1 − p_k as the sum of the other probabilities, which keeps its digits where p_k rounds to 1. */
function others(p: FloatArray, row: number, { classes, step }: ClassLayout, k: number): number {
  let sum = 0;
  for (let c = 0; c < classes; c++) if (c !== k) sum += p[row + c * step];
  return sum;
}
