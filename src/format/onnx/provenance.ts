import type { OnnxModel } from "../../checkpoint/onnx/schema.js";
import type { ExportSource } from "../contract/export-source.js";
import { schemeLabel } from "../model-label.js";
import type { AccuracyLevel } from "./graph/decoder-graph.js";

/** Choices that a file records, because they matter for comparing it with its result. */
export interface OnnxGraphOptions {
  /** Floating point of the graph: activations, caches, norms. `fp32` is exact; `fp16` is half the cache. Default `fp32`. */
  readonly precision?: "fp32" | "fp16";
  /** 0: activations stay in floating point; 4: rounded to 8 bits, many times faster at 2 and 8 bits. Default 4. */
  readonly accuracyLevel?: AccuracyLevel;
}

/** Keys of crossblock's own in the model's metadata. They let a file that travels alone be compared with its result. */
const SCHEME = "crossblock.scheme";
const PRECISION = "crossblock.precision";
const ACCURACY_LEVEL = "crossblock.accuracy_level";

/** From what a file was written, and with which options. */
export function provenance(source: ExportSource, options: Required<OnnxGraphOptions>): ReadonlyMap<string, string> {
  const scheme = schemeLabel(source);
  return new Map([
    ...(scheme === null ? [] : ([[SCHEME, scheme]] as const)),
    [PRECISION, options.precision],
    [ACCURACY_LEVEL, String(options.accuracyLevel)],
  ]);
}

/** The options that a file was written with; the defaults where it does not tell. */
export function recordedOptions(model: OnnxModel): OnnxGraphOptions {
  return {
    precision: recorded(model, PRECISION) === "fp16" ? "fp16" : "fp32",
    accuracyLevel: recorded(model, ACCURACY_LEVEL) === "0" ? 0 : 4,
  };
}

/** The scheme that a file was made from; null where it does not tell. */
export function recordedScheme(model: OnnxModel): string | null {
  return recorded(model, SCHEME);
}

function recorded({ metadata = [] }: OnnxModel, key: string): string | null {
  return metadata.find((entry) => entry.key === key)?.value ?? null;
}
