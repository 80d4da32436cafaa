import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const BUNDLED = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), "models", "sotu-llama-7m");
const [HIDDEN, INNER, VOCABULARY, BLOCKS] = [64, 128, 4096, 2];

/** @returns {[name: string, shape: number[]][]} */
function tensors() {
  const blocks = Array.from({ length: BLOCKS }, (_, i) => {
    const name = `model.layers.${i}.`;
    const square = ["q", "k", "v", "o"].map((role) => [`${name}self_attn.${role}_proj.weight`, [HIDDEN, HIDDEN]]);
    const up = ["gate", "up"].map((role) => [`${name}mlp.${role}_proj.weight`, [INNER, HIDDEN]]);
    const norms = ["input", "post_attention"].map((role) => [`${name}${role}_layernorm.weight`, [HIDDEN]]);
    return [...square, ...up, [`${name}mlp.down_proj.weight`, [HIDDEN, INNER]], ...norms];
  });
  return /** @type {[string, number[]][]} */ ([
    ["model.embed_tokens.weight", [VOCABULARY, HIDDEN]],
    ...blocks.flat(),
    ["model.norm.weight", [HIDDEN]],
  ]);
}

/** Writes a Llama of two blocks with the bundled model's tokenizer: it knows nothing, and is quantized in seconds. @param {string} folder */
export function writeTinyModel(folder) {
  mkdirSync(folder, { recursive: true });
  const size = { hidden_size: HIDDEN, intermediate_size: INNER, vocab_size: VOCABULARY, num_hidden_layers: BLOCKS };
  const heads = { num_attention_heads: 2, num_key_value_heads: 2, head_dim: 32, hidden_act: "silu" };
  const rest = { max_position_embeddings: 256, rms_norm_eps: 1e-5, tie_word_embeddings: true, bos_token_id: 0 };
  writeFileSync(
    join(folder, "config.json"),
    JSON.stringify({
      ...{ model_type: "llama", architectures: ["LlamaForCausalLM"], torch_dtype: "float32", eos_token_id: 0 },
      ...{ ...size, ...heads, ...rest, rope_theta: 10000 },
    }),
  );
  /** @type {Record<string, object>} */
  const header = {};
  const parts = [];
  let offset = 0;
  let seed = 1;
  for (const [name, shape] of tensors()) {
    const values = Float32Array.from({ length: shape.reduce((product, n) => product * n, 1) }, () => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return (seed / 2 ** 32 - 0.5) / 4 + (shape.length === 1 ? 1 : 0);
    });
    header[name] = { dtype: "F32", shape, data_offsets: [offset, offset + values.byteLength] };
    offset += values.byteLength;
    parts.push(Buffer.from(values.buffer));
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(join(folder, "model.safetensors"), Buffer.concat([length, text, ...parts]));
  for (const file of ["tokenizer.json", "tokenizer_config.json"]) copyFileSync(join(BUNDLED, file), join(folder, file));
}
