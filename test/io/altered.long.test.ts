// Posterior files of every structure whose arrays or metadata were altered, with a checksum that is right: each is refused
// by name, or makes a posterior that answers or refuses by name.

import fc from "fast-check";
import { expect, test } from "vitest";
import {
  array,
  FileError,
  LaplaceError,
  loadPosterior,
  NDArray,
  readSafetensors,
  savePosterior,
} from "../../src/index.ts";
import { memoryUse } from "../../src/kernels/memory.ts";
import { cpuTime } from "../cpu-time.ts";
import { fileOf, sealed } from "./files.ts";
import { everything, fit, inputs, plain } from "./fits.ts";

const files = await Promise.all([
  fit(plain("float64", 2), "gaussian, a noise each", { structure: "full" }).then((p) => p.optimizePrior()),
  fit(plain("float32", 3), "categorical", { structure: "kronecker", priorPrecision: [1, 2, 3, 4] }),
  fit(plain("float64", 1), "bernoulli", { structure: "ekfac" }),
  fit(everything("float64", 2), "poisson", { structure: "diagonal" }),
  fit(plain("float64", 2), "gaussian", { weights: { indices: [3, 1, 20] } }),
  fit(plain("float32", 2), "poisson", { weights: "lastLayer", structure: "kronecker", damping: true }),
]).then((posteriors) => posteriors.map((posterior) => savePosterior(posterior)));

/** A result of everything that reads the numbers; anything but a LaplaceError goes through. */
function use(bytes: Uint8Array): "posterior" | "refused" | "error" {
  let posterior: ReturnType<typeof loadPosterior>;
  try {
    posterior = loadPosterior(bytes);
  } catch (error) {
    if (error instanceof FileError) return "refused";
    throw error;
  }
  let outcome: "posterior" | "error" = "posterior";
  for (const call of [
    () => posterior.predict(inputs),
    () => posterior.evidence(),
    () => posterior.sample(1),
    () => posterior.diagnose(),
    () => posterior.optimizePrior({ steps: 3 }),
    () => savePosterior(posterior),
  ]) {
    try {
      call();
    } catch (error) {
      if (!(error instanceof LaplaceError)) throw error;
      outcome = "error";
    }
  }
  return outcome;
}

const specials = fc.oneof(
  fc.double(),
  fc.constantFrom(Number.NaN, Infinity, -Infinity, 0, -1, 1e300, -1e300, 1e-320, 2 ** 53, 0.5, 7),
);

type Change = (tensors: Record<string, NDArray>, name: string, other: string) => void;

/** What may happen to an array. */
const changes = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(fc.nat(), specials, fc.boolean()).map(
      ([at, value, all]): Change =>
        (tensors, name) => {
          const { data } = tensors[name];
          if (all) data.fill(value);
          else data[at % data.length] = value;
        },
    ),
  },
  {
    weight: 1,
    arbitrary: fc.nat(40).map(
      (size): Change =>
        (tensors, name) => {
          const { data } = tensors[name];
          tensors[name] = array(Array.from({ length: size }, (_, i) => data[i % data.length]));
        },
    ),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom<Change>(
      (tensors, name) => delete tensors[name],
      (tensors, name, other) => {
        [tensors[name], tensors[other]] = [tensors[other], tensors[name]];
      },
      (tensors, name, other) => {
        tensors[name] = tensors[other];
      },
      (tensors, name) => {
        tensors[`${name}.more`] = tensors[name];
      },
      (tensors, name) => {
        tensors[name] = tensors[name].as("float32");
      },
      (tensors, name) => {
        tensors[name] = new NDArray(tensors[name].data, [...tensors[name].shape].reverse());
      },
      (tensors, name) => {
        tensors[name] = new NDArray(tensors[name].data, [1, ...tensors[name].shape]);
      },
    ),
  },
);

test("1000 files with altered arrays", () => {
  const outcomes = { posterior: 0, refused: 0, error: 0 };
  let slowest = 0;
  const before = process.memoryUsage().rss;
  fc.assert(
    fc.property(fc.constantFrom(...files), fc.nat(), fc.nat(), changes, (bytes, one, two, change) => {
      const { tensors, metadata } = readSafetensors(bytes);
      const names = Object.keys(tensors);
      change(tensors, names[one % names.length], names[two % names.length]);
      const start = cpuTime();
      outcomes[use(sealed(tensors, metadata))]++;
      slowest = Math.max(slowest, cpuTime() - start);
      expect(memoryUse().inUse).toBe(0);
    }),
    { numRuns: 1000 },
  );
  expect(outcomes.posterior).toBeGreaterThan(50);
  expect(outcomes.refused).toBeGreaterThan(300);
  expect(slowest).toBeLessThan(5000);
  expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 29);
});

test("300 files with metadata of others: kept beside, or refused", () => {
  const reserved = fc.constantFrom("kind", "format", "library", "document", "checksum", "new");
  fc.assert(
    fc.property(
      fc.constantFrom(...files),
      fc.dictionary(fc.string({ unit: "grapheme", maxLength: 9 }), fc.string({ unit: "grapheme" }), { maxKeys: 4 }),
      fc.option(fc.tuple(reserved, fc.string({ unit: "grapheme", maxLength: 30 })), { nil: undefined }),
      (bytes, more, forged) => {
        const { tensors, metadata } = readSafetensors(bytes);
        const own = forged === undefined ? {} : { [`laplace-ts.${forged[0]}`]: forged[1] };
        const outcome = use(sealed(tensors, { ...more, ...metadata, ...own }));
        const harmless = forged === undefined || ["library", "checksum", "new"].includes(forged[0]);
        if (harmless) expect(outcome).toBe("posterior");
        else if (forged[0] !== "format") expect(outcome).toBe("refused");
      },
    ),
    { numRuns: 300 },
  );
});

test("700 headers that promise more than the file has: nothing is allocated for it", () => {
  const lengths = fc.constantFrom(0, 1, 2 ** 16, 2 ** 31, 2 ** 32 - 1, 2 ** 40, 2 ** 48, 2 ** 53 - 1);
  let largest = 0;
  fc.assert(
    fc.property(fc.constantFrom(...files), fc.array(lengths, { maxLength: 4 }), fc.nat(), (bytes, shape, which) => {
      const size = new DataView(bytes.buffer).getUint32(0, true);
      const header = new TextDecoder().decode(bytes.subarray(8, 8 + size));
      const shapes = [...header.matchAll(/"shape":\[[\d,]*\],"data_offsets":\[(\d+),\d+\]/g)];
      const [found, begin] = shapes[which % shapes.length];
      // The offsets fit the shape, so that only the file's own length says that it is wrong.
      const end = shape.reduce((product, length) => product * length, 8) + Number(begin);
      const text = header.replace(found, `"shape":[${shape}],"data_offsets":[${begin},${end}]`);
      const file = fileOf(text, bytes.subarray(8 + size));
      const before = process.memoryUsage().arrayBuffers;
      expect(["refused", "posterior"]).toContain(use(file));
      largest = Math.max(largest, process.memoryUsage().arrayBuffers - before);
    }),
    { numRuns: 700 },
  );
  expect(largest).toBeLessThan(2 ** 22);
});
