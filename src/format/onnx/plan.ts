import { FormatError } from "../../errors.js";
import { type DecoderSpec, hasTower } from "../../network/index.js";
import type { ExportSource } from "../contract/export-source.js";
import { checkSource } from "../contract/output-tensors.js";
import { sourceSpec } from "../source/source-spec.js";
import { buildDecoder } from "./graph/decoder-graph.js";
import { GraphBuilder } from "./graph/graph-builder.js";
import { chunkName, GraphWeights, type PlannedTensor } from "./graph/graph-weights.js";
import { type OnnxGraphOptions, provenance } from "./provenance.js";

export interface OnnxPlanOptions extends OnnxGraphOptions {
  /** Bytes of a data file, unless a single tensor is larger. Default 2e9, what browsers can hold in one buffer. */
  readonly maxChunkBytes?: number;
}

/** Names by which transformers.js finds a file: `dtype` in its options and in `config.json`. */
export type OnnxDtype = "fp32" | "fp16" | "q8" | "q4" | "q4f16" | "q2" | "q2f16";

/** The ending of the file that each of them means. */
const SUFFIXES: Readonly<Record<OnnxDtype, string>> = {
  fp32: "",
  fp16: "_fp16",
  q8: "_quantized",
  q4: "_q4",
  q4f16: "_q4f16",
  q2: "_q2",
  q2f16: "_q2f16",
};

export interface OnnxPlan {
  readonly spec: DecoderSpec;
  readonly dtype: OnnxDtype;
  /** Name of the graph's file in the folder `onnx`. */
  readonly modelFile: string;
  /** Names of the data files beside it. */
  readonly dataFiles: readonly string[];
  /** In the order of the data files. */
  readonly tensors: readonly PlannedTensor[];
  /** Content of the graph's file. */
  readonly graph: Uint8Array;
}

const DEFAULT_CHUNK_BYTES = 2e9;

/**
 * Decides the graph, and names, types and places of all tensors, without reading any of them.
 *
 * @throws ModelError for a family or a rotary scaling that crossblock does not compute
 * @throws FormatError when MatMulNBits can't hold a scheme, or weights and config.json don't belong together
 */
export function planOnnx(source: ExportSource, options: OnnxPlanOptions = {}): OnnxPlan {
  const { precision = "fp32", accuracyLevel = 4, maxChunkBytes = DEFAULT_CHUNK_BYTES } = options;
  checkSource(source);
  if (hasTower(source.config)) {
    throw new FormatError({
      what: `transformers.js loads a ${String(source.config["model_type"])} from several graphs, for images and text, and not from its text network`,
      where: "config.json, model_type",
      next: "use --format gguf or compressed-tensors, or quantize a model of text alone",
    });
  }
  const spec = sourceSpec(source);
  const dtype = dtypeOf(source, precision);
  const modelFile = `model${SUFFIXES[dtype]}.onnx`;
  const dataFile = `${modelFile}_data`;
  const builder = new GraphBuilder();
  const compute = precision === "fp32" ? "float32" : "float16";
  const weights = new GraphWeights(builder, source, compute, dataFile, maxChunkBytes);
  buildDecoder(weights, spec, accuracyLevel);
  refuseUnused(weights.unused(), spec, source);
  const chunks = 1 + weights.tensors.reduce((last, { chunk }) => Math.max(last, chunk), 0);
  return {
    spec,
    dtype,
    modelFile,
    dataFiles: Array.from({ length: chunks }, (_, chunk) => chunkName(dataFile, chunk)),
    tensors: weights.tensors,
    graph: builder.encode(spec.family, provenance(source, { precision, accuracyLevel })),
  };
}

/** The name for the width that holds most weights: transformers.js takes any graph under any of its names. */
function dtypeOf({ linears }: ExportSource, precision: "fp32" | "fp16"): OnnxDtype {
  const weights = new Map<"q2" | "q4" | "q8", number>();
  for (const { bits, rows, columns } of linears.values()) {
    const width = bits <= 2 ? "q2" : bits <= 4 ? "q4" : "q8";
    weights.set(width, (weights.get(width) ?? 0) + rows * columns);
  }
  const [most] = [...weights].sort((a, b) => b[1] - a[1]);
  if (most === undefined) return precision;
  const [width] = most;
  // There is no name for 8 bits with fp16.
  return precision === "fp32" || width === "q8" ? width : `${width}f16`;
}

/** Plain tensors that the network does not read stay behind; codes of a module that it does not have are a contradiction. */
function refuseUnused(names: readonly string[], spec: DecoderSpec, { linears }: ExportSource): void {
  const unknown = names.find((name) => linears.has(name));
  if (unknown === undefined) return;
  throw new FormatError({
    what: `a ${spec.family} graph has no place for this quantized Linear`,
    where: unknown,
    next: "use --format compressed-tensors, which keeps every tensor under its own name",
  });
}
