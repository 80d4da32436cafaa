"""Writes family-models.json: what Hugging Face transformers computes for networks of many families, their weights a formula.

Run by hand with torch and transformers installed (5.24 made the present file): python make_families.py
"""

import json
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, CONFIG_MAPPING

HERE = Path(__file__).parent
BATCH, TIME, LAST = 2, 11, 2

BASE = dict(
    vocab_size=19, hidden_size=32, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2,
    pad_token_id=0,
)
GEMMA = dict(BASE, head_dim=12, sliding_window=4, tie_word_embeddings=True)
GEMMA4 = dict(GEMMA, num_hidden_layers=3, global_head_dim=16, hidden_size_per_layer_input=0, vocab_size_per_layer_input=19,
              layer_types=["sliding_attention", "sliding_attention", "full_attention"])
SMALL = dict(vocab_size=19, bos_token_id=1, eos_token_id=2)
MIXED = dict(BASE, sliding_window=4, layer_types=["sliding_attention", "full_attention"])
LONG = dict(rope_type="longrope", rope_theta=10000.0, short_factor=[1.0, 1.2, 1.4, 1.6], long_factor=[2.0, 2.2, 2.4, 2.6])
GROWING = dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=4, beta_fast=32.0,
               beta_slow=1.0, mscale=1.0, mscale_all_dim=1.0, llama_4_scaling_beta=0.4)
LATENT = dict(BASE, num_key_value_heads=4, q_lora_rank=12, kv_lora_rank=16, qk_rope_head_dim=4, qk_nope_head_dim=6,
              v_head_dim=8)
DELTA = dict(BASE, head_dim=16, num_hidden_layers=2, layer_types=["linear_attention", "full_attention"],
             linear_num_value_heads=4, linear_num_key_heads=2, linear_key_head_dim=8, linear_value_head_dim=6,
             linear_conv_kernel_dim=4)

