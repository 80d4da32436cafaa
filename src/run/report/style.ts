import { Markup } from "./html.js";

/** The page's whole style: no file beside it, no network. Both schemes of colours, from narrow screens to wide ones. */
export const style = new Markup(`
:root {
  color-scheme: light dark;
  --page: #f6f6f3; --surface: #ffffff; --ink: #1b1d20; --muted: #585d64; --line: #e2e2dd; --track: #eeeeea;
  --source: #7a8594; --result: #0b7a70; --result-dark: #075951; --nearest: #b3650f; --heat: #8a1f4b; --good: #1d7a3a; --bad: #b3261e;
  --radius: 10px;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #101214; --surface: #181b1e; --ink: #e9eaec; --muted: #a0a6ae; --line: #2a2e33; --track: #23272b;
    --source: #8b96a5; --result: #35b3a6; --result-dark: #1d7f76; --nearest: #e0a04a; --heat: #f0628f; --good: #5cc07c; --bad: #f2847c;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 1320px; margin: 0 auto; padding: 28px 20px 48px; }
h1 { font-size: clamp(1.5rem, 4vw, 2.2rem); line-height: 1.15; margin: 0 0 14px; letter-spacing: -0.02em; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 0 0 2px; letter-spacing: -0.005em; }
h3 { font-size: 0.85rem; margin: 14px 0 6px; font-weight: 600; }
p { margin: 0; }
.kind { color: var(--muted); font-size: 0.85rem; margin-bottom: 2px; }
.note, .small, .missing { color: var(--muted); font-size: 0.82rem; }
.note { margin-bottom: 12px; max-width: 92ch; }
.missing { padding: 10px 0; }
.unit { color: var(--muted); font-weight: 400; }
.number, .bar-text, .window-loss, .window-ratio, .window-time { font-variant-numeric: tabular-nums; }
.visually-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.facts { display: flex; flex-wrap: wrap; gap: 4px 26px; margin: 0 0 20px; }
.facts div { display: flex; gap: 7px; min-width: 0; }
.facts dt { color: var(--muted); }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.cards { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 14px; margin-bottom: 14px; }
@media (min-width: 1000px) { .cards { grid-template-columns: repeat(4, minmax(0, 1fr)); } }
.card, section { background: var(--surface); border: 1px solid var(--line); border-radius: var(--radius); }
.card { padding: 13px 16px; }
.label { color: var(--muted); font-size: 0.8rem; }
.value { font-size: 1.5rem; font-weight: 600; letter-spacing: -0.02em; line-height: 1.3; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.to { color: var(--muted); font-weight: 400; }
.sections { display: grid; grid-template-columns: minmax(0, 1fr); gap: 14px; }
section { padding: 16px 18px 18px; min-width: 0; }
@media (min-width: 1000px) {
  .sections { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .wide { grid-column: 1 / -1; }
}
.sections > .wide, .column { min-width: 0; display: grid; gap: 14px; align-content: start; }
.column > :only-child { height: 100%; } .column:has(> :only-child) { align-content: stretch; }
.bars { list-style: none; margin: 0; padding: 0; display: grid; grid-template-columns: 10em minmax(0, 1fr) auto; gap: 7px 10px; }
.bars li { display: grid; grid-column: 1 / -1; grid-template-columns: subgrid; align-items: center; font-size: 0.86rem; }
.bar-label { overflow-wrap: anywhere; }
.bar-track { background: var(--track); border-radius: 4px; height: 14px; overflow: hidden; }
.bar { display: block; height: 100%; border-radius: 4px; min-width: 2px; overflow: hidden; }
.bar.source { background: var(--source); } .bar.result { background: var(--result); }
.bar.nearest { background: var(--nearest); } .bar.plain { background: var(--source); }
.bar-part { display: block; height: 100%; background: var(--result-dark); }
.bar-text { text-align: right; white-space: nowrap; }
@media (max-width: 620px) {
  .bars { grid-template-columns: minmax(0, 1fr) auto; } .bars li { row-gap: 2px; }
  .bar-track { grid-column: 1 / -1; grid-row: 2; }
}
.heat-frame, .scroll { overflow: auto; max-height: 560px; }
.heat { border-collapse: separate; border-spacing: 2px; width: 100%; table-layout: fixed; font-size: 0.76rem; }
.heat th { font-weight: 500; color: var(--muted); padding: 0 3px; overflow: hidden; text-overflow: ellipsis; }
.heat thead th { position: sticky; top: 0; background: var(--surface); padding-bottom: 3px; z-index: 1; }
.heat th:first-child { width: 2.6em; text-align: right; font-variant-numeric: tabular-nums; }
.heat td { padding: 0; height: 18px; }
.heat button { display: block; width: 100%; height: 18px; border: 0; padding: 0; border-radius: 3px; cursor: default; background: color-mix(in oklab, var(--heat) var(--depth), var(--track)); }
.heat button:hover { outline: 2px solid var(--ink); outline-offset: 0; }
.heat .none { background: repeating-linear-gradient(45deg, var(--track) 0 3px, transparent 3px 6px); border-radius: 3px; }
.readout { color: var(--muted); font-size: 0.82rem; min-height: 1.6em; margin-top: 8px; overflow-wrap: anywhere; }
.scale { display: inline-block; width: 90px; height: 10px; border-radius: 3px; vertical-align: -1px; background: linear-gradient(90deg in oklab, color-mix(in oklab, var(--heat) 6%, var(--track)), var(--heat)); }
table.linears { border-collapse: collapse; width: 100%; font-size: 0.82rem; }
.linears th, .linears td { padding: 3px 6px; text-align: left; border-top: 1px solid var(--line); }
.linears thead th { color: var(--muted); font-weight: 500; border-top: 0; }
.linears tbody th { font-weight: 400; overflow-wrap: anywhere; min-width: 9em; }
.linears .number { text-align: right; white-space: nowrap; }
.meter { width: 22%; min-width: 44px; }
.meter span { display: block; height: 8px; border-radius: 3px; min-width: 2px; background: var(--source); }
.meter .error { background: var(--heat); }
details > summary { cursor: pointer; }
#linears details > summary { color: var(--muted); font-size: 0.85rem; padding: 8px 6px 4px; }
.windows { max-height: 560px; overflow: auto; }
.window { border-top: 1px solid var(--line); }
.window:first-child { border-top: 0; }
.window summary { display: grid; grid-template-columns: 8.6em minmax(60px, 1fr) auto 3.6em 5.4em; gap: 10px; align-items: center; padding: 4px 4px; font-size: 0.84rem; list-style: none; }
.window summary::-webkit-details-marker { display: none; }
.window summary:hover { background: var(--track); }
.window-ratio, .window-time { text-align: right; color: var(--muted); white-space: nowrap; }
.window-loss { white-space: nowrap; }
.dumbbell { position: relative; height: 14px; }
.dumbbell::before { content: ""; position: absolute; left: 0; right: 0; top: 6.5px; height: 1px; background: var(--line); }
.rod { position: absolute; top: 5.5px; height: 3px; background: color-mix(in oklab, var(--result) 45%, var(--track)); }
.dot { position: absolute; top: 2px; width: 10px; height: 10px; border-radius: 50%; transform: translateX(-5px); border: 2px solid var(--source); background: var(--surface); }
.dot.after { border-color: var(--result); background: var(--result); }
@media (max-width: 620px) {
  .window summary { grid-template-columns: minmax(0, 1fr) auto auto; gap: 1px 10px; }
  .dumbbell { grid-column: 1 / -1; grid-row: 2; } .window-ratio { display: none; }
}
.curve { margin: 6px 4px 12px; }
.curve svg { width: 100%; height: 130px; display: block; background: var(--track); border-radius: 6px; }
.curve polyline { fill: none; stroke: var(--result); stroke-width: 1.6; stroke-linejoin: round; }
.curve figcaption { display: flex; justify-content: space-between; color: var(--muted); font-size: 0.78rem; gap: 10px; padding-top: 3px; }
.histograms { display: grid; grid-template-columns: repeat(auto-fit, minmax(110px, 1fr)); gap: 14px; }
.histogram { margin: 0; }
.histogram svg { width: 100%; height: auto; display: block; border-bottom: 1px solid var(--line); }
.histogram rect { fill: var(--result); }
.histogram figcaption { font-size: 0.82rem; padding-top: 3px; }
.sample + .sample { margin-top: 18px; }
.prompt { font-weight: 600; margin-bottom: 8px; white-space: pre-wrap; overflow-wrap: anywhere; }
.texts { display: grid; grid-template-columns: repeat(auto-fit, minmax(240px, 1fr)); gap: 12px; }
.text { margin: 0; padding: 10px 12px; background: var(--track); border-radius: 8px; border-top: 3px solid var(--source); min-width: 0; }
.text.result { border-color: var(--result); } .text.nearest { border-color: var(--nearest); }
.text figcaption { color: var(--muted); font-size: 0.8rem; margin-bottom: 3px; }
.text p { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 0.9rem; }
.tiles { display: grid; grid-template-columns: minmax(7em, 11em) repeat(3, minmax(0, 1fr)); gap: 8px; align-items: stretch; }
.tile-name { margin: 0; align-self: center; overflow-wrap: anywhere; }
.tile { display: flex; gap: 8px; padding: 8px 11px; border-radius: 8px; background: var(--track); font-size: 0.83rem; min-width: 0; overflow-wrap: anywhere; border-left: 3px solid var(--line); }
.tile.good { border-color: var(--good); } .tile.bad { border-color: var(--bad); }
.tile.good .sign { color: var(--good); } .tile.bad .sign { color: var(--bad); } .sign { font-weight: 700; }
@media (max-width: 760px) { .tiles { grid-template-columns: minmax(0, 1fr); } .tile-name { padding-top: 6px; } }
.strip { display: flex; height: 18px; border-radius: 5px; overflow: hidden; gap: 1px; background: var(--track); }
.strip span { min-width: 1px; }
.part-0 { background: #7a8594; } .part-1 { background: #3f83b5; } .part-2 { background: #0b8f83; } .part-3 { background: #8a6bb1; }
.part-4 { background: #c07a2b; } .part-5 { background: #a8456b; }
.stages { list-style: none; margin: 12px 0 0; padding: 0; font-size: 0.86rem; display: grid; gap: 3px; }
.stages li { display: grid; grid-template-columns: 12px minmax(0, 1fr) auto 5.2em; gap: 9px; align-items: center; }
.stages time { text-align: right; font-variant-numeric: tabular-nums; }
.swatch { width: 11px; height: 11px; border-radius: 3px; }
ul.warnings { list-style: none; margin: 8px 0 0; padding: 0; display: grid; gap: 10px; }
.warnings li { border-left: 3px solid var(--nearest); padding-left: 11px; overflow-wrap: anywhere; font-size: 0.9rem; }
:focus-visible { outline: 2px solid var(--ink); outline-offset: 2px; border-radius: 3px; }
footer { color: var(--muted); font-size: 0.8rem; padding: 18px 4px 0; }
@media print { body { background: #fff; } .windows, .heat-frame, .scroll { max-height: none; overflow: visible; } }
@media (max-width: 620px) { .linears th[scope="row"] { min-width: 7em; } .linears .meter:has(.plain) { display: none; } }
@media (max-width: 480px) { main { padding: 18px 12px 32px; } section { padding: 13px 13px 15px; } .cards { grid-template-columns: 1fr 1fr; gap: 10px; } .value { font-size: 1.12rem; } .card { padding: 10px 12px; } }
`);
