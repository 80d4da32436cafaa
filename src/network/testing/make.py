"""Writes tiny-models.json: what Hugging Face transformers computes for networks whose weights are a formula.

Run by hand with torch and transformers installed (5.23 made the present file): python make.py
"""

import json
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, CONFIG_MAPPING
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

HERE = Path(__file__).parent
BATCH, TIME, LAST = 2, 11, 2

LLAMA = dict(
    vocab_size=19, hidden_size=32, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-5, tie_word_embeddings=False,
)
OPT = dict(
    vocab_size=19, hidden_size=32, ffn_dim=24, num_hidden_layers=2, num_attention_heads=4,
    max_position_embeddings=64, word_embed_proj_dim=32,
)
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=64, rope_theta=10000.0)

CASES = {
    "llama": ("llama", dict(LLAMA, head_dim=8)),
    "llama, biases, tied, wide heads": (
        "llama", dict(LLAMA, head_dim=12, attention_bias=True, mlp_bias=True, tie_word_embeddings=True)),
    "llama, rotary scaling llama3": ("llama", dict(LLAMA, rope_parameters=LLAMA3)),
    "llama, rotary scaling linear": (
        "llama", dict(LLAMA, rope_parameters=dict(rope_type="linear", factor=4.0, rope_theta=500.0))),
    "mistral, window of 4": ("mistral", dict(LLAMA, sliding_window=4)),
    "qwen2": ("qwen2", LLAMA),
    "qwen3": ("qwen3", dict(LLAMA, head_dim=8)),
    "opt": ("opt", OPT),
}


def formula(name: str, shape: torch.Size) -> torch.Tensor:
    phase = sum(name.encode()) % 97
    wave = torch.sin(torch.arange(shape.numel(), dtype=torch.float64) * 0.7548776662 + phase).reshape(shape)
    # Norm weights lie around 1; large embeddings make the positions count.
    offset = 1.0 if "norm" in name and name.endswith("weight") else 0.0
    return (offset + (0.2 if len(shape) == 2 else 0.1) * wave).float()


def make(family: str, options: dict) -> dict:
    config = CONFIG_MAPPING[family](**options, pad_token_id=None)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager").eval()
    state = {name: formula(name, tensor.shape) for name, tensor in model.state_dict().items()}
    if config.tie_word_embeddings:
        embedding = next(name for name in state if "embed_tokens" in name)
        state["lm_head.weight"] = state[embedding]
    model.load_state_dict(state)
    ids = (torch.arange(BATCH * TIME).reshape(BATCH, TIME) * 7 + 3) % config.vocab_size
    with torch.no_grad():
        output = model(ids, output_hidden_states=True)
    stored = {name: list(tensor.shape) for name, tensor in state.items()
              if not (config.tie_word_embeddings and name == "lm_head.weight")}
    return {
        "config": json.loads(config.to_json_string()),
        "tensors": stored,
        "batch": BATCH,
        "time": TIME,
        # Of the last positions of each sequence.
        "logits": [round(x, 6) for x in output.logits[:, -LAST:].flatten().tolist()],
        # Of the last position of the first sequence: the embedding, then the output of the first block.
        "hidden": [[round(x, 6) for x in h[0, -1].tolist()] for h in output.hidden_states[:2]],
    }


def frequencies(parameters: dict, head_dim: int) -> list[float]:
    config = CONFIG_MAPPING["llama"](hidden_size=head_dim, num_attention_heads=1, rope_parameters=parameters,
                                     max_position_embeddings=131072)
    values, factor = ROPE_INIT_FUNCTIONS[parameters["rope_type"]](config, "cpu")
    assert factor == 1
    return values.tolist()


LLAMA31 = dict(LLAMA3, rope_theta=500000.0, original_max_position_embeddings=8192)
LINEAR = dict(rope_type="linear", factor=4.0, rope_theta=10000.0)

result = {
    "made with": f"transformers {transformers.__version__}, torch {torch.__version__}",
    "models": {name: make(*case) for name, case in CASES.items()},
    "frequencies": [
        {"rope": rope, "headDim": head_dim, "values": [float(f"{x:.7g}") for x in frequencies(rope, head_dim)]}
        for rope, head_dim in [(LLAMA31, 64), (LINEAR, 32)]
    ],
}
(HERE / "tiny-models.json").write_text(json.dumps(result))
