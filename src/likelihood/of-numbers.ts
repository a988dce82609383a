// The adapter that runs plain functions of numbers as a likelihood, in the kernels' memory.

import { sizeOf } from "../array/ndarray.ts";
import { ValueError } from "../errors.ts";
import { bytesPerElement, type FloatArray, inMemory, type Pointer } from "../kernels/memory.ts";
import { mse } from "../losses/losses.ts";
import type { Outputs } from "../network/part-outputs.ts";
import { headsBy, squaresOf } from "./head.ts";
import { noHyper } from "./hyper.ts";
import {
  alone,
  type Baseline,
  type Likelihood,
  type LikelihoodEntry,
  likelihoodOf,
  meanOf,
  writeDiagonal,
} from "./likelihood.ts";
import { observedRoot } from "./observed.ts";
import type { NumberLikelihood, TargetNumbers } from "./plain.ts";
import { gaussianMoments, logMixture } from "./quadrature.ts";

/** What built-in likelihoods know besides: faster or more exact ways to the same numbers. */
interface Known {
  /** Λ^½ */
  root?(f: number): number;
  /** log ∫ density(y; f) N(f; m, v) df */
  logDensity?(y: number, m: number, v: number): number;
  readonly baseline?: Baseline;
  checkNetwork?: Likelihood["checkNetwork"];
  /** "root" where ∂² loss / ∂f² is the information. */
  readonly curve?: "root";
  readonly dispersion?: number;
}

/** @throws ValueError for numbers that cannot be targets */
export function checkTargets(where: string, targets: ArrayLike<number>, kind: TargetNumbers): void {
  if (kind === "reals") return;
  for (let i = 0; i < targets.length; i++) {
    const y = targets[i];
    if (kind === "counts") {
      if (Number.isInteger(y) && y >= 0) continue;
      throw new ValueError(`${where}: target ${y} (element ${i}) is not a count: expected 0, 1, 2 and so on.`);
    }
    if (!(y > 0)) throw new ValueError(`${where}: expected positive targets, got ${y} (element ${i}).`);
  }
}

