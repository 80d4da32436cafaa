"""Compares the weights that GPTQModel and transformers decode from GPTQ folders with those that crossblock decoded.

usage: python compare_gptq.py FOLDER EXPECTED.safetensors [FOLDER EXPECTED.safetensors ...]

EXPECTED holds fp32 tensors under the names of the unquantized model. GPTQModel multiplies in fp16, so a weight is right
when it is the fp16 number nearest to ours. One JSON line per folder, with the weights that differ when GPTQModel loads it
(`gptqmodel`) and when transformers does, through optimum and GPTQModel's kernel (`transformers`); exit code 1 when
GPTQModel refuses or differs. Runs on the CPU. Needs torch, transformers, optimum and gptqmodel.
"""

import json
import os
import sys
import warnings

os.environ["CUDA_VISIBLE_DEVICES"] = ""
# Compiling every layer takes minutes and changes nothing that is compared here.
os.environ["TORCHDYNAMO_DISABLE"] = "1"
warnings.filterwarnings("ignore")

import torch
from gptqmodel import BACKEND, GPTQModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, GPTQConfig


def by_gptqmodel(folder):
    return GPTQModel.load(folder, backend=BACKEND.TORCH, device="cpu", dtype=torch.float16).model


def by_transformers(folder):
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        settings = json.load(file)["quantization_config"]
    config = GPTQConfig.from_dict({**settings, "backend": "torch"})
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float16, device_map="cpu", quantization_config=config
    ).eval()


def compare(load, folder, expected):
    try:
        model = load(folder)
        modules = dict(model.named_modules())
        differing = []
        for name, weight in expected.items():
            module = modules[name.removesuffix(".weight")]
            quantized = hasattr(module, "dequantize_weight")
            found = module.dequantize_weight().T if quantized else torch.empty(0)
            if found.shape != weight.shape or not torch.equal(found.half(), weight.half()):
                differing.append(name)
        with torch.no_grad():
            logits = model(torch.tensor([[1, 2, 3]])).logits
    except Exception as error:
        return {"error": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
    return {"differing": differing, "finite": bool(logits.isfinite().all())}


if __name__ == "__main__":
    failed = False
    for folder, path in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
        expected = load_file(path)
        own = compare(by_gptqmodel, folder, expected)
        failed |= "error" in own or bool(own["differing"]) or not own["finite"]
        result = {"folder": folder, "tensors": len(expected), "gptqmodel": own}
        print(json.dumps({**result, "transformers": compare(by_transformers, folder, expected)}), flush=True)
    sys.exit(failed)
