import { z } from "zod";
import type { WeightEncoding } from "../../checkpoint/tensor-reader.js";
import { type LeftOutTensors, someNames, type TensorCensus } from "../../network/index.js";
import type { WarningEvent } from "./events.js";

/** What became of every tensor of the source model, as a plan, a result and a certificate tell it. */
export interface CensusRecord {
  /** Linears whose weights are codes in the result. */
  readonly quantized: number;
  /** Tensors that the network reads as they are. */
  readonly computed: number;
  /** Tensors that nothing computes with, by reason: folders of safetensors keep them, GGUF and ONNX have no place for them. */
  readonly leftOut: readonly LeftOutRecord[];
  /** How the weights of the source are stored; absent where that is in floating point. */
  readonly source?: SourceRecord | undefined;
}

/** Weights that are stored in codes and read as floating point. */
export interface SourceRecord {
  /** `fp8`, `int4 (gptq)`. */
  readonly encoding: string;
  /** What they are read as: `BF16`. */
  readonly dtype: string;
  readonly weights: number;
  /** Stored tensors that nothing reads: scales of inputs that a runtime would quantize. */
  readonly unused: readonly string[];
}

/** Tensors that nothing computes with, for one reason. */
export interface LeftOutRecord {
  readonly reason: string;
  readonly tensors: readonly string[];
  readonly bytes: number;
  /** What they are, as a clause. */
  readonly what: string;
  /** What a user can do where they should be read, or why there is nothing to do. */
  readonly next: string;
}

const leftOut: z.ZodType<LeftOutRecord> = z.object({
  reason: z.string(),
  tensors: z.array(z.string()).readonly(),
  bytes: z.number(),
  what: z.string(),
  next: z.string(),
});

/** The same, where it is read from a file. */
export const censusShape: z.ZodType<CensusRecord> = z.object({
  quantized: z.number(),
  computed: z.number(),
  leftOut: z.array(leftOut).readonly(),
  source: z
    .object({ encoding: z.string(), dtype: z.string(), weights: z.number(), unused: z.array(z.string()).readonly() })
    .optional(),
});

/**
 * @param quantized names of the modules that are quantized
 * @param encoding how the weights of the source are stored, where that is not in floating point
 */
export function censusRecord(
  { read, leftOut: groups }: TensorCensus,
  quantized: Iterable<string>,
  encoding?: WeightEncoding,
): CensusRecord {
  const coded = [...quantized].filter((module) => read.has(`${module}.weight`)).length;
  return {
    quantized: coded,
    computed: read.size - coded,
    leftOut: groups.map(({ reason, tensors, bytes, what, next }) => ({ reason, tensors, bytes, what, next })),
    ...(encoding !== undefined && { source: sourceRecord(encoding) }),
  };
}

function sourceRecord({ name, dtype, weights, unused }: WeightEncoding): SourceRecord {
  return { encoding: name, dtype, weights, unused };
}

/** `source in fp8, read as bf16: 252 weights`. */
export function sourceSentence({ encoding, dtype, weights, unused }: SourceRecord): string {
  const scales = unused.length === 0 ? "" : `; its inputs are not quantized (${someNames(unused)})`;
  return `source in ${encoding}, read as ${dtype.toLowerCase()}: ${weights} ${weights === 1 ? "weight" : "weights"}${scales}`;
}

/** What an evaluation says of weights that are stored in codes. */
export function decodedWarning(encoding: WeightEncoding, where: string): WarningEvent {
  return {
    event: "warning",
    where,
    message: sourceSentence(sourceRecord(encoding)),
    next: "nothing to do; what is measured are these weights, which are no longer those of the unquantized model",
  };
}

/** One sentence on tensors that the network does not read. */
export function leftOutSentence({ tensors, what }: Pick<LeftOutTensors, "tensors" | "what">): string {
  const count = tensors.length === 1 ? "1 tensor is" : `${tensors.length} tensors are`;
  return `${count} not read by the network (${someNames(tensors)}): ${what}`;
}

/** Reasons whose tensors take part in no computation on hidden states, rotated or not. */
const independent: ReadonlySet<LeftOutTensors["reason"]> = new Set(["tied-head", "rotary-table", "buffer"]);

/**
 * A warning for each reason why tensors of a model are not read.
 *
 * @param where the model's folder
 * @param result false where nothing is written, as in an evaluation: then only what may be missed is told
 */
export function censusWarnings(
  { leftOut: groups }: Pick<TensorCensus, "leftOut">,
  where: string,
  { result, rotated = false }: { readonly result: boolean; readonly rotated?: boolean },
): WarningEvent[] {
  return groups
    .filter(({ matters }) => matters || result)
    .map((group) => {
      const kept = rotated && !independent.has(group.reason) ? "unchanged, unfit for the rotated network" : "unchanged";
      const exported = result ? `; folders keep them ${kept}, GGUF and ONNX leave them out` : "";
      return { event: "warning", where, message: `${leftOutSentence(group)}${exported}`, next: group.next };
    });
}
