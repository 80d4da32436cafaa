import { awqExporter } from "./awq/exporter.js";
import { compressedTensorsExporter } from "./compressed-tensors/exporter.js";
import type { Exporter } from "./contract/exporter.js";
import { ggufExporter } from "./gguf/exporter.js";
import { gptqExporter } from "./gptq/exporter.js";
import { mlxExporter } from "./mlx/exporter.js";
import { onnxExporter } from "./onnx/exporter.js";

/** Names of the formats, the primary one first: results are kept in it, and all others are made from it. */
export const formatNames = ["compressed-tensors", "gptq", "awq", "gguf", "onnx", "mlx"] as const;
export type FormatName = (typeof formatNames)[number];

/** The format that every result has. */
export const primaryFormat: FormatName = formatNames[0];

/** Every format by name: checking, writing and reading back. */
export const exporters: Readonly<Record<FormatName, Exporter>> = {
  "compressed-tensors": compressedTensorsExporter,
  gptq: gptqExporter,
  awq: awqExporter,
  gguf: ggufExporter,
  onnx: onnxExporter,
  mlx: mlxExporter,
};

/** An export on disk. */
export interface FoundExport {
  readonly format: FormatName;
  readonly path: string;
}

/** What kind of export a file or folder holds; null for anything else. */
export async function recogniseExport(path: string): Promise<FoundExport | null> {
  for (const format of formatNames) {
    const found = await exporters[format].find(path);
    if (found !== null) return { format, path: found };
  }
  return null;
}
