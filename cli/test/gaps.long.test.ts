// Rows without their strongest input: by the default mixture, whose fits take seconds.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { inProcess, random, workFolder } from "./laplace.ts";

const folder = workFolder();
const at = (name: string) => join(folder, name);

async function fit(data: string, model: string): Promise<void> {
  const files = ["-o", at(model), "--no-report"];
  const run = await inProcess(["fit", data, "-t", "y", ...files, "--folds", "2", "--epochs", "40", "--rounds", "4"]);
  expect(run).toMatchObject({ code: 0 });
}

// The numbers: 59 of 400 rows lacked their strongest input, and 90 % intervals held 41 % of these.
test.each([
  [1, 0],
  [2, 0.7],
])(
  "intervals of rows without their strongest input hold the truth, seed %d, correlation %d",
  { timeout: 60_000 },
  async (seed, rho) => {
    const next = random(seed);
    const bell = () => Math.sqrt(-2 * Math.log(next() + 1e-12)) * Math.cos(2 * Math.PI * next());
    const table = (rows: number, share: number) =>
      ["a,b,c,y"].concat(
        Array.from({ length: rows }, () => {
          const b = bell();
          const [a, c] = [rho * b + Math.sqrt(1 - rho * rho) * bell(), bell()];
          const y = 2 * a + 0.5 * b + 0.3 * Math.sin(2 * c) + 0.5 * bell();
          return `${next() < share ? "" : a},${b},${c},${y}`;
        }),
      );
    writeFileSync(at("gaps.csv"), table(400, 0.15).join("\n"));
    await fit(at("gaps.csv"), "gaps.st");
    for (const share of [1, 0]) {
      writeFileSync(at("new.csv"), table(1000, share).join("\n"));
      const run = await inProcess(["evaluate", at("gaps.st"), at("new.csv"), "--json"]);
      const { metrics, far } = JSON.parse(run.stdout);
      expect(metrics.intervalCoverage).toBeGreaterThan(0.84);
      // What may be missing is drawn from all rows: where the other inputs would tell of it, intervals are wider than they need be.
      expect(metrics.intervalCoverage).toBeLessThan(rho === 0 ? 0.96 : 0.98);
      expect(far).toBeLessThan(30);
    }
    // Where the training had no gaps, a gap widens as well.
    writeFileSync(at("whole.csv"), table(400, 0).join("\n"));
    await fit(at("whole.csv"), "whole.st");
    writeFileSync(at("new.csv"), table(1000, 1).join("\n"));
    const { metrics } = JSON.parse((await inProcess(["evaluate", at("whole.st"), at("new.csv"), "--json"])).stdout);
    expect(metrics.intervalCoverage).toBeGreaterThan(0.84);
  },
);
