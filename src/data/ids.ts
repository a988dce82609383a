// Columns that number or name the rows: they say nothing about a new row, and much about these.

/** Why a column is an id, in words; undefined if it is not one. */
export type IdReason = string | undefined;

/** Chance must be below this, in natural logarithms, for integers that are all different to be taken for ids. */
const CHANCE = Math.log(1e-5);
/** The share of a range that integers "nearly" fill. */
const NEARLY = 0.9;
const FEWEST_NEARLY = 8;
/** A sample of this part of a range or less is not a numbering: times in seconds are all different too. */
const SPARSE = 0.1;
const EXACT = 2 ** 53;
/** Years number the rows of many a table, and say when. */
const YEAR_NAME = /year|yr|jahr|ann[ée]e|a[ñn]o|ano|date|time|zeit/i;
const [FIRST_YEAR, LAST_YEAR] = [1000, 2200];

/** What is said of integers that number rows in any order. */
const NUMBERS = "row numbers or ids";
/** The columns of a table that can number its rows: so many, or this share. More are ranks, or whatever fills a range. */
const [MOST_IDS, IDS_SHARE] = [2, 0.1];

/** Whether a reason is that of integers in any order, which may be something else. */
export const mayBeOther = (reason: string): boolean => reason.startsWith(NUMBERS);

/** Whether so many of a table's columns are too many to number its rows. */
export const tooManyIds = (ids: number, columns: number): boolean => ids > Math.max(MOST_IDS, IDS_SHARE * columns);

/** Whether a column is an index that a program wrote beside the table: pandas', without a name, or R's row names. */
export function isIndexName(names: readonly string[], j: number): boolean {
  const name = names[j].trim();
  if (/^unnamed: ?\d+(\.\d+)*$/i.test(name) || /^__index_level_\d+__$/.test(name)) return true;
  // Where no column has a name, the first is one among others.
  return j === 0 && (name === "" || name === "column 1") && names[1] !== "column 2";
}

/**
 * Why numbers are those of rows. Integers that are all different are, in any order, where they nearly fill a range, or where
 * chance would hardly have left them all different: n draws from R values are with probability R! / ((R − n)! Rⁿ).
 * @param values a column's numbers, in the order of the rows
 * @param total rows of the table that these rows are a sample of
 */
export function numberingOf(name: string, values: readonly number[], total: number): IdReason {
  const n = values.length;
  if (n < 3 || !values.every(Number.isInteger)) return undefined;
  if ((values[0] === 0 || values[0] === 1) && values.every((x, i) => x === values[0] + i)) return "it counts the rows";
  let [low, high] = [values[0], values[0]];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  if (YEAR_NAME.test(name) && low >= FIRST_YEAR && high <= LAST_YEAR) return undefined;
  if (new Set(values).size < n) return undefined;
  const range = high - low + 1;
  const size = Math.max(Math.abs(low), Math.abs(high));
  if (size >= EXACT) return "ids beyond 2^53: integers that are all different, and not exact as numbers";
  const filled = n / range;
  if (Math.min(1, (filled * Math.max(total, n)) / n) < SPARSE) return undefined;
  let chance = 0;
  for (let i = 1; i < n && chance >= CHANCE; i++) chance += Math.log1p(-i / range);
  if (chance >= CHANCE && !(filled >= NEARLY && n >= FEWEST_NEARLY)) return undefined;
  return `${NUMBERS}: integers from ${low} to ${high}, all different`;
}

/** The share of texts that must be codes, and of those that must have a zero in front. */
const [CODES, WITH_ZERO] = [0.95, 0.01];

/** Whether texts are codes of digits, such as 00123: some with zeros in front, which numbers do not have. */
export function areCodes(texts: readonly string[]): boolean {
  let [digits, zeros] = [0, 0];
  for (const text of texts) {
    if (!/^\s*\d+\s*$/.test(text)) continue;
    digits++;
    if (/^\s*0\d/.test(text)) zeros++;
  }
  return zeros > 0 && digits >= CODES * texts.length && zeros >= WITH_ZERO * texts.length;
}
