// The documentation's pictures are what the library draws.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

test("the pictures are what the library draws, and the README's is one of them", { timeout: 60_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "laplace-ts-pictures-"));
  try {
    execFileSync(process.execPath, ["docs/pictures/make.mjs", folder], { encoding: "utf8" });
    const drawn = (name: string) => readFileSync(join(folder, name), "utf8");
    const included = readdirSync("docs")
      .filter((file) => file.endsWith(".md"))
      .flatMap((file) => [...readFileSync(`docs/${file}`, "utf8").matchAll(/<!--@include: \.\/generated\/(\S+)-->/g)]);
    expect(included.length).toBeGreaterThan(0);
    // Observable Plot is a dependency of the site, which draws its picture when it is built.
    const drawable = included.map(([, name]) => name).filter((name) => name !== "drawing-plot.svg");
    for (const name of drawable) expect(drawn(name)).toContain("<svg");
    for (const name of readdirSync(folder)) expect(drawn(name)).not.toMatch(/NaN|Infinity|undefined/);
    // Builds of the kernels differ in the last bits, hence the drawing in the last digit.
    const parts = (text: string) => text.split(/(-?\d+(?:\.\d+)?)/);
    const [ours, theirs] = [readFileSync("docs/public/band.svg", "utf8"), drawn("readme-band.svg")].map(parts);
    expect(ours.length).toBe(theirs.length);
    ours.forEach((part, i) => {
      if (i % 2 === 0) expect(part).toBe(theirs[i]);
      else expect(Math.abs(Number(part) - Number(theirs[i]))).toBeLessThan(0.5);
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
