// What a file is by its first bytes, where it is not CSV: so that it is named, and not taken for a text in another encoding.

import { TableError } from "../errors.ts";

const SHEET = "Save the sheet as CSV, or the table as Parquet.";
const UNPACK = "Unpack it first.";

/** A byte that no text has. */
const BINARY = String.raw`[\s\S]{0,500}?[\0-\x08\x0e-\x1f]`;
/** First bytes as text of one byte per character, what they are the beginning of, and what to do. A header may begin with letters. */
const kinds: readonly (readonly [string | RegExp, string, string])[] = [
  ["\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook (.xls)", SHEET],
  ["ARROW1\0", "an Arrow or Feather file", "Write the table as Parquet or CSV."],
  [new RegExp(`^FEA1${BINARY}`), "a Feather file", "Write the table as Parquet or CSV."],
  ["\xff\xff\xff\xff", "a stream of Arrow records", "Write the table as Parquet or CSV."],
  [new RegExp(`^ORC${BINARY}`), "an ORC file", "Write the table as Parquet or CSV."],
  ["Obj\x01", "an Avro file", "Write the table as Parquet or CSV."],
  ["SQLite format 3\0", "an SQLite database", "Write the table or the query as CSV."],
  ["\x89HDF\r\n\x1a\n", "an HDF5 file", "Write the table as Parquet or CSV."],
  ["MATLAB 5.0 MAT-file", "a MATLAB file", "Write the table as CSV."],
  ["\x93NUMPY", "a NumPy array", "Write it as CSV (numpy.savetxt)."],
  [/^RD[AX][23]\n/, "data of R", "Write the table as CSV (write.csv)."],
  ["X\n\0\0\0", "data of R (.rds)", "Write the table as CSV (write.csv)."],
  [/^\$FL2@/, "an SPSS file", "Write the table as CSV."],
  [/^\$FL3@/, "an SPSS file", "Write the table as CSV."],
  ["<stata_dta>", "a Stata file", "Write the table as CSV."],
  ["HEADER RECORD*******", "a SAS transport file", "Write the table as CSV."],
  ["%PDF-", "a PDF document", SHEET],
  ["{\\rtf", "a document (RTF)", SHEET],
  [/^BZh[1-9]1AY/, "compressed by bzip2", UNPACK],
  ["\xfd7zXZ\0", "compressed by xz", UNPACK],
  ["\x28\xb5\x2f\xfd", "compressed by Zstandard", UNPACK],
  ["x\x9c", "compressed by zlib", UNPACK],
  ["x\xda", "compressed by zlib", UNPACK],
  ["\x1f\x9d", "compressed (.Z)", UNPACK],
  ["LZIP\x01", "compressed by lzip", UNPACK],
  ["\x04\x22\x4d\x18", "compressed by LZ4", UNPACK],
  ["7z\xbc\xaf\x27\x1c", "an archive of 7-Zip", UNPACK],
  ["Rar!\x1a", "a RAR archive", UNPACK],
  ["\x89PNG", "a picture", "Give a CSV or Parquet file."],
  ["\xff\xd8\xff", "a picture", "Give a CSV or Parquet file."],
  [/^GIF8[79]a/, "a picture", "Give a CSV or Parquet file."],
];

/** What a zip holds, by names of its first files. */
const inZip: readonly (readonly [RegExp, string, string])[] = [
  [/\[Content_Types\]\.xml|xl\/|_rels\/|docProps\//, "an Excel workbook (.xlsx)", SHEET],
  [/opendocument\.spreadsheet/, "an OpenDocument spreadsheet (.ods)", SHEET],
  [/Index\/.*\.iwa/, "a Numbers spreadsheet", SHEET],
  [/\.npy/, "NumPy arrays (.npz)", "Write them as CSV (numpy.savetxt)."],
];

/** What a text is that is not CSV. */
const texts: readonly (readonly [RegExp, string, string])[] = [
  [
    /^\s*(<!doctype html|<html)/i,
    "a web page (HTML)",
    "Likely cause: a download that asked for a login. Give a CSV or Parquet file.",
  ],
  [/^\s*<\?xml/, "an XML document", "Write the table as CSV."],
  [/^\s*(\{\s*"|\[\s*[{[])/, "JSON", "Write the table as CSV."],
];

/** The kind of a file that is not a table that can be read, and what to do; undefined for what may be one. */
export function foreignKind(bytes: Uint8Array): { readonly kind: string; readonly advice: string } | undefined {
  const start = Buffer.from(bytes.subarray(0, 4096)).toString("latin1");
  const found = kinds.find(([magic]) => (typeof magic === "string" ? start.startsWith(magic) : magic.test(start)));
  if (found !== undefined) return { kind: found[1], advice: found[2] };
  if (start.startsWith("PK\x03\x04") || start.startsWith("PK\x05\x06")) {
    const held = inZip.find(([names]) => names.test(start)) ?? [
      undefined,
      "a zip archive, as Excel workbooks (.xlsx) are",
      `${UNPACK} ${SHEET}`,
    ];
    return { kind: held[1], advice: held[2] };
  }
  if (bytes[0] === 0x80 && bytes[1] >= 2 && bytes[1] <= 5) {
    return { kind: "a pickle of Python", advice: "Write the table as CSV or Parquet (DataFrame.to_csv)." };
  }
  if (start.slice(257, 262) === "ustar") return { kind: "a tar archive", advice: UNPACK };
  if (start[7] === "\0" && start.startsWith('{"', 8))
    return { kind: "a safetensors file, such as a model", advice: "Give a table." };
  const text = texts.find(([is]) => is.test(start.replace(/^\xef\xbb\xbf/, "")));
  return text && { kind: text[1], advice: text[2] };
}

/** Whether bytes begin a gzip stream. */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** @throws TableError for the first bytes of something else than a text */
export function refuseForeign(bytes: Uint8Array, compressed: boolean): void {
  if (Buffer.from(bytes.subarray(0, 4)).toString("latin1") === "PAR1") {
    const advice = compressed ? "unpack it first" : "give the file's name instead of -";
    throw new TableError(`Parquet begins at its end, so it cannot be read as a stream: ${advice}.`);
  }
  const found = foreignKind(bytes);
  if (found === undefined) return;
  throw new TableError(`the ${compressed ? "compressed file holds" : "file is"} ${found.kind}. ${found.advice}`);
}
