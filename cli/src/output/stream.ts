// Where a long output goes: a file that appears when it is whole, or standard output at the reader's pace.

import { once } from "node:events";
import { AtomicFile } from "./atomic.ts";

/** A place for text, written part by part. */
export interface Output {
  write(text: string): Promise<void>;
  /** Nothing more follows. */
  finish(): Promise<void>;
  /** Removes what there is, unless it is finished. */
  abort(): void;
}

/** The place at a path; "-" is standard output. */
export function openOutput(path: string): Output {
  if (path === "-") {
    return {
      async write(text) {
        if (!process.stdout.write(text)) await once(process.stdout, "drain");
      },
      async finish() {},
      abort() {},
    };
  }
  const file = new AtomicFile(path);
  return {
    async write(text) {
      file.write(text);
    },
    async finish() {
      file.commit();
    },
    abort() {
      file.abort();
    },
  };
}
