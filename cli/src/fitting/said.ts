// What held-out rows say of the candidates and of their mixture, for the report.

import type { TableEncoding } from "laplace-ts";
import type { HeldOutRows } from "../model/held-out.ts";
import type { CandidateReport, PortfolioReport, WrittenCandidate } from "../model/report-data.ts";
import { gainOf, longerOf, overLinearOf, partsOfGain, stepsOf, widerOf } from "./gains.ts";
import type { Judged } from "./judge.ts";
import type { Candidate } from "./portfolio.ts";

/** A candidate, and how it did. */
export interface TriedCandidate extends CandidateReport {
  /** Its posteriors in the mixture. */
  readonly members: number;
}

/** The candidates, the best first. */
export function triedOf(candidates: readonly Candidate[], { mix, rows, evidences }: Judged): TriedCandidate[] {
  const best = rows.each[mix.losses.indexOf(Math.min(...mix.losses))];
  const greatest = Math.max(...evidences.filter((one) => one !== undefined));
  return candidates
    .map(({ name, seeds }, c) => {
      const weight = mix.weights[c];
      const [own, evidence] = [rows.each[c], evidences[c]];
      return {
        name,
        negativeLogLikelihood: mix.losses[c],
        weight,
        members: weight > 0 ? seeds : 0,
        ...(own !== undefined &&
          best !== undefined && { standardError: gainOf(own, best, rows.weights).standardError }),
        ...(evidence !== undefined && { evidence: evidence - greatest }),
      };
    })
    .sort((a, b) => a.negativeLogLikelihood - b.negativeLogLikelihood);
}

/** Candidates as JSON: what was given up has no density. */
export const writtenCandidates = (tried: readonly TriedCandidate[]): WrittenCandidate[] =>
  tried.map(({ negativeLogLikelihood, ...rest }) => ({
    ...rest,
    negativeLogLikelihood: Number.isFinite(negativeLogLikelihood) ? negativeLogLikelihood : null,
  }));

/** What held-out rows say of the portfolio. */
export function portfolioOf(
  candidates: readonly Candidate[],
  { rows, kept }: Judged,
  { indices, mean, truth }: HeldOutRows,
  { target }: TableEncoding,
): PortfolioReport {
  const classes = target.kind === "classes" ? target.classes : undefined;
  const at = new Map(indices.map((place, i) => [place, (classes === undefined ? mean : truth)[i]]));
  const overLinear = overLinearOf(candidates, rows);
  const wider = widerOf(candidates, rows);
  const longer = longerOf(kept.course);
  return {
    steps: stepsOf(candidates, rows),
    parts: partsOfGain(
      candidates,
      rows,
      rows.places.map((place) => at.get(place) ?? Number.NaN),
      classes,
    ),
    ...(overLinear !== undefined && { overLinear }),
    ...(wider !== undefined && { wider }),
    ...(longer !== undefined && { longer }),
  };
}
