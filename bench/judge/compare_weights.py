"""Compares the weights that Python decodes from compressed-tensors folders with those that crossblock decoded.

usage: python compare_weights.py FOLDER EXPECTED.safetensors [FOLDER EXPECTED.safetensors ...]

EXPECTED holds fp32 tensors under the names of the unquantized model. One JSON line per folder: the weights that differ
in any bit when the compressed-tensors library decodes the stored tensors (`library`), and when transformers loads the
folder with dtype float32 and runs it once (`transformers`; `error` when it refuses). Exit code 1 when a library decode
differs.
"""

import json
import sys
from pathlib import Path

import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationConfig
from compressed_tensors.utils.match import match_targets
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM


def differing(actual, expected):
    return [
        name
        for name, weight in expected.items()
        if actual[name].shape != weight.shape or not torch.equal(actual[name].float(), weight)
    ]


def decoded_by_library(folder, names):
    config = json.loads((Path(folder) / "config.json").read_text())["quantization_config"]
    config = QuantizationConfig.model_validate(config)
    schemes = {target: scheme for scheme in config.config_groups.values() for target in scheme.targets}
    tensors = load_file(Path(folder) / "model.safetensors")
    linear = torch.nn.Linear(1, 1)
    weights = {}
    for name in names:
        module = name.removesuffix(".weight")
        scheme = schemes[match_targets(module, linear, schemes)[0]]
        stored = {key.removeprefix(f"{module}."): t for key, t in tensors.items() if key.startswith(f"{module}.")}
        stored["weight_scale"] = stored["weight_scale"].float()
        compressor = BaseCompressor.get_value_from_registry(scheme.format or config.format)
        weights[name] = compressor.decompress(stored, scheme)["weight"]
    return weights


def loaded_by_transformers(folder, expected):
    try:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        with torch.no_grad():
            # Weights are decompressed at the first forward pass.
            logits = model(torch.tensor([[1, 2, 3]])).logits
    except Exception as error:
        return {"error": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
    return {"differing": differing(model.state_dict(), expected), "finite": bool(logits.isfinite().all())}


def compare(folder, expected_path):
    expected = load_file(expected_path)
    return {
        "folder": folder,
        "tensors": len(expected),
        "library": differing(decoded_by_library(folder, expected), expected),
        "transformers": loaded_by_transformers(folder, expected),
    }


if __name__ == "__main__":
    results = [compare(*pair) for pair in zip(sys.argv[1::2], sys.argv[2::2], strict=True)]
    for result in results:
        print(json.dumps(result))
    sys.exit(any(result["library"] for result in results))
