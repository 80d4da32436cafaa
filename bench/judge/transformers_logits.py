"""Logits of models by Python transformers on given tokens: an independent judge of what runtimes compute.

usage: python transformers_logits.py TOKENS.json [--dtype float32] [--device cpu] MODEL OUT.safetensors [MODEL OUT ...]

MODEL is a model folder or a GGUF file. TOKENS is a list of windows of token ids, all of one length. OUT receives `logits`
[windows, tokens, vocabulary], computed in the dtype and stored in fp32; where a model does not load, OUT is not written and
the error goes to standard error.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tokens")
    parser.add_argument("pairs", nargs="+")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    tokens = torch.tensor(json.loads(Path(args.tokens).read_text()), device=args.device)
    for name, out in zip(args.pairs[::2], args.pairs[1::2], strict=True):
        path = Path(name)
        at = {"gguf_file": path.name} if path.suffix == ".gguf" else {}
        try:
            model = AutoModelForCausalLM.from_pretrained(path.parent if at else path, dtype=getattr(torch, args.dtype), **at)
            logits = model.to(args.device).eval()(tokens).logits
            save_file({"logits": logits.float().cpu().contiguous()}, out)
        except Exception as error:  # What other people's code raises is not ours to list.
            print(f"{name}: {type(error).__name__}: {str(error)[:300]}", file=sys.stderr)


if __name__ == "__main__":
    main()
