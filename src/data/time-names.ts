// Names of months, weekdays and time zones in tables.

/** Months by their names and short names: English, German, French, Spanish, Italian, Portuguese and Dutch. */
export const MONTHS: ReadonlyMap<string, number> = new Map(
  [
    "jan january januar jänner janvier janv enero ene gennaio gen janeiro januari",
    "feb february februar février févr fév fevrier febrero febbraio fevereiro fev februari",
    "mar march märz maerz mrz mär mars marzo março maart mrt",
    "apr april avril avr abril abr aprile",
    "may mai mayo maggio mag maio mei",
    "jun june juni juin junio giugno giu junho",
    "jul july juli juillet juil julio luglio lug julho",
    "aug august août aout agosto ago augustus",
    "sep sept september septembre septiembre settembre set setembro",
    "oct october oktober okt octobre octubre ottobre ott outubro out",
    "nov november novembre noviembre novembro",
    "dec december dezember dez décembre déc decembre diciembre dic dicembre dezembro",
  ].flatMap((names, i) => names.split(" ").map((name) => [name, i + 1] as const)),
);

/** The first two letters of weekdays in those languages. */
export const FIRST_NAMES: ReadonlySet<string> = new Set(
  "su mo tu we th fr sa so di mi do lu ma me je ve do mi ju vi sá se te qu qi gi zo wo vr za".split(" "),
);

/** Zones by name, in minutes east of Greenwich: those of RFC 2822, and names that stand for one zone only. */
const ZONES: Readonly<Record<string, number>> = {
  Z: 0,
  UTC: 0,
  GMT: 0,
  UT: 0,
  WET: 0,
  EST: -300,
  EDT: -240,
  CST: -360,
  CDT: -300,
  MST: -420,
  MDT: -360,
  PST: -480,
  PDT: -420,
  CET: 60,
  CEST: 120,
  MEZ: 60,
  MESZ: 120,
  EET: 120,
  EEST: 180,
  MSK: 180,
  JST: 540,
  KST: 540,
};

/** Minutes east of Greenwich that a zone says: Z, CEST, +01, -0330, UTC+1, GMT+01:00. Undefined for an unknown one. */
export function zoneMinutes(zone: string): number | undefined {
  const name = zone.toUpperCase();
  if (Object.hasOwn(ZONES, name)) return ZONES[name];
  const [, sign, hours, minutes = "0"] = /^(?:UTC|GMT|UT)?([+\-−])(\d{1,2}):?(\d{2})?$/.exec(name) ?? [];
  if (sign === undefined || Number(hours) > 14 || Number(minutes) > 59) return undefined;
  return (sign === "+" ? 1 : -1) * (60 * Number(hours) + Number(minutes));
}
