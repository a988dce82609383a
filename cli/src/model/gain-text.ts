// A gain in words.

import type { Gain } from "./report-data.ts";

/** A gain with its error: "0.120 ± 0.031 nats". */
export function gainText({ gain, standardError }: Gain): string {
  const places = Math.min(6, Math.max(2, 1 - Math.floor(Math.log10(standardError || 0.01))));
  return `${gain.toFixed(places).replace("-", "−")} ± ${standardError.toFixed(places)} nats`;
}
