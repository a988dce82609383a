// Patterns of dates as strptime has them: %d.%m.%y %H:%M.

import { OptionError } from "../errors.ts";
import { daysIn } from "./calendar.ts";

/** What each directive matches. */
const DIRECTIVES: Readonly<Record<string, string>> = {
  Y: String.raw`(?<y>\d{4})`,
  y: String.raw`(?<y>\d{2})`,
  m: String.raw`(?<m>\d{1,2})`,
  b: String.raw`(?<name>\p{L}{3,10})\.?`,
  B: String.raw`(?<name>\p{L}{3,10})\.?`,
  d: String.raw`(?<d>\d{1,2})`,
  e: String.raw`\s?(?<d>\d{1,2})`,
  j: String.raw`(?<yday>\d{1,3})`,
  H: String.raw`(?<h>\d{1,2})`,
  I: String.raw`(?<h>\d{1,2})`,
  M: String.raw`(?<mi>\d{1,2})`,
  S: String.raw`(?<s>\d{1,2})`,
  f: String.raw`(?<f>\d{1,9})`,
  p: String.raw`(?<ap>[AaPp])\.?\s?[Mm]\.?`,
  z: String.raw`(?<z>[Zz]|[+-]\d{2}:?\d{2}|[+-]\d{2})`,
  Z: "(?<z>[A-Za-z]{1,5})",
  a: String.raw`\p{L}{2,10}\.?`,
  A: String.raw`\p{L}{2,12}\.?`,
  n: String.raw`\s`,
  "%": "%",
};
/** Directives that stand for others. */
const SHORT: readonly (readonly [string, string])[] = [
  ["%F", "%Y-%m-%d"],
  ["%T", "%H:%M:%S"],
  ["%R", "%H:%M"],
  ["%D", "%m/%d/%y"],
];

const compiled = new Map<string, (text: string) => number | undefined>();

/**
 * Reads texts by a pattern: a function that gives days since 1970-01-01 (UTC), or undefined.
 * @throws OptionError for an unknown or repeated directive, or a pattern without a year
 */
export function datePattern(pattern: string): (text: string) => number | undefined {
  const known = compiled.get(pattern);
  if (known !== undefined) return known;
  const long = SHORT.reduce((text, [short, full]) => text.replaceAll(short, full), pattern);
  const seen = new Set<string>();
  const source = long.replace(/%(.?)|[\s\S]/gu, (part: string, letter?: string) => {
    if (letter === undefined) return part.trim() === "" ? String.raw`\s+` : part.replace(/[$()*+.?[\\\]^{|}/]/, "\\$&");
    const directive = Object.hasOwn(DIRECTIVES, letter) ? DIRECTIVES[letter] : undefined;
    if (directive === undefined) {
      throw new OptionError(
        `the date format "${pattern}" has %${letter}, which is unknown. Known are ${Object.keys(DIRECTIVES)
          .map((one) => `%${one}`)
          .join(" ")}.`,
      );
    }
    const [, group] = /<(\w+)>/.exec(directive) ?? [];
    if (group !== undefined && seen.has(group)) {
      throw new OptionError(
        `the date format "${pattern}" has two directives for the same part: %${letter} is the second.`,
      );
    }
    if (group !== undefined) seen.add(group);
    return directive;
  });
  if (!seen.has("y")) throw new OptionError(`the date format "${pattern}" has no year: %Y, or %y for two digits.`);
  if (long.includes("%I") && !seen.has("ap")) {
    throw new OptionError(`the date format "${pattern}" has hours to 12 (%I) without AM or PM (%p).`);
  }
  const expression = new RegExp(`^${source}$`, "u");
  const read = (text: string) => {
    const groups = expression.exec(text)?.groups;
    return groups && daysIn(groups);
  };
  // Few patterns are ever used; files and options are the only source of them.
  if (compiled.size > 100) compiled.clear();
  compiled.set(pattern, read);
  return read;
}
