// What standard input, output and error are.

import { fstatSync, type Stats, statSync } from "node:fs";

/**
 * What a descriptor is. Node's realpathSync, by which import() finds packages, stops at the first folder while what was looked at
 * last was a pipe: behind a symbolic link, such as pnpm makes, a package would be loaded a second time. So something else is
 * looked at last.
 */
export function descriptorStats(descriptor: number): Stats {
  const found = fstatSync(descriptor);
  statSync(process.execPath, { throwIfNoEntry: false });
  return found;
}
