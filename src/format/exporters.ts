import { awqExporter } from "./awq/exporter.js";
import { compressedTensorsExporter } from "./compressed-tensors/exporter.js";
import type { ExportSource } from "./contract/export-source.js";
import type { Exporter } from "./contract/exporter.js";
import { ggufExporter } from "./gguf/exporter.js";
import { gptqExporter } from "./gptq/exporter.js";
import { mlxExporter } from "./mlx/exporter.js";
import { onnxExporter } from "./onnx/exporter.js";
import { qdqExporter } from "./qdq/exporter.js";

/**
 * Names of the formats, the primary one first: results are kept in it, and all others are made from it. An export is recognised
 * by the first that takes it for its own, and `onnx` takes every ONNX file.
 */
export const formatNames = ["compressed-tensors", "gptq", "awq", "gguf", "qdq", "onnx", "mlx"] as const;
export type FormatName = (typeof formatNames)[number];

/** The format that every result of a language model has. */
export const primaryFormat: FormatName = formatNames[0];

/** The format that every result like this one has: that of a language model, or of an ONNX graph. */
export function primaryFormatOf({ graph }: Pick<ExportSource, "graph">): FormatName {
  return graph === undefined ? primaryFormat : "qdq";
}

/** Every format by name: checking, writing and reading back. */
export const exporters: Readonly<Record<FormatName, Exporter>> = {
  "compressed-tensors": compressedTensorsExporter,
  gptq: gptqExporter,
  awq: awqExporter,
  gguf: ggufExporter,
  qdq: qdqExporter,
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
