// The style sheet of the report: system fonts, colours as variables (light, dark, print), a grid that folds.

const light = `
  --paper: #fff; --page: #f5f6f8; --ink: #1b2430; --soft: #55606e; --line: #d9dee5;
  --model: #0a5fb4; --band: #b5d3f2; --alarm: #c03d00; --quiet: #6b7684;
  --fine: #0b6b52; --fine-paper: #e8f5f0; --careful-paper: #fdf3df; --careful: #855600; --serious-paper: #fdece5;`;

const dark = `
  --paper: #1a212b; --page: #11161d; --ink: #e9edf2; --soft: #a7b1bd; --line: #323c49;
  --model: #63aef5; --band: #2c4a6b; --alarm: #ff9466; --quiet: #8f9bab;
  --fine: #5fd0ab; --fine-paper: #142d28; --careful-paper: #33290f; --careful: #f0c061; --serious-paper: #3a2015;`;

/** CSS for the whole page. */
export const style = `
:root { color-scheme: light dark; ${light} }
@media screen and (prefers-color-scheme: dark) { :root { ${dark} } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0; background: var(--page); color: var(--ink); overflow-wrap: anywhere;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
header, main, footer { max-width: 1240px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 40px; }
h1 { font-size: clamp(1.9rem, 1.3rem + 2.4vw, 2.9rem); line-height: 1.12; letter-spacing: -0.02em; margin: 0 0 12px; }
h2 { font-size: 1.35rem; line-height: 1.25; letter-spacing: -0.01em; margin: 44px 0 14px; }
h3 { font-size: 1rem; line-height: 1.35; margin: 0 0 6px; }
p { margin: 0 0 8px; }
.eyebrow { color: var(--soft); font-size: .9rem; margin-bottom: 6px; }
.summary { font-size: 1.12rem; max-width: 46em; }
nav ul { list-style: none; margin: 18px 0 0; padding: 0; display: flex; flex-wrap: wrap; gap: 4px 18px; font-size: .92rem; }
a { color: var(--model); text-underline-offset: .2em; text-decoration-thickness: 1px; }
nav a { display: inline-block; padding: 3px 0; }
:focus-visible { outline: 2px solid var(--model); outline-offset: 2px; }
.verdict { border-left: 5px solid var(--fine); background: var(--fine-paper); border-radius: 8px; padding: 16px 20px 10px; }
.verdict strong { font-size: 1.12rem; }
.verdict ul { margin: 6px 0 0; padding: 0; list-style: none; }
.verdict li { padding: 10px 0 4px; border-top: 1px solid color-mix(in srgb, currentColor 16%, transparent); max-width: 62em; }
.verdict li p { margin-bottom: 4px; }
.verdict.careful { border-color: var(--careful); background: var(--careful-paper); }
.verdict.serious { border-color: var(--alarm); background: var(--serious-paper); }
.kind { font-weight: 650; color: var(--careful); margin-right: 2px; }
.problem .kind { color: var(--alarm); }
.advice { color: var(--ink); font-size: .95rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 216px), 1fr)); gap: 12px; margin: 0; }
.tile, .card { background: var(--paper); border: 1px solid var(--line); border-radius: 10px; }
.tile { padding: 14px 16px 8px; }
.tile dt { font-weight: 600; font-size: .95rem; line-height: 1.35; }
.tile small { color: var(--soft); font-weight: 400; white-space: nowrap; }
.tile dd { margin: 4px 0 0; font-size: .88rem; line-height: 1.45; }
.tile strong { display: block; font-size: 1.75rem; line-height: 1.25; letter-spacing: -0.01em; font-variant-numeric: tabular-nums; }
.tile p { color: var(--soft); margin: 4px 0 6px; }
.baseline { display: block; }
.good, .bad, .same { font-weight: 600; }
.good { color: var(--fine); } .bad { color: var(--alarm); } .same { color: var(--soft); }
.figures { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 16px; align-items: start; }
.card { margin: 0; padding: 16px 18px 14px; min-width: 0; height: 100%; }
.chart { display: block; overflow: visible; width: 100%; height: auto; font: 12px system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; }
.chart text { font-variant-numeric: tabular-nums; }
figcaption { color: var(--soft); font-size: .92rem; line-height: 1.5; margin-top: 8px; }
.signs { list-style: none; display: flex; flex-wrap: wrap; gap: 2px 16px; margin: 0 0 4px; padding: 0; font-size: .85rem; }
.signs li { display: flex; align-items: center; gap: 6px; }
.signs svg { width: 20px; height: 12px; flex: none; }
.scroll { overflow-x: auto; background-color: var(--paper); background-attachment: local, local, scroll, scroll; background-repeat: no-repeat;
  /* A shadow at the side where there is more. */
  background-image: linear-gradient(90deg, var(--paper) 30%, transparent), linear-gradient(270deg, var(--paper) 30%, transparent),
    linear-gradient(90deg, var(--line), transparent), linear-gradient(270deg, var(--line), transparent);
  background-size: 48px 100%, 48px 100%, 16px 100%, 16px 100%; background-position: 0 0, 100% 0, 0 0, 100% 0; border: 1px solid var(--line); border-radius: 10px; }
.card .scroll { border: 0; border-radius: 0; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
section > p { color: var(--soft); }
section > .signs { margin-bottom: 10px; }
th, td { padding: 7px 14px; text-align: left; border-top: 1px solid var(--line); white-space: nowrap; unicode-bidi: isolate; }
thead th { border-top: 0; font-weight: 600; color: var(--soft); vertical-align: bottom; }
tbody th { font-weight: 600; }
.number { text-align: right; }
td.note { white-space: normal; min-width: 16em; }
tr.ignored { color: var(--soft); }
.flag { color: var(--alarm); font-weight: 650; }
.confusion { width: auto; margin: 4px auto 0; }
.confusion th, .confusion td { padding: 6px 10px; border: 2px solid var(--paper); text-align: center; }
.confusion th[scope=row] { text-align: right; }
.confusion thead th:first-child { text-align: right; font-weight: 400; }
.confusion .hit { background: color-mix(in srgb, var(--band) var(--share), transparent); }
.confusion .miss { background: color-mix(in srgb, color-mix(in srgb, var(--alarm) 45%, var(--paper)) var(--share), transparent); font-weight: 650; }
.confusion .none, .confusion .total { color: var(--soft); }
.steep th[scope=col]:not(.corner) span { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 12em; }
.steep th, .steep td { padding: 3px 5px; font-size: .84rem; }
p.none { color: var(--soft); }
.facts { margin: 0; background: var(--paper); border: 1px solid var(--line); border-radius: 10px; padding: 6px 18px; }
.facts div { display: grid; grid-template-columns: 10em 1fr; gap: 2px 16px; padding: 8px 0; border-top: 1px solid var(--line); }
.facts div:first-child { border-top: 0; }
.facts dt { font-weight: 600; } .facts dd { margin: 0; min-width: 0; }
footer { color: var(--soft); font-size: .88rem; padding-top: 40px; padding-bottom: 48px; }
.classes { margin-top: 8px; } .classes summary { font-size: .92rem; cursor: pointer; }
.small { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 200px), 1fr)); gap: 8px; margin-top: 6px; }
.small .chart { font-size: 18px; }
@media print, screen and (min-width: 961px) {
  .lone { grid-column: 1 / -1; display: grid; grid-template-columns: minmax(0, 2.1fr) minmax(0, 1fr); grid-template-rows: auto auto 1fr; gap: 4px 28px; }
  .lone .chart { grid-row: 1 / -1; grid-column: 1; font-size: 9.5px; }
  .lone h3, .lone .signs, .lone figcaption { grid-column: 2; }
  .lone h3 { font-size: 1.1rem; }
  .lone .signs { flex-direction: column; font-size: .92rem; margin-top: 8px; }
}
@media screen and (max-width: 960px) { .figures { grid-template-columns: minmax(0, 1fr); } }
@media screen and (max-width: 520px) {
  header, main, footer { padding-left: 14px; padding-right: 14px; }
  header { padding-top: 24px; }
  h2 { margin-top: 34px; }
  .card { padding: 14px 12px 12px; }
  .chart { font-size: 14.5px; }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 8px; }
  .tile { padding: 10px 12px 4px; }
  .tile strong { font-size: 1.45rem; }
  .facts div { grid-template-columns: minmax(0, 1fr); }
  th, td { padding: 6px 10px; }
}
@media print {
  @page { margin: 14mm; }
  :root { --page: #fff; color-scheme: light; font-size: 12px; }
  body { font-size: 9pt; line-height: 1.4; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  header, main, footer { padding: 0; max-width: none; }
  nav { display: none; }
  h2 { margin: 20px 0 8px; break-after: avoid; }
  section > p, section > .signs { break-after: avoid; }
  .figures { gap: 10px; }
  .card, .tile, .verdict li, .facts div, tr { break-inside: avoid; }
  .card { padding: 10px 12px; }
  .tiles { grid-template-columns: repeat(4, 1fr); gap: 8px; }
  .tile { padding: 8px 10px 2px; }
  .chart { font-size: 14.5px; }
  .lone .chart { font-size: 11.5px; }
  .scroll { overflow: visible; background-image: none; }
  table { font-size: 8pt; }
  th, td { padding: 4px 6px; white-space: normal; }
  thead { display: table-header-group; }
  footer { padding: 14px 0 0; }
}
`;
