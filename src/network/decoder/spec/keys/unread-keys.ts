import type { JsonValue } from "../../../../checkpoint/json/json.js";
import type { ModelConfig } from "../../../../checkpoint/model-config.js";
import type { Family } from "../../families/family.js";
import { families } from "../../families/index.js";
import { readSpec } from "../read-spec.js";
import { textConfig } from "../tower/text-tower.js";

/** Keys that no computation of logits depends on: tokens, training, generation, and what libraries note for themselves. */
const harmless: readonly RegExp[] = [
  /^_/,
  /_token_ids?$|_token_index$|^(?:vocab_size_per_layer_input|tokenizer_class|prefix|padding_idx)$/,
  /dropout|_pdrop$|^layerdrop$|^initializer|_init_std$|^init_|_range$|aux_loss|^seq_aux$|_jitter_noise$|z_loss|^z_loss_coefficient$/,
  /^(?:architectures|model_type|dtype|torch_dtype|transformers_version|use_cache|use_return_dict|return_dict)$/,
  /^(?:quantization_config|compression_config|id2label|label2id|num_labels|problem_type|finetuning_task|task_specific_params)$/,
  /^(?:is_decoder|is_encoder_decoder|is_llama_config|torchscript|pruned_heads|chunk_size_feed_forward|gradient_checkpointing)$/,
  /^(?:output_\w+|pretraining_tp|ep_size|tie_word_embeddings|attn_implementation|use_flash_attn|use_mem_eff_path|summary_\w+)$/,
  /^(?:max_length|min_length|do_sample|temperature|top_[kp]|repetition_penalty|num_beams|generation_config|unsloth_\w+)$/,
  // Ranges of a trained model's inputs, which crossblock writes and reads itself.
  /^crossblock$/,
  // Heads for several tokens, whose tensors the census names.
  /^(?:num_nextn_predict_layers|mtp_\w+|num_mtp_\w+|use_mtp)$/,
];

/**
 * Keys of the text network's part of a `config.json` that have a value and that its family's table does not read. They are told,
 * because a network that needs one of them would be computed as another.
 *
 * @throws ModelError as `readSpec` does
 */
export function unreadKeys(whole: ModelConfig): readonly string[] {
  const config = textConfig(whole);
  const read = new Set<PropertyKey>();
  const watched = new Proxy(config, {
    get(target, key, receiver) {
      read.add(key);
      return Reflect.get(target, key, receiver);
    },
  });
  const { family } = readSpec(watched);
  for (const key of tableKeys(families.get(family))) read.add(key);
  return Object.entries(config).flatMap(([key, value]) =>
    read.has(key) || isOff(value) || harmless.some((pattern) => pattern.test(key)) ? [] : [key],
  );
}

/** What a table speaks of, also where this configuration says it elsewhere: the words in it, among which are all of its keys. */
function tableKeys(family: Family | undefined): readonly string[] {
  if (family === undefined) return [];
  const { names: _, stored: __, requires = {}, ...facts } = family;
  const wordsIn = (value: unknown): string[] => {
    if (typeof value === "string") return [value];
    return typeof value === "object" && value !== null ? Object.values(value).flatMap(wordsIn) : [];
  };
  return [...wordsIn(facts), ...Object.keys(requires)];
}

/** Values that switch nothing on. */
function isOff(value: JsonValue): boolean {
  if (value === null || value === false || value === 0 || value === "") return true;
  if (Array.isArray(value) && value.every((each) => each === "full_attention")) return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}
