import { FormatError } from "../../../errors.js";
import type { DecoderSpec } from "../../../network/index.js";
import { mainAttention } from "./attentions.js";
import type { GgufFamily } from "./families.js";

/** A factor that a file has a key for, below the architecture's name. */
export type ScaleKey = readonly [key: string, value: number];

/**
 * The factors of a network as llama.cpp's graph of its architecture reads them, and its caps. What a graph fixes has no key: it must
 * be what the network has, because llama.cpp would compute something else without a word.
 *
 * @throws FormatError for a factor that the graph of this family does not have
 */
export function scaleKeys(spec: DecoderSpec, family: GgufFamily): readonly ScaleKey[] {
  const { factors = [] } = family;
  const keys: ScaleKey[] = [];
  const others: number[] = [];
  const { attention, latent } = mainAttention(spec);
  const embedding = spec.embedding.multiplier / (family.rootEmbedding === true ? Math.sqrt(spec.hiddenSize) : 1);
  if (factors.includes("embedding")) keys.push(["embedding_scale", spec.embedding.multiplier]);
  else others.push(embedding);
  const residual = spec.blocks[0]?.residualMultiplier ?? 1;
  if (factors.includes("residual")) keys.push(["residual_scale", residual]);
  else others.push(residual);
  if (factors.includes("attention")) keys.push(["attention.scale", attention.scale]);
  // Of latents, YaRN's key says what scores grow by.
  else if (latent === null || latent.rotary.scaling.kind !== "yarn") {
    others.push(attention.scale / usualScale(spec, family));
  }
  const { multiplier } = spec.head;
  if (factors.includes("logitsDivisor")) keys.push(["logit_scale", 1 / multiplier]);
  else if (factors.includes("logits")) keys.push(["logit_scale", multiplier]);
  else others.push(multiplier);
  if (others.some((factor) => Math.abs(factor - 1) > (family.rootEmbedding === true ? 1e-3 : 1e-9))) {
    throw refusal(`a ${spec.family} with factors of its streams, which llama.cpp's graph of this family does not have`);
  }
  return [...keys, ...capKeys(spec, family)];
}

/** What llama.cpp multiplies scores by in a network of this size. */
function usualScale(spec: DecoderSpec, { scaledByHidden, perKind }: GgufFamily): number {
  const { heads, headDim } = mainAttention(spec).attention;
  if (perKind === true) return 1;
  return 1 / Math.sqrt(spec.blocks.length === scaledByHidden ? spec.hiddenSize / heads : headDim);
}

function capKeys(spec: DecoderSpec, { softcaps, architecture }: GgufFamily): readonly ScaleKey[] {
  const { softcap: scores } = mainAttention(spec).attention;
  const { softcap: logits } = spec.head;
  if (softcaps !== true) {
    if (logits !== null) throw refusal(`logits have a cap, which llama.cpp's graph of ${architecture} does not have`);
    return [];
  }
  // Gemma 2's graph always caps, by 50 and 30 where the file says nothing; Gemma 3's caps logits alone.
  if (architecture === "gemma2" && (scores === null || logits === null)) {
    throw refusal("scores or logits without a cap, and llama.cpp's graph of gemma2 caps both");
  }
  if ((architecture === "gemma3" || architecture === "gemma4") && scores !== null) {
    throw refusal(`a cap of scores, which llama.cpp's graph of ${architecture} lacks`);
  }
  return [
    ...(scores === null ? [] : ([["attn_logit_softcapping", scores]] as const)),
    // Gemma 4's graph caps by 30 where the file says nothing, and not at all where it says 0.
    ...(logits === null && architecture !== "gemma4" ? [] : ([["final_logit_softcapping", logits ?? 0]] as const)),
  ];
}

function refusal(what: string): FormatError {
  return new FormatError({ what, where: "config.json", next: "use --format compressed-tensors" });
}
