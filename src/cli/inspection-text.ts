import { leftOutSentence, sourceSentence } from "../run/events/census-record.js";
import type { InspectedTensor, InspectedUnit, Inspection } from "../run/events/inspection.js";
import { printable } from "./progress/render-progress.js";
import { formatBytes, formatCount } from "./quantities.js";

/** What `inspect` shows a reader: a line for each type of tensor, or for each tensor, and the whole in two lines. */
export function formatInspection(inspection: Inspection, { tensors: all }: { readonly tensors: boolean }): string {
  const { path, format, family, scheme, parameters, bytes, bitsPerWeight, quantizedBitsPerWeight, meanCodeBits } =
    inspection;
  const table = all
    ? [
        ["tensor", "shape", ...columns],
        ...inspection.tensors.map((t) => [t.name, `[${t.shape.join(", ")}]`, ...cells(t)]),
      ]
    : [
        ["tensors", "weights", ...columns],
        ...byType(inspection.tensors).map((kind) => [
          formatCount(kind.count),
          formatCount(kind.weights),
          ...cells(kind),
        ]),
      ];
  const codes =
    meanCodeBits === null || !hasSeveralWidths(inspection.tensors)
      ? ""
      : `, ${meanCodeBits.toFixed(3)} a code on average`;
  const quantized =
    quantizedBitsPerWeight === null ? "" : `, ${quantizedBitsPerWeight.toFixed(3)} where quantized${codes}`;
  return [
    ...aligned(table),
    "",
    ...unitLines(inspection.units ?? []),
    `${path}: ${family}, ${format}${scheme === null ? "" : `, ${scheme}`}`,
    `${formatCount(parameters)} parameters, ${formatBytes(bytes)}, ${bitsPerWeight.toFixed(3)} bits per weight${quantized}`,
    ...(inspection.census?.source === undefined ? [] : [printable(sourceSentence(inspection.census.source))]),
    ...(inspection.census?.leftOut ?? []).map((group) =>
      printable(`left out: ${leftOutSentence(group)}; next: ${group.next}`),
    ),
    "",
  ].join("\n");
}

/** Whether codes differ in width, between tensors or within one: then the scheme of most does not tell how many bits a code has. */
function hasSeveralWidths(tensors: readonly InspectedTensor[]): boolean {
  const widths = tensors.flatMap(({ codeBits, histogram }) =>
    codeBits === null || histogram === null ? [] : [codeBits, Math.log2(histogram.length)],
  );
  return new Set(widths).size > 1;
}

/** A line for each unit of a graph; of its layers the first and their number. */
function unitLines(units: readonly InspectedUnit[]): readonly string[] {
  if (units.length === 0) return [];
  const rows = units.map(({ index, kind, layers, weights, nodes, reads }) => [
    String(index),
    kind,
    String(nodes),
    formatCount(weights),
    printable(reads.join(", ")),
    printable(`${layers[0] ?? ""}${layers.length > 1 ? ` and ${layers.length - 1} more` : ""}`),
  ]);
  return [...aligned([["unit", "kind", "operations", "weights", "reads", "layers"], ...rows]), ""];
}

const columns = ["type", "size", "bits per weight", "scales", "codes"];

type Described = Pick<InspectedTensor, "type" | "bytes" | "bitsPerWeight" | "histogram" | "scales">;

function cells({ type, bytes, bitsPerWeight, histogram, scales }: Described): readonly string[] {
  const range = scales === null ? "" : scales.map((scale) => scale.toPrecision(3)).join(" to ");
  return [type, formatBytes(bytes), bitsPerWeight.toFixed(3), range, histogram === null ? "" : bars(histogram)];
}

interface Kind extends Described {
  readonly count: number;
  readonly weights: number;
}

/** The tensors of each type as one, the largest first. */
function byType(tensors: readonly InspectedTensor[]): readonly Kind[] {
  const kinds = new Map<string, Kind>();
  for (const tensor of tensors) {
    const before = kinds.get(tensor.type);
    const weights = tensor.shape.reduce((product, size) => product * size, 1) + (before?.weights ?? 0);
    const bytes = tensor.bytes + (before?.bytes ?? 0);
    kinds.set(tensor.type, {
      type: tensor.type,
      count: 1 + (before?.count ?? 0),
      weights,
      bytes,
      bitsPerWeight: weights === 0 ? 0 : (bytes * 8) / weights,
      histogram: before === undefined ? tensor.histogram : added(before.histogram, tensor.histogram),
      scales: before === undefined ? tensor.scales : widened(before.scales, tensor.scales),
    });
  }
  return [...kinds.values()].sort((a, b) => b.bytes - a.bytes);
}

function added(a: Kind["histogram"], b: Kind["histogram"]): Kind["histogram"] {
  return a === null || b === null ? null : a.map((count, i) => count + (b[i] ?? 0));
}

function widened(a: Kind["scales"], b: Kind["scales"]): Kind["scales"] {
  return a === null || b === null ? null : [Math.min(a[0], b[0]), Math.max(a[1], b[1])];
}

function aligned(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    rows.reduce((width, row) => Math.max(width, row[column]?.length ?? 0), 0),
  );
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

// One character per code, up to 16; wider grids are put into 16 bins.
function bars(histogram: readonly number[]): string {
  const perBin = Math.max(1, histogram.length / 16);
  const bins = Array.from({ length: Math.min(16, histogram.length) }, (_, i) =>
    histogram.slice(i * perBin, (i + 1) * perBin).reduce((sum, count) => sum + count, 0),
  );
  const most = Math.max(1, ...bins);
  const levels = " ▁▂▃▄▅▆▇█";
  return bins.map((count) => levels[count === 0 ? 0 : Math.max(1, Math.round((count / most) * 8))]).join("");
}
