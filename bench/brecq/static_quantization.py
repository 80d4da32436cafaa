"""onnxruntime's static quantization of the same networks on the same images: what BRECQ is compared with.

    python bench/brecq/static_quantization.py DIR OUT [--examples 256] [--tests 10000] [--schemes W8A8,W4A8,W4A4]

DIR as for measure.mjs. Appends a line of JSON for each scheme and each way to find ranges (minmax, entropy, percentile) to OUT.
Weights per channel, QDQ, int4 where the scheme has 4 bits; onnxruntime has no type of 2 bits for these operators.
"""

import argparse
import json
import os
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process


class Images(CalibrationDataReader):
    """One batch of images after the other."""

    def __init__(self, name, images, batch=32):
        self.name, self.batches = name, iter([images[i : i + batch] for i in range(0, len(images), batch)])

    def get_next(self):
        batch = next(self.batches, None)
        return None if batch is None else {self.name: batch}


def log_probabilities(path, name, images, softmax):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path, options)
    rows = [session.run(None, {name: images[i : i + 50]})[0] for i in range(0, len(images), 50)]
    x = np.concatenate(rows).reshape(len(images), -1).astype(np.float64)
    if softmax:
        x = np.log(np.maximum(x, 1e-20))
    x -= x.max(1, keepdims=True)
    return x - np.log(np.exp(x).sum(1, keepdims=True))


def main():
    parse = argparse.ArgumentParser()
    parse.add_argument("folder")
    parse.add_argument("out")
    parse.add_argument("--model", default="model.onnx")
    parse.add_argument("--examples", type=int, default=256)
    parse.add_argument("--tests", type=int, default=10000)
    parse.add_argument("--schemes", default="W8A8,W4A8,W4A4")
    options = parse.parse_args()
    source = os.path.join(options.folder, options.model)
    model = onnx.load(source)
    port = model.graph.input[0]
    shape = [d.dim_value for d in port.type.tensor_type.shape.dim[1:]]
    softmax = model.graph.node[-1].op_type == "Softmax"
    read = lambda file, most: np.fromfile(os.path.join(options.folder, file), "<f4").reshape(-1, *shape)[:most]  # noqa: E731
    images, tests = read("train.images", options.examples), read("test.images", options.tests)
    total = len(read("test.images", None))
    labels, file = None, os.path.join(options.folder, "test.labels")
    if os.path.exists(file):
        labels = np.fromfile(file, "<u2" if os.path.getsize(file) >= 2 * total else "u1")[: len(tests)]
    reference = log_probabilities(source, port.name, tests, softmax)
    weights = {8: QuantType.QInt8, 4: QuantType.QInt4}
    inputs = {8: QuantType.QUInt8, 4: QuantType.QUInt4}
    with tempfile.TemporaryDirectory() as scratch:
        prepared, made = os.path.join(scratch, "prepared.onnx"), os.path.join(scratch, "quantized.onnx")
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        for scheme in options.schemes.split(","):
            w, a = (int(bits) for bits in scheme[1:].split("A"))
            for method in (CalibrationMethod.MinMax, CalibrationMethod.Entropy, CalibrationMethod.Percentile):
                result = {"network": os.path.basename(os.path.abspath(options.folder)), "examples": len(images),
                          "tests": len(tests), "method": f"onnxruntime {method.name.lower()}", "scheme": scheme}
                try:
                    quantize_static(prepared, made, Images(port.name, images), quant_format=QuantFormat.QDQ, per_channel=True,
                                    weight_type=weights[w], activation_type=inputs[a], calibrate_method=method)
                    actual = log_probabilities(made, port.name, tests, softmax)
                    result["agreement"] = float((actual.argmax(1) == reference.argmax(1)).mean())
                    result["accuracy"] = None if labels is None else float((actual.argmax(1) == labels).mean())
                    result["kl"] = float((np.exp(reference) * (reference - np.maximum(actual, -100))).sum(1).mean())
                except Exception as error:  # noqa: BLE001
                    result["refused"] = str(error).split("\n")[0][:200]
                print(json.dumps(result), flush=True)
                with open(options.out, "a") as file:
                    file.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
