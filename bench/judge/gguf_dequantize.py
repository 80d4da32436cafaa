"""Compares the values that gguf-py decodes from GGUF files with those that crossblock's decoder found.

usage: python gguf_dequantize.py FILE.gguf EXPECTED.safetensors [FILE.gguf EXPECTED.safetensors ...]

EXPECTED holds fp32 tensors under the names of the file, rows as in the file. One JSON line per file: types with their
number of tensors, the tensors that differ in any bit (`differing`), and those whose type this version of gguf-py does
not know (`unknown`). Exit code 1 when a tensor differs.
"""

import json
import sys
from collections import Counter

import numpy as np
from gguf import GGUFReader
from gguf.quants import dequantize
from safetensors.numpy import load_file


def compare(path, expected_path):
    reader = GGUFReader(path)
    expected = load_file(expected_path)
    differing = []
    unknown = []
    for tensor in reader.tensors:
        shape = [int(size) for size in reversed(tensor.shape)]
        try:
            values = np.asarray(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32).reshape(shape)
        except NotImplementedError:
            unknown.append(tensor.name)
            continue
        if not np.array_equal(values, expected[tensor.name].reshape(shape)):
            differing.append(tensor.name)
    missing = sorted(set(expected) - {tensor.name for tensor in reader.tensors})
    types = Counter(tensor.tensor_type.name for tensor in reader.tensors)
    return {"file": path, "types": types, "differing": differing + missing, "unknown": unknown}


def main():
    bad = False
    for path, expected in zip(sys.argv[1::2], sys.argv[2::2]):
        result = compare(path, expected)
        bad = bad or bool(result["differing"])
        print(json.dumps(result))
    sys.exit(bad)


if __name__ == "__main__":
    main()
