import { basename, resolve } from "node:path";
import type { ExportSource, QuantizedLayout } from "./contract/export-source.js";

/** The model's name for file names and metadata: the one it was quantized under, else that of its folder. */
export function modelName({ name, config, folder }: Pick<ExportSource, "name" | "config" | "folder">): string {
  const path = config["_name_or_path"];
  return name ?? (typeof path === "string" && path !== "" ? basename(path) : basename(resolve(folder)));
}

/** The scheme of most of the weights, as `--scheme` takes it: `W4A16g32`; null where nothing is quantized. */
export function schemeLabel({ linears, activations }: Pick<ExportSource, "linears" | "activations">): string | null {
  const weights = new Map<string, number>();
  for (const layout of linears.values()) {
    const label = labelOf(layout, activations?.bits ?? 16);
    weights.set(label, (weights.get(label) ?? 0) + layout.rows * layout.columns);
  }
  return [...weights].sort((a, b) => b[1] - a[1])[0]?.[0] ?? null;
}

function labelOf(layout: QuantizedLayout, activationBits: number): string {
  const { groupBits, perChannel, groupSize } = layout;
  const mean = groupBits === undefined ? layout.bits : groupBits.reduce((a, b) => a + b, 0) / groupBits.length;
  const bits = Math.round(mean * 100) / 100;
  return `W${bits}A${activationBits}${perChannel ? "" : `g${groupSize}`}`;
}
