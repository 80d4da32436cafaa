"""Logits of model folders by Python transformers on given tokens: an independent judge of what runtimes compute.

usage: python transformers_logits.py TOKENS.json FOLDER OUT.safetensors [FOLDER OUT.safetensors ...]

TOKENS is a list of windows of token ids, all of one length. OUT receives `logits` [windows, tokens, vocabulary],
computed and stored in fp32.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM


@torch.no_grad()
def main():
    tokens = torch.tensor(json.loads(Path(sys.argv[1]).read_text()))
    for folder, out in zip(sys.argv[2::2], sys.argv[3::2]):
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        save_file({"logits": model(tokens).logits.float().contiguous()}, out)


if __name__ == "__main__":
    main()
