// In a page that Vite builds.
import { keep, open } from "./many-workers.js";

const make = () => new Worker(new URL("laplace-ts/worker", import.meta.url), { type: "module" });
Object.assign(globalThis, { openMany: (count) => open(count, make), keepMany: (count) => keep(count, make) });
globalThis.loaded = true;
