import { FormatError } from "../../../errors.js";
import {
  type AttentionSpec,
  type BlockSpec,
  blockOf,
  type DecoderSpec,
  type DenseMlpSpec,
} from "../../../network/index.js";

/** What a graph has operators for in a block. */
export interface GraphBlock {
  readonly attention: AttentionSpec;
  readonly mlp: DenseMlpSpec;
}

/** A block of a network that the graph can express. @throws FormatError as `assertExpressible` does */
export function graphBlock(spec: DecoderSpec, block: number): GraphBlock {
  const { attention, mlp } = blockOf(spec, block);
  if (attention.kind === "softmax" && mlp.kind !== "experts") return { attention, mlp };
  throw refusal(spec, mlp.kind === "experts" ? "experts" : "another kind of attention");
}

/** @throws FormatError naming what the graph has no operators for, and the formats that hold the model */
export function assertExpressible(spec: DecoderSpec): void {
  const missing = missingFeature(spec);
  if (missing !== null) throw refusal(spec, missing);
}

function refusal({ family }: DecoderSpec, missing: string): FormatError {
  return new FormatError({
    what: `the ONNX graph of a ${family} is not written: it would need ${missing}`,
    where: "config.json",
    next: "use --format compressed-tensors, which holds every model that crossblock reads",
  });
}

/** The first feature of a network that the graph can't express; null where it can all. */
function missingFeature(spec: DecoderSpec): string | null {
  const { embedding, finalNorm, stored, blocks } = spec;
  if (embedding.norm !== null) return "a norm behind the embedding";
  if (blocks.some(({ mlp }) => mlp.kind === "experts")) return "experts";
  if (stored.transposed.length > 0) return "weights that are stored as [in, out]";
  if (finalNorm.gain === "none") return "a norm without gains";
  for (const block of blocks) {
    const missing = missingInBlock(block);
    if (missing !== null) return missing;
  }
  // Runtimes make the caches of all blocks by one number of heads and one width of a head.
  const caches = blocks.map(({ attention }) =>
    attention.kind === "softmax" ? [attention.kvHeads, attention.headDim].join() : "",
  );
  return new Set(caches).size > 1 ? "caches that differ from block to block" : null;
}

function missingInBlock({ norms, attention, mlp, outputScalar }: BlockSpec): string | null {
  if (Object.values(norms).some(({ gain }) => gain === "none")) return "a norm without gains";
  if (outputScalar) return "a factor of each block";
  if (mlp.activation === "xielu") return "an activation that is learnt";
  return attention.kind === "softmax" ? missingInAttention(attention) : "another kind of attention";
}

function missingInAttention(attention: AttentionSpec): string | null {
  const { rotary, vNorm, valuesAreKeys, outputGate, alibi, sinks, positionedNorm, chunk, temperature } = attention;
  if (rotary?.scaling.kind === "longrope") return "LongRoPE";
  if (rotary?.scaling.kind === "proportional") return "positions of the first pairs of a head alone";
  if (vNorm !== null || valuesAreKeys) return "values that are normalised keys";
  if (outputGate) return "a gate behind attention";
  if (alibi) return "ALiBi";
  if (sinks) return "attention sinks";
  if (positionedNorm !== undefined || attention.normsBehindPositions === true) return "norms behind the positions";
  if (chunk !== undefined) return "attention in chunks";
  return temperature === undefined ? null : "queries that grow with their position";
}
