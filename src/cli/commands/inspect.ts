import { Command } from "commander";
import { inspect } from "../../run/inspect.js";
import type { InspectedTensor, Inspection } from "../../run/inspection.js";
import { printLine, runCommand } from "../exit.js";
import { formatBytes, formatCount } from "../quantities.js";

/** `crossblock inspect MODEL_OR_RESULT` */
export function inspectCommand(): Command {
  return new Command("inspect")
    .description("tensors, schemes, bits per weight, sizes and code histograms of a model folder or a result")
    .argument("<model>", "model folder, or a result of crossblock")
    .option("--json", "one JSON object a line on standard output")
    .action((folder: string, { json }: { readonly json?: boolean }) =>
      runCommand({ json: json === true }, async (signal) => {
        const inspection = await inspect(folder, { signal });
        if (json === true) printJson(inspection);
        else process.stdout.write(formatInspection(inspection));
        return 0;
      }),
    );
}

function printJson({ tensors, ...summary }: Inspection): void {
  for (const tensor of tensors) printLine({ event: "tensor", ...tensor });
  printLine({ event: "inspection", ...summary });
}

function formatInspection(inspection: Inspection): string {
  const rows = inspection.tensors.map(row);
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  const lines = rows.map((cells) =>
    cells
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  const { format, family, scheme, parameters, bytes, bitsPerWeight, quantizedBitsPerWeight } = inspection;
  const quantized = quantizedBitsPerWeight === null ? "" : `, ${quantizedBitsPerWeight.toFixed(3)} where quantized`;
  return [
    ...lines,
    "",
    `${inspection.folder}: ${family}, ${format}${scheme === null ? "" : `, ${scheme}`}`,
    `${formatCount(parameters)} parameters, ${formatBytes(bytes)}, ${bitsPerWeight.toFixed(3)} bits per weight${quantized}`,
    "",
  ].join("\n");
}

function row(tensor: InspectedTensor): readonly string[] {
  const shape = `[${tensor.shape.join(", ")}]`;
  return [
    tensor.name,
    shape,
    tensor.type,
    formatBytes(tensor.bytes),
    tensor.histogram === null ? "" : `${tensor.bitsPerWeight.toFixed(3)} bpw  ${bars(tensor.histogram)}`,
  ];
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
