// Which texts say that there is no value. Of numbers and dates these are the marks that programs and people write for it; a
// column of texts has a value wherever a person may have meant one: "None" may be a class, and NA is sodium.

import { isMissing as isMissingOfBefore, NOT_FINITE } from "./cells.ts";
import { identityOf } from "./identity.ts";
import { checkText, checkTexts, checkWritten } from "./texts.ts";

/** Which texts count as missing; an empty cell always does. */
export interface MissingRule {
  /** Texts that do in every column, compared as what they mean: "-999" is "-999.0" too. */
  readonly texts: readonly string[];
  /** Of which others: "usual" marks, "none", or those of files of before ("classic", the same in all columns). */
  readonly marks: "usual" | "none" | "classic";
}

/** Whether a cell has no value. */
export type MissingTest = (cell: string) => boolean;

/** Longer texts are not marks. */
const LONGEST = 64;
/** What only programs write: spreadsheets' errors, pandas, R, databases, C's printf. It is missing in texts as well. */
const PROGRAMS: ReadonlySet<string> = new Set([
  ...["NaN", "nan", "-NaN", "-nan", "<NA>", "NaT", "NA_character_", "NA_integer_", "NA_real_", "#N/A", "#n/a", "#NA"],
  ...["#N/A N/A", "#NV", "\\N", "(null)", "<null>", "[null]", "1.#QNAN", "-1.#QNAN", "1.#IND", "-1.#IND", "1.#SNAN"],
]);
/** #DIV/0!, #VALUE!, #REF!, #NUM!, #NAME?, and what they are called in other languages. */
const SPREADSHEET_ERROR = /^#[\p{L}\d/_ ]{2,20}[!?]$/u;
/** Among numbers or dates these say nothing either, in lower case. */
const MARKS: ReadonlySet<string> = new Set([
  ...[
    "na",
    "n/a",
    "n.a.",
    "n.a",
    "n/d",
    "n.d.",
    "nd",
    "nan",
    "null",
    "nil",
    "(null)",
    "<null>",
    "[null]",
    "<na>",
    "nat",
  ],
  ...["?", "??", "???", "-", "--", "---", "–", "—", "―", "−", ".", "..", "...", "…", "*", "**", "***", ":", "_", "\\n"],
  ...["1.#inf", "-1.#inf", "-nan(ind)", "nan(ind)", "-nan(snan)", "nan(snan)", "inf(ind)"],
  ...["k.a.", "k. a.", "n. a.", "n/d", "s/d", "s.d.", "s/o", "tbd", "tba", "#", "/", "//", "''", '""'],
]);
/** Words that may be a class among numbers that are classes, in lower case: "none" of the levels 1, 2 and 3. */
const WORDS: ReadonlySet<string> = new Set([
  ...["none", "unknown", "unk", "missing", "undefined", "not available", "not applicable", "not reported", "no data"],
  ...["nodata", "no value", "not recorded", "not known", "(blank)", "blank", "empty", "(empty)", "keine angabe"],
]);
/** SAS writes special missing values as . with a letter or an underscore. */
const SAS = /^\.[a-z_]$/i;

/** Nearly all cells of nearly all tables: a digit, perhaps behind a sign. No mark begins so, but for those with #: 1.#QNAN. */
function beginsAsNumber(text: string): boolean {
  const first = text.charCodeAt(0);
  const digit = first === 45 || first === 43 ? text.charCodeAt(1) : first;
  return digit >= 48 && digit <= 57 && !text.includes("#");
}

const byProgram = (text: string) => PROGRAMS.has(text) || (text[0] === "#" && SPREADSHEET_ERROR.test(text));

/** Of columns of numbers and dates. */
function usualMark(text: string): boolean {
  const lower = text.toLowerCase();
  return MARKS.has(lower) || WORDS.has(lower) || byProgram(text) || NOT_FINITE.test(text) || SAS.test(text);
}

/** Whether a text stands for a missing value often enough that one should be told when it is taken for a value. */
export function looksMissing(cell: string): boolean {
  checkText("looksMissing", cell);
  const text = cell.trim();
  return text.length <= LONGEST && usualMark(text);
}

/**
 * The test of a rule, for cells of a kind: numbers (dates too), texts, or numbers that are classes.
 */
export function missingTest(rule: MissingRule, among: "numbers" | "texts" | "classes"): MissingTest {
  checkWritten("missingTest", rule, ["marks"]);
  if (rule.marks === "classic") return isMissingOfBefore;
  checkTexts("missingTest", "texts", rule.texts);
  const named = new Set(rule.texts.map(identityOf));
  const usual = rule.marks === "usual";
  return (cell) => {
    checkText("missingTest", cell);
    if (named.size === 0 && beginsAsNumber(cell)) return false;
    if (cell.length > LONGEST) return cell.trim() === "" || (named.size > 0 && named.has(identityOf(cell)));
    const text = cell.trim();
    if (text === "") return true;
    if (named.size > 0 && named.has(identityOf(text))) return true;
    if (!usual || beginsAsNumber(text)) return false;
    if (among === "texts") return byProgram(text);
    return usualMark(text) && (among === "numbers" || !WORDS.has(text.toLowerCase()));
  };
}
