"""Writes an AWQ folder's network in floating point, for readers without a kernel for AWQ: its layout from AutoAWQ, none of our code.

usage: python awq_dequantize.py SOURCE [FOLDER OUT ...]... with SOURCE FOLDER OUT for each network

Every `X.qweight` becomes `X.weight` in fp32, `(code - zero point) * scale`. SOURCE is the model before quantization: where it
stores experts as one stack or Linears as `[in, out]`, OUT does too, so that transformers finds every tensor where it looks for it.
"""

import json
import re
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

# AutoAWQ packs outputs 0, 2, 4, 6, 1, 3, 5, 7 of eight into the nibbles of a word, the lowest first.
OUTPUT_OF_NIBBLE = [0, 2, 4, 6, 1, 3, 5, 7]
# How a stack of gates and ups is stored: rows of each in turn, and with its last dimensions swapped.
PAIRS, SWAPPED = {"gpt_oss"}, {"gpt_oss", "llama4_text", "gpt2"}
# Names of the stacks where they are others.
NAMES = {"granitemoe": ("input_linear.weight", "output_linear.weight")}


def read(folder):
    tensors = {}
    for file in sorted(Path(folder).glob("model*.safetensors")):
        with safe_open(file, "pt") as stored:
            tensors |= {name: stored.get_tensor(name) for name in stored.keys()}
    return tensors


def unpacked(words):
    """`[n, out / 8]` words to `[n, out]` codes."""
    words = words.numpy().view(np.uint32)
    codes = np.empty((words.shape[0], words.shape[1], 8), np.float32)
    for nibble, output in enumerate(OUTPUT_OF_NIBBLE):
        codes[:, :, output] = (words >> (4 * nibble)) & 15
    return codes.reshape(words.shape[0], -1)


def dequantized(codes, zeros, scales):
    codes, zeros = unpacked(codes), unpacked(zeros)
    group = codes.shape[0] // zeros.shape[0]
    values = (codes - zeros.repeat(group, 0)) * scales.float().numpy().repeat(group, 0)
    return torch.from_numpy(values.T.copy())


def network(folder):
    tensors = {}
    for name, tensor in (stored := read(folder)).items():
        module, _, part = name.rpartition(".")
        if part == "qweight":
            tensors[f"{module}.weight"] = dequantized(tensor, stored[f"{module}.qzeros"], stored[f"{module}.scales"])
        elif part not in ("qzeros", "scales"):
            tensors[name] = tensor.float()
    return tensors


def stacked(tensors, kind):
    """Those of single experts as stacks, named as their source has them."""
    found = {}
    for name in list(tensors):
        match = re.fullmatch(r"(.*\.experts)\.(\d+)\.(gate|up|down)_proj\.(weight|bias)", name)
        if match:
            prefix, expert, role, part = match.groups()
            found.setdefault((prefix, part), {}).setdefault(role, {})[int(expert)] = tensors.pop(name)
    for (prefix, part), roles in found.items():
        gate, up, down = (torch.stack([roles[role][e] for e in sorted(roles[role])]) for role in ("gate", "up", "down"))
        both = torch.stack([gate, up], 2).flatten(1, 2) if kind in PAIRS else torch.cat([gate, up], 1)
        for role, tensor in (("gate_up_proj", both), ("down_proj", down)):
            swap = part == "weight" and kind in SWAPPED
            name = f"{prefix}.{role}" + ("_bias" if part == "bias" else "")
            if kind in NAMES:
                name = prefix.replace("experts", NAMES[kind][role == "down_proj"])
            tensors[name] = tensor.mT if swap else tensor
    return tensors


def main(source, folder, out):
    config = json.loads((Path(folder) / "config.json").read_text())
    config.pop("quantization_config")
    before, tensors = read(source), network(folder)
    if any(re.search(r"experts\.gate_up_proj$|\.input_linear\.weight$", name) for name in before):
        tensors = stacked(tensors, config["model_type"])
    if config["model_type"] == "gpt2":
        tensors = {name: t.T if t.ndim == 2 and ".h." in name else t for name, t in tensors.items()}
    Path(out).mkdir(parents=True)
    (Path(out) / "config.json").write_text(json.dumps({**config, "dtype": "float32"}))
    save_file({name: t.contiguous() for name, t in tensors.items()}, Path(out) / "model.safetensors", {"format": "pt"})
    missing = [name for name in before if name not in tensors]
    print(json.dumps({"folder": folder, "missing": missing[:5]}), flush=True)


if __name__ == "__main__":
    for at in range(1, len(sys.argv), 3):
        main(*sys.argv[at : at + 3])
