// What a command says that did its part of the work, which others do parts of, too.

import { unfinished } from "../fitting/elsewhere.ts";
import { line } from "../output/summary.ts";
import { type Progress, printJson } from "../output/terminal.ts";

/**
 * Says that a part is done.
 * @param fitting goes on until there is nothing to do but what other parts have
 * @param merge the command that goes on when all parts are done
 */
export async function finishShard(
  fitting: Promise<unknown>,
  [part, parts]: readonly [part: number, parts: number],
  merge: string,
  progress: Progress,
  json: true | undefined,
): Promise<void> {
  const left = await fitting.then(
    () => undefined,
    async (error: unknown) => {
      const found = await unfinished(error);
      if (found === undefined) throw error;
      return found;
    },
  );
  progress.done();
  if (json) printJson({ part, parts, missing: left?.missing ?? 0 });
  else {
    const rest =
      left === undefined
        ? `all shards are done: ${merge} adds them`
        : `of ${left.shards} shards in all, ${left.missing} are left to others; when all parts are done, ${merge} adds them`;
    process.stdout.write(`${line("part", `${part} of ${parts} is done; ${rest}`)}\n`);
  }
}
