// A placeholder of this clone alone: the report comes with the merge.
import type { ReportData } from "./data.ts";

export function renderReport(data: ReportData): string {
  return `<!doctype html><meta charset="utf-8"><title>${data.target.replace(/[<&]/g, "")}</title>\n`;
}
