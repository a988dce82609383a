// In a fresh process: the milliseconds of the first use of the kernels after their import, and beside them those of
// compiling and instantiating a build's bytes alone. `node first-use.js [file.wasm]` writes them as JSON.

import { readFileSync } from "node:fs";

const file = process.argv[2];
if (file !== undefined) {
  const bytes = readFileSync(file);
  const memory = new WebAssembly.Memory({ initial: 64, maximum: 65536 });
  const start = performance.now();
  new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
  console.log(JSON.stringify({ milliseconds: performance.now() - start }));
} else {
  const { kernels } = await import("../src/kernels/kernels.ts");
  const start = performance.now();
  const { build } = kernels.info();
  console.log(JSON.stringify({ milliseconds: performance.now() - start, build }));
}
