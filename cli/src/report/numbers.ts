// Numbers as texts for people.

const missing = "—";
const superscripts = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** A power of ten: "10⁻³". */
export function powerOfTen(exponent: number): string {
  const digits = [...String(Math.abs(exponent))].map((digit) => superscripts[Number(digit)]).join("");
  return `10${exponent < 0 ? "⁻" : ""}${digits}`;
}

const minus = (text: string) => text.replace("-", "−");

/** A number to so many significant digits: "1,537", "0.2881", "2.1 × 10⁻⁷"; "—" for what is not a number. */
export function number(value: number | undefined, digits = 4): string {
  if (value === undefined || Number.isNaN(value)) return missing;
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e9)) {
    const [mantissa, exponent] = value.toExponential(Math.min(digits, 3) - 1).split("e");
    return `${minus(mantissa)} × ${powerOfTen(Number(exponent))}`;
  }
  const options =
    size >= 10 ** digits ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: digits, useGrouping: true };
  return minus(value.toLocaleString("en-US", options));
}

/** A share between 0 and 1 in per cent: "91 %", "0.4 %". */
export function percent(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return missing;
  const rounded = 100 * value;
  return `${minus(rounded.toFixed(rounded !== 0 && Math.abs(rounded) < 10 ? 1 : 0))}\u00a0%`;
}

/** Numbers with as many decimals as an uncertainty makes sensible: two significant digits of it. */
export function toPrecisionOf(uncertainty: number, ...values: readonly number[]): string[] {
  if (!(uncertainty > 0 && Number.isFinite(uncertainty))) return values.map((value) => number(value));
  const decimals = 1 - Math.floor(Math.log10(uncertainty));
  if (decimals > 6 || decimals < -8) return values.map((value) => number(value));
  return values.map((value) =>
    Number.isFinite(value)
      ? minus(
          value.toLocaleString("en-US", {
            minimumFractionDigits: Math.max(0, decimals),
            maximumFractionDigits: Math.max(0, decimals),
          }),
        )
      : number(value),
  );
}

/** A count and its noun: "1 row", "1,204 rows". */
export function count(n: number, noun: string): string {
  return `${n.toLocaleString("en-US")} ${noun}${n === 1 ? "" : "s"}`;
}

/** The label of an axis's tick, given the ends of the axis. */
export function tickLabel(low: number, high: number): (value: number) => string {
  const size = Math.max(Math.abs(low), Math.abs(high));
  const span = high - low;
  const digits = Math.min(12, Math.max(2, Math.ceil(Math.log10(size / span)) + 2));
  const compact = size >= 1e5 && size < 1e12 && digits <= 4;
  return (value) => {
    if (Math.abs(value) < 1e-9 * span) return "0";
    if (size < 1e-3 || size >= 1e12) return number(value, 3);
    return minus(
      value.toLocaleString("en-US", {
        maximumSignificantDigits: digits,
        ...(compact ? { notation: "compact" } : {}),
      }),
    );
  };
}