CASES = {
    "gemma2": ("gemma2", dict(GEMMA, query_pre_attn_scalar=20, attn_logit_softcapping=5.0, final_logit_softcapping=3.0)),
    "gemma3_text": ("gemma3_text", dict(GEMMA, query_pre_attn_scalar=20, sliding_window_pattern=2)),
    "gemma4_text": ("gemma4_text", GEMMA4),
    "gemma4_text, values are keys": (
        "gemma4_text", dict(GEMMA4, attention_k_eq_v=True, num_global_key_value_heads=1)),
    "granite": ("granite", dict(BASE, embedding_multiplier=6.0, residual_multiplier=0.4, attention_multiplier=0.2,
                                logits_scaling=2.0)),
    "smollm3": ("smollm3", dict(BASE, no_rope_layer_interval=2)),
    "olmo2": ("olmo2", BASE),
    "olmo3": ("olmo3", MIXED),
    "exaone4": ("exaone4", MIXED),
    "glm4": ("glm4", dict(BASE, head_dim=12, partial_rotary_factor=0.5)),
    "phi3": ("phi3", dict(BASE, partial_rotary_factor=0.5)),
    "phi3, longrope beyond its first context": (
        "phi3", dict(BASE, original_max_position_embeddings=8, rope_parameters=LONG)),
    "cohere2": ("cohere2", dict(MIXED, logit_scale=0.5, tie_word_embeddings=True)),
    "phi": ("phi", BASE),
    "starcoder2": ("starcoder2", dict(BASE, sliding_window=4)),
    "stablelm": ("stablelm", dict(BASE, use_qkv_bias=True, partial_rotary_factor=0.5)),
    "nemotron": ("nemotron", BASE),
    "gpt_neox": ("gpt_neox", dict(SMALL, hidden_size=32, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
                                  max_position_embeddings=64, rotary_pct=0.5, tie_word_embeddings=False)),
    "gpt_neox, one after the other": (
        "gpt_neox", dict(SMALL, hidden_size=32, intermediate_size=24, num_hidden_layers=1, num_attention_heads=4,
                         max_position_embeddings=64, rotary_pct=0.25, use_parallel_residual=False,
                         tie_word_embeddings=False)),
    "gpt2": ("gpt2", dict(SMALL, n_embd=32, n_inner=24, n_layer=2, n_head=4, n_positions=64)),
    "bloom": ("bloom", dict(SMALL, hidden_size=24, n_layer=2, n_head=6)),
    "qwen3_5_text": ("qwen3_5_text", DELTA),
    "gemma": ("gemma", dict(BASE, head_dim=12, tie_word_embeddings=True)),
    "vaultgemma": ("vaultgemma", dict(GEMMA, query_pre_attn_scalar=20, layer_types=["sliding_attention", "full_attention"])),
    "seed_oss": ("seed_oss", dict(BASE, head_dim=12, residual_dropout=0.0)),
    "arcee": ("arcee", BASE),
    "ernie4_5": ("ernie4_5", dict(BASE, head_dim=12)),
    "glm": ("glm", dict(BASE, head_dim=12)),
    "helium": ("helium", dict(BASE, head_dim=8)),
    "cohere": ("cohere", dict(BASE, logit_scale=0.5, tie_word_embeddings=True)),
    "ministral": ("ministral", dict(MIXED, head_dim=12)),
    "ministral3": ("ministral3", dict(BASE, head_dim=12, rope_parameters=GROWING)),
    "hunyuan_v1_dense": ("hunyuan_v1_dense", dict(BASE, head_dim=12, rope_parameters=dict(
        rope_type="dynamic", rope_theta=10000.0, factor=1.0, alpha=1000.0))),
    "youtu": ("youtu", LATENT),
}
EXPERTS = {
    "glm4_moe_lite": ("glm4_moe_lite", dict(LATENT, n_routed_experts=4, num_experts_per_tok=2, moe_intermediate_size=8,
                                            mlp_layer_types=["sparse", "dense"])),
    "dots1": ("dots1", dict(BASE, head_dim=12, n_routed_experts=4, n_shared_experts=2, first_k_dense_replace=1,
                            num_experts_per_tok=2, moe_intermediate_size=8, norm_topk_prob=True)),
    "solar_open": ("solar_open", dict(BASE, head_dim=12, n_routed_experts=4, num_experts_per_tok=2,
                                      moe_intermediate_size=8)),
    "exaone_moe": ("exaone_moe", dict(BASE, head_dim=8, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=8,
                                      sliding_window=4, layer_types=["sliding_attention", "full_attention"])),
    "olmoe": ("olmoe", dict(BASE, num_experts=4, num_experts_per_tok=1)),
    "ernie4_5_moe": ("ernie4_5_moe", dict(BASE, head_dim=8, moe_num_experts=4, moe_k=2, moe_intermediate_size=8)),
    "hunyuan_v1_moe": ("hunyuan_v1_moe", dict(BASE, head_dim=12, num_experts=4, moe_topk=2)),
}
# Their checkpoints have other tensors than the network has in memory: the formula is of what transformers stores and reads back.
STORED = {
    "lfm2": ("lfm2", dict(BASE, num_hidden_layers=3, layer_types=["conv", "full_attention", "conv"], block_multiple_of=8,
                          block_ffn_dim_multiplier=1.3, tie_word_embeddings=True)),
    "lfm2, biases and an older list": ("lfm2", dict(BASE, full_attn_idxs=[1], conv_bias=True, conv_L_cache=4,
                                                    block_auto_adjust_ff_dim=False)),
    "apertus": ("apertus", BASE),
    "internlm3": ("internlm3", dict(BASE, head_dim=12, attention_bias=True, mlp_bias=True)),
    "iquestcoder": ("iquestcoder", dict(BASE, head_dim=12)),
    "exaone": ("exaone", BASE),
    "cwm": ("cwm", dict(BASE, head_dim=12, sliding_window=4)),
    "hyperclovax": ("hyperclovax", dict(BASE, embedding_multiplier=6.0, residual_multiplier=0.4, logits_scaling=0.5)),
    "jais2": ("jais2", BASE),
}
STORED_EXPERTS = {
    "lfm2_moe": ("lfm2_moe", dict(BASE, layer_types=["conv", "full_attention"], num_dense_layers=1, num_experts=4,
                                  num_experts_per_tok=2, moe_intermediate_size=8, tie_word_embeddings=True)),
    "granitemoeshared": ("granitemoeshared", dict(BASE, num_local_experts=4, num_experts_per_tok=2,
                                                  shared_intermediate_size=16, logits_scaling=2.0)),
    "flex_olmo": ("flex_olmo", dict(BASE, num_experts=4, num_experts_per_tok=2, rms_norm_eps=1e-2)),
    "phimoe": ("phimoe", dict(BASE, num_local_experts=4, attention_bias=True, lm_head_bias=True, router_jitter_noise=0.3)),
}
RENAMED = {
    "gpt_neox": ("lm_head.weight", "embed_out.weight"),
    "ernie4_5_moe": ("mlp.gate.moe_statics.", "mlp.moe_statics."),
    "exaone_moe": ("mlp.gate.e_score", "mlp.e_score"),
}
DROPPED = {"architectures", "dtype", "transformers_version", "use_cache", "initializer_range", "attention_dropout",
           "return_dict", "bos_token_id", "eos_token_id", "pad_token_id", "output_router_logits"}


