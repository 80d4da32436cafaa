import { FormatError } from "../../../errors.js";
import {
  type AttentionSpec,
  type BlockSpec,
  blockOf,
  type DecoderSpec,
  type DenseMlpSpec,
  type NormSpec,
} from "../../../network/index.js";

/** What all blocks of a graph are. */
export interface GraphBlock {
  readonly attention: AttentionSpec;
  readonly mlp: DenseMlpSpec;
}

/** @throws FormatError naming what the graph has no operators for, and the formats that hold the model */
export function graphBlock(spec: DecoderSpec): GraphBlock {
  const missing = missingFeature(spec);
  const { attention, mlp } = blockOf(spec, 0);
  if (missing === null && attention.kind === "softmax" && mlp.kind !== "experts") return { attention, mlp };
  throw new FormatError({
    what: `the ONNX graph of a ${spec.family} is not written: it would need ${missing ?? "another kind of attention"}`,
    where: "config.json",
    next: "use --format compressed-tensors, which holds every model that crossblock reads",
  });
}

/** The first feature of a network that the graph can't express; null where it can all. */
function missingFeature(spec: DecoderSpec): string | null {
  const { embedding, head, finalNorm, stored } = spec;
  if (embedding.norm !== null) return "a norm behind the embedding";
  if (head.bias) return "a bias of the head";
  if (head.softcap !== null) return "a cap of the logits";
  if (spec.blocks.some(({ mlp }) => mlp.kind === "experts")) return "experts";
  if (stored.transposed.length > 0) return "weights that are stored as [in, out]";
  if (!plainNorm(finalNorm)) return "this kind of norm";
  const first = JSON.stringify(spec.blocks[0]);
  for (const block of spec.blocks) {
    const missing = missingInBlock(block);
    if (missing !== null) return missing;
    if (JSON.stringify(block) !== first) return "blocks that differ from each other";
  }
  return null;
}

function missingInBlock({ arrangement, norms, attention, outputScalar }: BlockSpec): string | null {
  if (arrangement === "parallel") return "attention and MLP side by side";
  if (Object.values(norms).some((norm) => !plainNorm(norm))) return "this kind of norm";
  if (outputScalar) return "a factor of each block";
  return attention.kind === "softmax" ? missingInAttention(attention) : "another kind of attention";
}

function missingInAttention(attention: AttentionSpec): string | null {
  const { rotary, vNorm, valuesAreKeys, outputGate, alibi, softcap, sinks } = attention;
  if (rotary?.scaling.kind === "longrope") return "LongRoPE";
  if (rotary?.scaling.kind === "proportional") return "positions of the first pairs of a head alone";
  if (vNorm !== null || valuesAreKeys) return "values that are normalised keys";
  if (outputGate) return "a gate behind attention";
  if (alibi) return "ALiBi";
  if (softcap !== null) return "a cap of the scores";
  if (sinks) return "attention sinks";
  return null;
}

function plainNorm({ kind, gain, bias }: NormSpec): boolean {
  return gain !== "none" && (kind === "rms" || bias);
}
