// The moving-memory build: without SharedArrayBuffer, as in pages that are not cross-origin isolated, and with memory that
// moves whenever it could, so that a view which outlives an allocation shows nothing. `npm run test:moving` loads this
// before every file of tests.

delete (globalThis as { SharedArrayBuffer?: unknown }).SharedArrayBuffer;
const { moveAlways } = await import("../src/kernels/memory.ts");
moveAlways();
