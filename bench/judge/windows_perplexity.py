"""Losses of token windows by Python readers of crossblock's exports: the network alone is judged, ids are given.

usage: python windows_perplexity.py READER PATH WINDOWS.json LOSSES.json [PATH WINDOWS LOSSES ...]

READER is `transformers` (a model folder of any format that it loads, in fp32), `gptqmodel` (a GPTQ folder by GPTQModel's
PyTorch kernel, which computes in fp16) or `onnxruntime` (a .onnx file whose inputs are those of transformers.js).
WINDOWS is a list of windows of token ids, all of one length. LOSSES receives the cross-entropy of tokens 2..n of all
windows, in nats, or {"error": ...}. The versions of the packages are printed as one JSON line.
Runs on the CPU. Needs numpy and the reader's packages: torch with transformers (and compressed-tensors), gptqmodel with
optimum, onnxruntime.
"""

import json
import os
import sys
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# Compiling every layer takes minutes and changes nothing that is compared here.
os.environ["TORCHDYNAMO_DISABLE"] = "1"
warnings.filterwarnings("ignore")

import numpy as np

packages = {
    "transformers": ["transformers", "compressed-tensors", "torch"],
    "gptqmodel": ["gptqmodel", "transformers", "torch"],
    "onnxruntime": ["onnxruntime"],
}


def by_torch(model):
    import torch

    @torch.no_grad()
    def logits(window):
        return model(torch.tensor(window[None])).logits[0].float().numpy()

    return logits


def by_transformers(folder):
    import torch
    from transformers import AutoModelForCausalLM

    return by_torch(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval())


def by_gptqmodel(folder):
    import torch
    from gptqmodel import BACKEND, GPTQModel

    return by_torch(GPTQModel.load(folder, backend=BACKEND.TORCH, device="cpu", dtype=torch.float16).model.eval())


def by_onnxruntime(file):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    inputs = {each.name: each for each in session.get_inputs()}
    dtypes = {"tensor(float)": np.float32, "tensor(float16)": np.float16}

    def logits(window):
        ids = window[None].astype(np.int64)
        feeds = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "position_ids": np.arange(ids.shape[1], dtype=np.int64)[None],
            "num_logits_to_keep": np.array(0, dtype=np.int64),
        }
        for name, each in inputs.items():
            if name.startswith("past_key_values."):
                _, heads, _, width = each.shape
                feeds[name] = np.zeros((1, heads, 0, width), dtypes[each.type])
        return session.run(["logits"], {name: value for name, value in feeds.items() if name in inputs})[0][0]

    return logits


readers = {"transformers": by_transformers, "gptqmodel": by_gptqmodel, "onnxruntime": by_onnxruntime}


def losses(logits, window):
    """Cross-entropy of tokens 2..n, from logits [tokens, vocabulary]."""
    rows = logits[:-1].astype(np.float64)
    top = rows.max(axis=1, keepdims=True)
    whole = top[:, 0] + np.log(np.exp(rows - top).sum(axis=1))
    return whole - rows[np.arange(len(rows)), window[1:]]


def read(reader, path, windows):
    logits = readers[reader](path)
    return np.concatenate([losses(logits(window), window) for window in windows]).tolist()


def installed(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def main():
    reader, *rest = sys.argv[1:]
    print(json.dumps({name: installed(name) for name in packages[reader]}), flush=True)
    for path, windows, out in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        try:
            result = read(reader, path, np.array(json.loads(Path(windows).read_text())))
        except Exception as error:
            result = {"error": f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"}
        Path(out).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