/** The likelihood whose outputs each follow the rule. */
export function ofNumbers(
  name: string,
  rule: NumberLikelihood,
  entry: LikelihoodEntry,
  { root, logDensity, baseline, checkNetwork = () => {}, curve, dispersion }: Known = {},
): Likelihood<"numbers"> {
  const { targets: kind = "reals" } = rule;
  const rootOf = root ?? ((f: number) => Math.sqrt(rule.information(f)));
  const observed = rule.curvature === "observed";
  const constantOf = (y: number) => rule.constant?.(y) ?? 0;
  const moments = (m: number, v: number) => rule.moments?.(m, v) ?? gaussianMoments(rule, m, v);
  const densityOf = logDensity ?? ((y, m, v) => logMixture(rule, y, m, v) - constantOf(y));
  const rootsOf = ({ f, dtype }: Outputs, memory: FloatArray, targets: Pointer) => {
    const size = bytesPerElement(dtype);
    const [start, t] = [f / size, targets / size];
    return (i: number) => {
      const at = memory[start + i];
      return observed ? observedRoot(name, rule, at, memory[t + i]) : rootOf(at);
    };
  };
  return likelihoodOf<"numbers">({
    name,
    elementShape: mse.rule.elementShape,
    counted: mse.rule.counted,
    targets: "numbers",
    normal: false,
    hyper: noHyper,
    links: ["exact", "plugin"],
    needs: (link) => (link === "plugin" ? "mean" : "variance"),
    dispersion,
    checkNetwork,
    readTargets(where, targets, shape, dtype) {
      const t = mse.rule.readTargets(where, targets, shape, dtype);
      checkTargets(where, t.data, kind);
      return t;
    },
    elements({ dtype, batch, outputs, f }, targets, to) {
      const size = bytesPerElement(dtype);
      const [at, t, start] = [f / size, targets / size, to / 8];
      inMemory(dtype, (memory) =>
        inMemory("float64", (elements) => {
          for (let i = 0; i < batch * outputs; i++) elements[start + i] = rule.loss(memory[at + i], memory[t + i]);
        }),
      );
    },
    gradient({ dtype, batch, outputs, f }, targets, scale, to) {
      const size = bytesPerElement(dtype);
      const [at, t, start] = [f / size, targets / size, to / size];
      inMemory(dtype, (memory) => {
        for (let i = 0; i < batch * outputs; i++) {
          memory[start + i] = scale * rule.gradient(memory[at + i], memory[t + i]);
        }
      });
    },
    group: alone,
    rootColumns: sizeOf,
    observed,
    root: (outputs, columns, to, targets) =>
      inMemory(outputs.dtype, (memory) => writeDiagonal(outputs, columns, to, rootsOf(outputs, memory, targets))),
    curve:
      curve ??
      (rule.hessian &&
        (({ f, dtype, batch, outputs }, targets, tangent, to) => {
          const [at, t, from, start] = [f, targets, tangent, to].map((one) => one / bytesPerElement(dtype));
          inMemory(dtype, (memory) => {
            for (let i = 0; i < batch * outputs; i++) {
              memory[start + i] = (rule.hessian?.(memory[at + i], memory[t + i]) as number) * memory[from + i];
            }
          });
        })),
    head: headsBy({ shared: false, write: squaresOf(rootsOf) }),
    drawColumn({ dtype, batch, outputs, f }, draws, to) {
      const size = bytesPerElement(dtype);
      inMemory(dtype, (memory) => {
        for (let b = 0; b < batch; b++) {
          const random = draws(b);
          for (let i = b * outputs; i < (b + 1) * outputs; i++) {
            const x = memory[f / size + i];
            memory[to / size + i] = rule.gradient(x, rule.draw(x, random));
          }
        }
      });
    },
    constant(targets) {
      let sum = 0;
      for (const y of targets.data) sum += constantOf(y);
      return sum;
    },
    logDensity: (y, { functionMean, functionVariance }) => densityOf(y, functionMean, functionVariance),
    information: ({ functionMean }) => rule.information(functionMean),
    uncertainty({ mean, variance }) {
      const found = Array.from(mean, (m, i) => moments(m, variance[i]));
      return {
        total: Float64Array.from(found, ({ aleatoric, epistemic }) => aleatoric + epistemic),
        aleatoric: Float64Array.from(found, ({ aleatoric }) => aleatoric),
        epistemic: Float64Array.from(found, ({ epistemic }) => epistemic),
      };
    },
    baseline: baseline ?? {
      numbers: 1,
      words: "one constant",
      fit(targets) {
        const f = bestConstant(rule, targets);
        return (y) => rule.loss(f, y) + constantOf(y);
      },
    },
    entry,
    target(link, { outputs, mean, variance }) {
      if (link === "plugin") return this.targetAt(mean, [outputs]);
      const found = Array.from(mean, (m, i) => moments(m, variance[i]));
      return {
        mean: Float64Array.from(found, ({ mean }) => mean),
        variance: Float64Array.from(found, ({ aleatoric, epistemic }) => aleatoric + epistemic),
      };
    },
    targetAt: (f) => ({ mean: f.map((x) => rule.mean(x)), variance: f.map((x) => rule.variance(x)) }),
  });
}

/** The output that fits all targets best: from where their mean is that of the likelihood, by Fisher scoring. */
function bestConstant(rule: NumberLikelihood, targets: Float64Array): number {
  const level = meanOf(targets);
  const loss = (f: number) => meanOf(targets.map((y) => rule.loss(f, y)));
  let [low, high] = [-1, 1];
  const rising = rule.mean(high) >= rule.mean(low);
  const below = (f: number) => (rising ? rule.mean(f) < level : rule.mean(f) > level);
  for (let i = 0; i < 1000 && below(high); i++) high *= 2;
  for (let i = 0; i < 1000 && !below(low) && rule.mean(low) !== level; i++) low *= 2;
  for (let middle = (low + high) / 2; middle !== low && middle !== high; middle = (low + high) / 2) {
    if (below(middle)) low = middle;
    else high = middle;
  }
  let f = high;
  for (let i = 0, step = 1; i < 100 && step > 1e-12; i++) {
    const slope = meanOf(targets.map((y) => rule.gradient(f, y)));
    step = 1;
    const move = -slope / rule.information(f);
    if (!Number.isFinite(move) || move === 0) break;
    while (step > 1e-12 && !(loss(f + step * move) < loss(f))) step /= 2;
    if (step > 1e-12) f += step * move;
  }
  return f;
}
