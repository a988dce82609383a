// What is guaranteed of intervals and sets, in words.

import type { GroupCoverage, GuaranteeReport } from "./report-data.ts";

/** A share in per cent, with a digit behind the point where it has one. */
export const shareText = (share: number) => `${Number((100 * share).toFixed(1))} %`;

/** The promise, and how often it held. */
export function guaranteeText({ level, models, sure, coverage, samples }: GuaranteeReport, task: string): string {
  const what = task === "classification" ? "sets" : "intervals";
  const from =
    models === 1 ? `one model and ${samples.toLocaleString("en")} rows that it has not seen` : `${models} folds (CV+)`;
  return `${shareText(level)} ${what} from ${from}; they held ${shareText(coverage)} of ${samples.toLocaleString("en")} rows; at least ${shareText(sure)} is sure, on average, if new rows are like these`;
}

/** Groups that were held less than the level by more than chance makes of one group in forty; the one that was held least first. */
export const heldLess = ({ level, groups }: GuaranteeReport): GroupCoverage[] =>
  groups.filter(({ range }) => range[1] < level).sort((a, b) => a.coverage - b.coverage);
