"""Perplexity of a model folder by Python transformers, with crossblock's protocol: an independent judge of exports.

usage: python transformers_perplexity.py FOLDER TEXT... CONTEXT [--dtype float32|bfloat16|float16|auto] [--device cpu]

Documents are the `text` of each line of a .jsonl file, or a whole .txt file. Each starts with the model's start token
where it has one (bos, else eos); all are concatenated and cut into windows of CONTEXT tokens, the last partial one is
dropped. The perplexity is exp of the mean cross-entropy of tokens 2..n of the windows.
Needs torch, transformers and, for compressed-tensors folders, compressed-tensors.
"""

import argparse
import json
import math
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForCausalLM


def documents(paths):
    for path in map(Path, paths):
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".jsonl":
            yield from (json.loads(line)["text"] for line in text.splitlines() if line.strip())
        else:
            yield text


def token_ids(folder, paths):
    tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    config = AutoConfig.from_pretrained(folder)
    start = config.bos_token_id if config.bos_token_id is not None else config.eos_token_id
    ids = []
    for text in documents(paths):
        if start is not None:
            ids.append(start)
        ids += tokenizer.encode(text, add_special_tokens=False).ids
    return torch.tensor(ids)


@torch.no_grad()
def perplexity(model, ids, context, batch=8):
    count = len(ids) // context
    if count == 0:
        raise SystemExit(f"{len(ids)} tokens are fewer than one window of {context}")
    windows = ids[: count * context].view(count, context)
    total = tokens = 0
    for window in windows.split(batch):
        window = window.to(model.device)
        logits = model(window).logits[:, :-1].float()
        targets = window[:, 1:]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")
        total += loss.item()
        tokens += targets.numel()
    return math.exp(total / tokens), tokens


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("text", nargs="+")
    parser.add_argument("context", type=int)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    dtype = args.dtype if args.dtype == "auto" else getattr(torch, args.dtype)
    model = AutoModelForCausalLM.from_pretrained(args.folder, dtype=dtype).to(args.device).eval()
    value, tokens = perplexity(model, token_ids(args.folder, args.text), args.context)
    print(json.dumps({"perplexity": value, "tokens": tokens, "context": args.context, "dtype": str(model.dtype)}))


if __name__ == "__main__":
    main()
