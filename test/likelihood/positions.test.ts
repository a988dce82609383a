// A categorical likelihood of labels at every position is the plain one of each position, for either axis of classes.

import fc from "fast-check";
import { expect, test } from "vitest";
import { categorical, Random } from "../../src/index.ts";
import { kernelsFor } from "../../src/kernels/kernels.ts";
import { copyIn, copyOut, scope } from "../../src/kernels/memory.ts";
import { At } from "./kernels.ts";

const worlds = fc.record({
  batch: fc.constantFrom(1, 3),
  positions: fc.constantFrom(1, 2, 5),
  classes: fc.constantFrom(2, 3, 5),
  axis: fc.constantFrom("first" as const, "last" as const),
  ignored: fc.boolean(),
  seed: fc.nat(),
});

/** Rows [B·T, C] as one array per example, in the order of an axis. */
function arranged(rows: readonly number[], batch: number, positions: number, classes: number, axis: "first" | "last") {
  return Array.from({ length: rows.length }, (_, i) => {
    const n = positions * classes;
    const [b, k] = [Math.floor(i / n), i % n];
    const [t, c] =
      axis === "last" ? [Math.floor(k / classes), k % classes] : [k % positions, Math.floor(k / positions)];
    expect(b).toBeLessThan(batch);
    return rows[(b * positions + t) * classes + c];
  });
}

test("loss, gradient, columns in groups, draws and predictions", () => {
  fc.assert(
    fc.property(worlds, ({ batch, positions, classes, axis, ignored, seed }) => {
      const random = new Random(seed);
      const n = positions * classes;
      const rows = Array.from({ length: batch * n }, () => 2 * random.normal());
      const counted = Array.from({ length: batch * positions }, () => !ignored || random.uniform() < 0.6);
      const labels = counted.map(() => random.integer(classes));
      const targets = labels.flatMap((label, i) =>
        Array.from({ length: classes }, (_, c) => (counted[i] && c === label ? 1 : 0)),
      );
      const order = (values: readonly number[]) => arranged(values, batch, positions, classes, axis);
      const likelihood = categorical({ classAxis: axis, ...(ignored && { ignoredLabel: -1 }) });
      const shape = axis === "last" ? [positions, classes] : [classes, positions];
      const at = new At(likelihood, order(rows), shape);
      const single = new At(categorical(), rows, classes);
      const close = { relative: 1e-12, absolute: 1e-13 };

      // Of ignored labels the plain loss and gradient are taken at rows that do not matter.
      const keep = (i: number) => (counted[Math.floor(i / classes)] ? 1 : 0);
      expect([at.loss(order(targets))]).toBeAllClose([single.loss(targets)], close);
      const slopes = single.gradient(targets).map((x, i) => keep(i) * x);
      expect(at.gradient(order(targets))).toBeAllClose(order(slopes), close);

      // Λ has a block for each position.
      const blocks = single.curvature();
      const due = Array.from({ length: batch * n * n }, (_, i) => {
        const [b, r, c] = [Math.floor(i / n ** 2), Math.floor(i / n) % n, i % n];
        const [[tr, cr], [tc, cc]] = [r, c].map((k) =>
          axis === "last" ? [Math.floor(k / classes), k % classes] : [k % positions, Math.floor(k / positions)],
        );
        return tr === tc ? blocks[((b * positions + tr) * classes + cr) * classes + cc] : 0;
      });
      expect(at.curvature()).toBeAllClose(due, close);

      // Columns by groups are the columns.
      const all = at.root();
      const total = likelihood.rootColumns(shape);
      expect(total).toBe(positions * (classes - 1));
      const most = 1 + random.integer(total);
      const grouped: number[] = [];
      for (let first = 0; first < total; first += most) {
        grouped.push(...at.columns({ first, count: Math.min(most, total - first) }));
      }
      expect(grouped).toEqual(all);
      expect(at.draw(new Random(seed))).toBeAllClose(order(single.draw(new Random(seed))), close);

      // What is dropped are the columns of ignored labels, and nothing else.
      const left = scope(() => {
        const f = { kernels: kernelsFor("float64"), dtype: "float64", batch, outputs: n, shape, f: 0 } as const;
        const columns = copyIn("float64", all);
        likelihood.dropIgnored?.(f, copyIn("float64", order(targets)), total, columns);
        return Array.from(copyOut("float64", columns, all.length));
      });
      const kept = order(rows.map((_, i) => keep(i)));
      expect(left).toEqual(all.map((x, i) => (kept[i % (batch * n)] === 1 ? x : 0)));

      // Every approximation of every position's probabilities.
      const root = Array.from({ length: batch * positions * classes ** 2 }, () => random.normal());
      const covariance = Float64Array.from(root, (_, i) => {
        const [row, r, c] = [Math.floor(i / classes ** 2), Math.floor(i / classes) % classes, i % classes];
        let sum = 0;
        for (let k = 0; k < classes; k++) {
          sum += root[(row * classes + r) * classes + k] * root[(row * classes + c) * classes + k];
        }
        return sum;
      });
      const variance = rows.map((_, i) => covariance[i * classes + (i % classes)]);
      const [mean, spread] = [rows, variance].map((values) => Float64Array.from(order(values)));
      for (const link of likelihood.links) {
        const draw = { samples: 7, seed: 1 };
        const found = likelihood.target(link, { batch, outputs: n, mean, variance: spread, covariance }, draw);
        const plain = { batch: batch * positions, outputs: classes, mean: Float64Array.from(rows), covariance };
        const expected = categorical().target(link, { ...plain, variance: Float64Array.from(variance) }, draw);
        expect(found.mean).toBeAllClose(order(Array.from(expected.mean)), close);
        expect(found.variance).toBeAllClose(order(Array.from(expected.variance)), close);
      }
      const plugin = likelihood.targetAt(mean, shape).mean;
      expect(plugin).toBeAllClose(
        order(Array.from(categorical().targetAt(Float64Array.from(rows), [classes]).mean)),
        close,
      );
    }),
  );
});
