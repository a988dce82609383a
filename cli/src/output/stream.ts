// Where outputs go: files that appear when they are whole, pipes and devices, or standard output at the reader's pace.

import { once } from "node:events";
import { closeSync, constants, openSync, writeSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { turn } from "../turn.ts";
import { AtomicFile } from "./atomic.ts";
import { type Place, placeOf } from "./place.ts";

/** A place for text or bytes, written part by part. */
export interface Output {
  write(content: string | Uint8Array): Promise<void>;
  /** Everything is written; what cannot be kept fails here. */
  flush(): void;
  /** Nothing more follows. */
  commit(): void;
  /** Removes what there is, unless it is finished. */
  abort(): void;
}

/** Opens the output at a path; "-" is standard output. @throws UsageError; errors of the operating system */
export async function openOutput(path: string): Promise<Output> {
  const place = placeOf(path);
  if (place.kind === "stdout") return standardOutput;
  if (place.kind === "stream") return openStream(place);
  const file = new AtomicFile(place);
  return {
    async write(content) {
      file.write(content);
    },
    flush: () => file.flush(),
    commit: () => file.commit(),
    abort: () => file.abort(),
  };
}

const standardOutput: Output = {
  async write(content) {
    if (!process.stdout.write(content)) await once(process.stdout, "drain");
  },
  flush() {},
  commit() {},
  abort() {},
};

/** How long to wait for the reader of a pipe: to come, and to make room. */
const PAUSE = 20;

/** A pipe or a device. Waiting for a reader does not block, so that Ctrl-C is heard. */
async function openStream({ path, found }: Place): Promise<Output> {
  const flags = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
  const open = () => openSync(path, flags);
  const descriptor = found?.isFIFO() ? await whenReady("ENXIO", open) : open();
  let closed = false;
  const close = () => {
    if (!closed) closeSync(descriptor);
    closed = true;
  };
  return {
    async write(content) {
      const bytes = typeof content === "string" ? Buffer.from(content) : content;
      for (let done = 0; done < bytes.length; ) {
        done += await whenReady("EAGAIN", () => {
          try {
            return writeSync(descriptor, bytes, done);
          } catch (error) {
            throw error instanceof Error ? Object.assign(error, { path }) : error;
          }
        });
      }
    },
    flush() {},
    commit: close,
    abort: close,
  };
}

/** Calls until it no longer fails with the code that says to wait. */
async function whenReady<T>(code: string, call: () => T): Promise<T> {
  for (;;) {
    try {
      return call();
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === code)) throw error;
    }
    await setTimeout(PAUSE);
  }
}

/** Writes several outputs: all of them are in their places, or none. Ctrl-C is heard until there is nothing left but that. */
export async function writeOutputs(
  contents: readonly { readonly path: string; readonly content: string | Uint8Array }[],
): Promise<void> {
  const opened: Output[] = [];
  try {
    for (const { path, content } of contents) {
      const output = await openOutput(path);
      opened.push(output);
      await output.write(content);
      output.flush();
    }
    await turn();
    for (const output of opened) output.commit();
  } finally {
    for (const output of opened) output.abort();
  }
}
