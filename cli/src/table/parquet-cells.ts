// Values of Parquet columns as the texts that a CSV file would have. Decimals, times and timestamps are read as the integers
// that they are stored as: on the way through numbers and dates of JavaScript digits would be lost.

import type { SchemaElement } from "hyparquet";

/** A value of a column as text; a missing one is empty. */
type CellOf = (value: unknown) => string;

/** Units of a second that times are counted in, by their digits. */
const DIGITS = { MILLIS: 3, MICROS: 6, NANOS: 9 } as const;
type Unit = keyof typeof DIGITS;

/** How a column's values are read and written. */
export interface ParquetColumn {
  /** What the reader is told: without the types that are turned into text here. */
  readonly element: SchemaElement;
  readonly cellOf: CellOf;
}

/** How the values of a column that holds one value in a row are read and written. */
export function parquetColumn(element: SchemaElement): ParquetColumn {
  const { type, converted_type: converted, logical_type: logical, scale = 0 } = element;
  const plain = { ...element };
  delete plain.converted_type;
  delete plain.logical_type;
  if (logical?.type === "DECIMAL" || converted === "DECIMAL") {
    const places = logical?.type === "DECIMAL" ? logical.scale : scale;
    return { element: plain, cellOf: present((value) => decimalText(integerOf(value), places)) };
  }
  const time = timeOf(element);
  if (time !== undefined) {
    const { unit, zone, day } = time;
    const text = day ? (value: bigint) => timestampText(value, unit, zone) : (value: bigint) => clockText(value, unit);
    return { element: plain, cellOf: present((value) => text(integerOf(value))) };
  }
  if (type === "FLOAT") return { element, cellOf: (value) => cellText(shortest(value)) };
  if (logical?.type === "FLOAT16") return { element, cellOf: (value) => cellText(shortest(value, nearestHalf)) };
  return { element, cellOf: cellText };
}

const present =
  (text: CellOf): CellOf =>
  (value) =>
    value === null || value === undefined ? "" : text(value);

/** The unit of a column of times or timestamps, and whether these are instants. */
function timeOf({ converted_type: converted, logical_type: logical }: SchemaElement) {
  if (logical?.type === "TIMESTAMP" || logical?.type === "TIME") {
    return { unit: logical.unit as Unit, zone: logical.isAdjustedToUTC, day: logical.type === "TIMESTAMP" };
  }
  const [, kind, unit] = /^(TIME|TIMESTAMP)_(MILLIS|MICROS)$/.exec(converted ?? "") ?? [];
  return kind === undefined ? undefined : { unit: unit as Unit, zone: true, day: kind === "TIMESTAMP" };
}

/** An integer as it is stored: a number, or bytes, the first the highest, in two's complement. */
function integerOf(value: unknown): bigint {
  if (!(value instanceof Uint8Array)) return BigInt(value as number | bigint);
  return BigInt.asIntN(8 * value.length, value.length === 0 ? 0n : BigInt(`0x${Buffer.from(value).toString("hex")}`));
}

function decimalText(value: bigint, scale: number): string {
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, "0");
  const sign = value < 0n ? "-" : "";
  return scale === 0 ? sign + digits : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** A timestamp since 1970: 2012-03-01, or with its time where that is not midnight. */
function timestampText(value: bigint, unit: Unit, zone: boolean): string {
  const second = 10n ** BigInt(DIGITS[unit]);
  const day = 86_400n * second;
  const time = ((value % day) + day) % day;
  const date = new Date(Number((value - time) / day) * 86_400_000);
  // Beyond the year 275760 there is no date in JavaScript.
  if (Number.isNaN(date.getTime())) return String(value);
  const text = date.toISOString().slice(0, -14);
  return time === 0n ? text : `${text}T${clockText(time, unit)}${zone ? "Z" : ""}`;
}

/** A time of day: 13:05:09, with as many decimals as it has. */
function clockText(value: bigint, unit: Unit): string {
  const second = 10n ** BigInt(DIGITS[unit]);
  const seconds = value / second;
  const parts = [seconds / 3600n, (seconds / 60n) % 60n, seconds % 60n].map((part) => String(part).padStart(2, "0"));
  const fraction = String(value % second)
    .padStart(DIGITS[unit], "0")
    .replace(/0+$/, "");
  return parts.join(":") + (fraction === "" ? "" : `.${fraction}`);
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Bytes as the text that they are, or in hexadecimal digits. */
export function bytesText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    return `0x${Buffer.from(bytes).toString("hex")}`;
  }
}

/** What the reader made of a value, as text. */
export function cellText(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (value instanceof Date) {
    const text = value.toISOString();
    return text.endsWith("T00:00:00.000Z") ? text.slice(0, 10) : text;
  }
  if (value instanceof Uint8Array) return bytesText(value);
  if (typeof value !== "object") return String(value);
  return JSON.stringify(value, (_, part: unknown) => (typeof part === "bigint" ? String(part) : part)) ?? "";
}

/** Nanoseconds since 1970 as text: how old files have timestamps. */
export const nanosText = (value: bigint): string => timestampText(value, "NANOS", false);

/** Digits that tell floats of 32 bits apart; those of 16 take fewer. */
const FLOAT_DIGITS = [1, 2, 3, 4, 5, 6, 7, 8, 9] as const;

/** A number of few bits as the shortest text that says it, as programs write it in a CSV file: 0.1, not 0.10000000149. */
export function shortest(value: unknown, nearest: (x: number) => number = Math.fround): unknown {
  if (typeof value !== "number" || !Number.isFinite(value)) return value;
  for (const digits of FLOAT_DIGITS) {
    const short = Number(value.toPrecision(digits));
    if (nearest(short) === value) return short;
  }
  return value;
}

/** The nearest number of 16 bits: 11 digits, binary, from 2^-24 on. */
function nearestHalf(x: number): number {
  const unit = 2 ** (Math.max(Math.floor(Math.log2(Math.abs(x))), -14) - 10);
  const places = x / unit;
  const below = Math.floor(places);
  const even = places - below === 0.5 ? below + (Math.abs(below) % 2) : Math.round(places);
  return x === 0 ? 0 : even * unit;
}
