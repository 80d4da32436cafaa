"""Loads MLX folders with mlx-lm on the CPU: what its quantized modules dequantize to, and the logits of a sequence.

    mlx_logits.py IDS FOLDER...   FOLDER-judged/model.safetensors gets `logits` and one fp32 tensor for each quantized module
"""
import json
import sys
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten
from mlx_lm.utils import load_model

mx.set_default_device(mx.cpu)


def dequantized(module):
    scales, biases = module.scales.astype(mx.float32), module.biases.astype(mx.float32)
    return mx.dequantize(module.weight, scales, biases, group_size=module.group_size, bits=module.bits)


def judge(folder, ids):
    model, _ = load_model(Path(folder))
    tensors = {}
    for name, module in tree_flatten(model.leaf_modules(), is_leaf=nn.Module.is_module):
        if hasattr(module, "scales"):
            tensors[f"{name}.weight"] = dequantized(module)
    tensors["logits"] = model(mx.array([ids]))[0].astype(mx.float32)
    mx.eval(tensors)
    out = Path(f"{folder}-judged")
    out.mkdir()
    mx.save_safetensors(str(out / "model.safetensors"), tensors, {"format": "mlx"})


def main(ids, folders):
    for folder in folders:
        try:
            judge(folder, ids)
            error = None
        except Exception as failed:
            error = repr(failed)[:1000]
        print(json.dumps({"folder": folder, "error": error}), flush=True)


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1].split(",")], sys.argv[2:])
