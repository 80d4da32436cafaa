import type { BlockSpec, DecoderSpec } from "../spec/decoder-spec.js";

/**
 * Why hidden states can't be rotated with what the network computes left as it is; null where they can. Between two blocks only
 * Linears, sums and RMS norms may see them, whose gains go into the Linears behind.
 */
export function rotationObstacle(spec: DecoderSpec): string | null {
  const { embedding, finalNorm } = spec;
  if (embedding.positions !== null) return "its learned positions are added channel by channel";
  if (embedding.norm !== null) return "a norm behind its embedding sees single channels";
  if (finalNorm.kind !== "rms") return layerNorms;
  for (const block of spec.blocks) {
    const obstacle = blockObstacle(block);
    if (obstacle !== null) return obstacle;
  }
  return null;
}

const layerNorms = "its LayerNorms subtract a mean, which a rotation moves";

function blockObstacle({ arrangement, norms, mlp }: BlockSpec): string | null {
  if (mlp.kind === "experts") return "the weights of its experts are stacked, which the rotation does not turn";
  const { attentionNorm, attentionPostNorm, mlpNorm, mlpPostNorm } = norms;
  if (Object.values(norms).some(({ kind }) => kind === "layer")) return layerNorms;
  if (attentionPostNorm !== undefined || mlpPostNorm !== undefined) {
    return "its norms behind attention and MLP have gains that go into no Linear";
  }
  const without = attentionNorm === undefined || (mlpNorm === undefined && arrangement === "sequential");
  if (without) return "its blocks have no norms before attention or MLP";
  return null;
}