def formula(name: str, shape: torch.Size) -> torch.Tensor:
    phase = sum(name.encode()) % 97
    wave = torch.sin(torch.arange(shape.numel(), dtype=torch.float64) * 0.7548776662 + phase).reshape(shape)
    gain = any(part in name for part in ("norm", "ln_", "layer_scalar")) and not name.endswith("bias")
    return ((1.0 if gain else 0.0) + (0.2 if len(shape) == 2 else 0.1) * wave).float()


def make_stored(family: str, options: dict) -> dict:
    config = CONFIG_MAPPING[family](**options)
    with tempfile.TemporaryDirectory() as folder:
        AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
        file = f"{folder}/model.safetensors"
        shapes = {name: tensor.shape for name, tensor in load_file(file).items()}
        save_file({name: formula(name, shape) for name, shape in shapes.items()}, file, {"format": "pt"})
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    return outputs(config, model, shapes)


def make(family: str, options: dict) -> dict:
    config = CONFIG_MAPPING[family](**options)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager").eval()
    tied = bool(config.tie_word_embeddings)
    head = next(name for name, module in model.named_modules() if module is model.get_output_embeddings())
    embedding = next(name for name, module in model.named_modules() if module is model.get_input_embeddings())
    # What is stored has other names than the modules where a class was renamed.
    renamed = RENAMED.get(family, ("", ""))
    stored = lambda name: name.replace(*renamed)
    state = {name: formula(stored(name), tensor.shape) for name, tensor in model.state_dict().items()}
    if tied:
        state[f"{head}.weight"] = state[f"{embedding}.weight"]
    model.load_state_dict(state)
    shapes = {stored(name): tensor.shape for name, tensor in state.items() if not (tied and name == f"{head}.weight")}
    return outputs(config, model, shapes)


def outputs(config, model, shapes: dict) -> dict:
    ids = (torch.arange(BATCH * TIME).reshape(BATCH, TIME) * 7 + 3) % config.vocab_size
    with torch.no_grad():
        output = model(ids, output_hidden_states=True, use_cache=False)
    return {
        "config": {key: value for key, value in json.loads(config.to_json_string()).items() if key not in DROPPED},
        "tensors": {name: list(shape) for name, shape in shapes.items()},
        "batch": BATCH,
        "time": TIME,
        "logits": [round(x, 6) for x in output.logits[:, -LAST:].flatten().tolist()],
        "hidden": [[round(x, 6) for x in h[0, -1].tolist()] for h in output.hidden_states[:2]],
    }


result = {
    "made with": f"transformers {transformers.__version__}, torch {torch.__version__}",
    "models": {**{n: make(*case) for n, case in CASES.items()}, **{n: make_stored(*case) for n, case in STORED.items()}},
    "experts": {**{n: make(*case) for n, case in EXPERTS.items()}, **{n: make_stored(*case) for n, case in STORED_EXPERTS.items()}},
}
(HERE / "family-models.json").write_text(json.dumps(result))
