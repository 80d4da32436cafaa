"""Writes goldens/FAMILY: a small random network as Hugging Face transformers saves it, and what it computes.

Run by hand with torch, transformers and safetensors installed: python make-goldens.py
Each folder has config.json, model.safetensors (bf16) and outputs/model.safetensors (fp32): input_ids [2, 24], logits
[2, 24, vocab], and hidden.0 (the embedding) to hidden.L, of which the last one is after the final norm.
"""

import os
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

HERE = Path(__file__).parent / "goldens"
BATCH, TIME, VOCABULARY = 2, 24, 48

SIZES = dict(vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=2, num_attention_heads=4,
             max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=0)
LLAMA = dict(SIZES, intermediate_size=24, num_key_value_heads=2, tie_word_embeddings=False)
LLAMA3 = dict(rope_type="llama3", rope_theta=10000.0, factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=16)

FAMILIES = {
    "llama": dict(LLAMA, rope_parameters=LLAMA3),
    # A window that most positions look beyond.
    "mistral": dict(LLAMA, sliding_window=7),
    "qwen2": dict(LLAMA, tie_word_embeddings=True),
    # Heads wider than the hidden size divided by their number.
    "qwen3": dict(LLAMA, head_dim=8),
    "opt": dict(SIZES, ffn_dim=24, word_embed_proj_dim=16),
}


def randomize(model: torch.nn.Module) -> None:
    """Numbers far enough from their initial values that a norm, a bias or a gate in the wrong place shows; all exact in bf16."""
    for name, parameter in model.named_parameters():
        noise = torch.randn_like(parameter)
        if parameter.ndim == 2:
            noise *= 0.7 if "embed" in name else 1.3 / parameter.shape[1] ** 0.5
        else:
            noise = 0.25 * noise + (1.0 if "norm" in name and name.endswith("weight") else 0.0)
        parameter.copy_(noise.bfloat16().float())
    model.tie_weights()


def make(family: str, options: dict) -> None:
    torch.manual_seed(len(family) + 1)
    config = CONFIG_MAPPING[family](**options)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager").eval()
    ids = torch.randint(3, VOCABULARY, (BATCH, TIME))
    with torch.no_grad():
        randomize(model)
        output = model(ids, output_hidden_states=True, use_cache=False)
    folder = HERE / family
    model.to(torch.bfloat16).save_pretrained(folder)
    os.remove(folder / "generation_config.json")
    hidden = {f"hidden.{i}": state.contiguous().clone() for i, state in enumerate(output.hidden_states)}
    outputs = {"input_ids": ids.int(), "logits": output.logits.contiguous(), **hidden}
    made_with = f"transformers {transformers.__version__}, torch {torch.__version__}"
    (folder / "outputs").mkdir(exist_ok=True)
    save_file(outputs, folder / "outputs" / "model.safetensors", {"made with": made_with})


for family, options in FAMILIES.items():
    make(family, options)
