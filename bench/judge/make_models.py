"""Tiny random models of every family and rotary scaling that crossblock writes into GGUF, with their logits.

usage: python make_models.py OUT TOKENIZER_FOLDER

OUT receives a folder per model: config.json, model.safetensors (fp32), the tokenizer's files, and
logits/model.safetensors with `ids` [96] and `logits` [96, vocabulary]. Biases and norms are random too, because
zeros and ones would hide a tensor in the wrong place.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

TOKENS = 96
SIZE = dict(
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=128,
    initializer_range=0.2,
    tie_word_embeddings=False,
)
LLAMA_3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
MODELS = {
    "llama": lambda size: LlamaConfig(**size),
    "llama-biases": lambda size: LlamaConfig(**size, attention_bias=True, mlp_bias=True),
    "llama-wide-heads": lambda size: LlamaConfig(**size, head_dim=32),
    "llama-theta": lambda size: LlamaConfig(**size, rope_parameters={"rope_type": "default", "rope_theta": 5e5}),
    "llama-llama3": lambda size: LlamaConfig(**size, rope_parameters=LLAMA_3),
    "llama-linear": lambda size: LlamaConfig(
        **size, rope_parameters={"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}
    ),
    "qwen2-yarn": lambda size: Qwen2Config(
        **size,
        rope_parameters={
            "rope_type": "yarn",
            "rope_theta": 10000.0,
            "factor": 4.0,
            "original_max_position_embeddings": 32,
        },
    ),
    "mistral": lambda size: MistralConfig(**size, sliding_window=None),
    "qwen2": lambda size: Qwen2Config(**size),
    "qwen2-tied": lambda size: Qwen2Config(**{**size, "tie_word_embeddings": True}),
    "qwen3": lambda size: Qwen3Config(**size, head_dim=32),
}


@torch.no_grad()
def make(folder, config, tokenizer):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            center = 0.0 if name.endswith("bias") else 1.0
            parameter.copy_(center + 0.3 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer / name, folder / name)
    ids = torch.randint(0, config.vocab_size, (TOKENS,))
    (folder / "logits").mkdir(exist_ok=True)
    logits = model(ids[None]).logits[0].float().contiguous()
    save_file({"ids": ids.int(), "logits": logits}, folder / "logits" / "model.safetensors")


def main():
    out, tokenizer = map(Path, sys.argv[1:])
    size = {**SIZE, "vocab_size": Tokenizer.from_file(str(tokenizer / "tokenizer.json")).get_vocab_size()}
    for name, config in MODELS.items():
        make(out / name, config(size), tokenizer)
        print(json.dumps({"name": name}))


if __name__ == "__main__":
    main()
