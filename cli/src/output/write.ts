// Bytes that are written to the last one, or an error that says where they did not go.

import { writeSync } from "node:fs";
import { descriptorStats } from "../descriptors.ts";

/** Writes all of it, in as many calls as it takes. @throws errors of the operating system, with the place's name as path */
export function writeWhole(descriptor: number, content: string | Uint8Array, path: string): void {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done);
  } catch (error) {
    throw error instanceof Error ? Object.assign(error, { path }) : error;
  }
}

/**
 * Where standard output is a file or a device, Node writes once and does not look whether all was taken (nodejs/node
 * issues 12921, 31908). From here on every byte is written, or an error thrown.
 */
export function writeWholeToStandardOutput(): void {
  const { stdout } = process;
  const found = descriptorStats(stdout.fd);
  // Pipes, sockets and terminals take what they can, and Node keeps the rest.
  if (stdout.isTTY || found.isFIFO() || found.isSocket()) return;
  stdout.write = (content: string | Uint8Array) => {
    writeWhole(stdout.fd, content, "standard output");
    return true;
  };
}
