import { isOfText } from "../../result/result-quality.js";
import { figures } from "../figures.js";
import { html, type Markup, type Piece } from "../html.js";
import type { ReportRecord } from "../report-record.js";

/** What was made of which model, how, and what it came to in four figures. */
export function head(record: ReportRecord): Markup {
  const { name, scheme, recipe, preset, effort, engine, created, version, symmetric } = record;
  const facts: readonly (readonly [string, Piece])[] = [
    ["scheme", html`${scheme}${symmetric === null ? "" : symmetric ? ", symmetric" : ", asymmetric"}`],
    [
      "recipe",
      recipe === null ? null : `${recipe}${preset === null || preset === "default" ? "" : `, preset ${preset}`}`,
    ],
    ["effort", effort === null ? null : `${effort.name} (${chosen[effort.chosen]})`],
    ["device", engine === null ? null : `${engine.device}, ${engine.dtype}, libtorch ${engine.torch}`],
    ["text", textOf(record)],
    ["made", created === null ? null : html`<time datetime="${created}">${figures.moment(created)}</time>`],
    ["crossblock", version],
  ];
  return html`<header><p class="kind">Quantized model</p><h1>${name ?? "a model"}</h1><dl class="facts">${facts
    .filter(([, value]) => value !== null)
    .map(([label, value]) => html`<div><dt>${label}</dt><dd>${value}</dd></div>`)}</dl>${cards(record)}</header>`;
}

const chosen = { given: "as given", device: "by the device", time: "by the time" } as const;

function textOf({ calibration }: ReportRecord): Piece {
  if (calibration === null) return "none";
  const { source, sequences, context } = calibration;
  if (source === "images" || source === "tensors")
    return `${figures.count(sequences)} ${source === "images" ? "images" : "examples"}`;
  const size = `${figures.count(sequences)} × ${figures.count(context)} tokens`;
  return source === "self-generated" ? `${size} that the model made up` : size;
}

function cards(record: ReportRecord): Markup {
  const { quality, sizes, bitsPerWeight, linears, seconds, peakMemoryBytes } = record;
  const smallest = sizes?.formats.reduce<number | null>(
    (least, { bytes }) => (least === null || bytes < least ? bytes : least),
    null,
  );
  const pair = withOneUnit(figures.bytes(sizes?.source ?? 0), figures.bytes(smallest ?? 0));
  return html`<div class="cards">${qualityCard(quality)}${card(
    "Size",
    sizes === null || smallest === null || smallest === undefined
      ? "–"
      : html`${pair[0]}<span class="to"> → </span>${pair[1]}`,
    sizes === null || smallest === null || smallest === undefined || smallest === 0
      ? "not recorded"
      : `${(sizes.source / smallest).toFixed(1)} times smaller`,
  )}${card(
    "Bits per quantized weight",
    bitsPerWeight === null ? "–" : bitsPerWeight.toFixed(2),
    linears === null ? "" : `${figures.count(linears.length)} Linears`,
  )}${card(
    "Time",
    seconds === null ? "–" : figures.seconds(seconds),
    peakMemoryBytes === null ? "" : `at most ${figures.bytes(peakMemoryBytes)} of memory`,
  )}</div>`;
}

function qualityCard(quality: ReportRecord["quality"]): Markup {
  if (quality === null) return card("Perplexity", "–", "not scored");
  if (isOfText(quality)) {
    const { source, result, roundToNearest } = quality.perplexity;
    return card(
      "Perplexity",
      html`${figures.perplexity(source)}<span class="to"> → </span>${figures.perplexity(result)}`,
      roundToNearest === null ? "source → result" : `round to nearest ${figures.perplexity(roundToNearest)}`,
    );
  }
  const { result, roundToNearest } = quality;
  const [label, shown]: readonly [string, (distance: typeof result) => string] =
    result.agreement === null
      ? ["Relative error of outputs", ({ relativeError }) => figures.loss(relativeError)]
      : ["Same class as the source", ({ agreement }) => figures.percent(agreement ?? 0)];
  return card(label, shown(result), roundToNearest === null ? "" : `round to nearest ${shown(roundToNearest)}`);
}

function card(label: string, value: Piece, note: Piece): Markup {
  return html`<div class="card"><p class="label">${label}</p><p class="value">${value}</p><p class="small">${note}</p></div>`;
}

// `14.7 → 4.66 MB`: a unit that both have is told once.
function withOneUnit(from: string, to: string): readonly [string, string] {
  const [number = "", unit] = from.split(" ");
  return unit === to.split(" ")[1] ? [number, to] : [from, to];
}
