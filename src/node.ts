// laplace-ts in Node: the library, whose long calls take all cores.

import "./remote/all-cores.ts";

export * from "./index.ts";
