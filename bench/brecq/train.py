"""Trains a ResNet-18 or a MobileNetV2 on Fashion-MNIST and writes it as ONNX, on one thread of a CPU.

    python bench/brecq/train.py resnet18 DATA OUT [--epochs 4] [--threads 1]

DATA is the folder of the four IDX files (Debian's package dataset-fashion-mnist), OUT gets `bn.onnx` (batch norms as
trained), `model.onnx` (folded into the convolutions by PyTorch), `test.images`, `test.labels`, `train.images` (the first
4,096 training images, prepared), raw little-endian float32 of shape [n, 1, 28, 28] and bytes, and `training.json`.
"""

import argparse
import gzip
import json
import os
import time

import onnx
import onnxruntime
import torch
from torch import nn
from torch.nn import functional as F

MEAN, DEVIATION = 0.2860, 0.3530


def images(folder, name):
    with gzip.open(os.path.join(folder, f"{name}-images-idx3-ubyte.gz")) as file:
        data = file.read()[16:]
    x = torch.frombuffer(bytearray(data), dtype=torch.uint8).reshape(-1, 1, 28, 28)
    return (x.float() / 255 - MEAN) / DEVIATION


def labels(folder, name):
    with gzip.open(os.path.join(folder, f"{name}-labels-idx1-ubyte.gz")) as file:
        return torch.frombuffer(bytearray(file.read()[8:]), dtype=torch.uint8).long()


def conv_norm(inputs, outputs, kernel, stride=1, groups=1, act=None):
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([] if act is None else [act]))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and the shortcut of He et al. (2015)."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.first = conv_norm(inputs, outputs, 3, stride, act=nn.ReLU())
        self.second = conv_norm(outputs, outputs, 3)
        plain = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if plain else conv_norm(inputs, outputs, 1, stride)

    def forward(self, x):
        return F.relu(self.second(self.first(x)) + self.shortcut(x))


class InvertedResidual(nn.Module):
    """Expand, depthwise, project: Sandler et al. (2018)."""

    def __init__(self, inputs, outputs, stride, expansion):
        super().__init__()
        wide = inputs * expansion
        expand = [] if expansion == 1 else [conv_norm(inputs, wide, 1, act=nn.ReLU6())]
        self.layers = nn.Sequential(
            *expand, conv_norm(wide, wide, 3, stride, wide, act=nn.ReLU6()), conv_norm(wide, outputs, 1)
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.layers(x) if self.residual else self.layers(x)


def resnet18(width=16):
    """Eight basic blocks as in ResNet-18; a 3x3 stem of stride 2 for images of 28 x 28, and a quarter of the channels."""
    blocks, inputs = [], width
    for stage in range(4):
        for block in range(2):
            outputs = width * 2**stage
            blocks.append(BasicBlock(inputs, outputs, 2 if stage > 0 and block == 0 else 1))
            inputs = outputs
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10)]
    return nn.Sequential(conv_norm(1, width, 3, 2, act=nn.ReLU()), *blocks, *head)


def mobilenetv2(width=0.5):
    """The seventeen inverted residuals of MobileNetV2; strides for images of 28 x 28, and half the channels."""
    channels = lambda c: max(8, int(c * width + 4) // 8 * 8)  # noqa: E731
    settings = [(1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    inputs = channels(32)
    layers = [conv_norm(1, inputs, 3, 2, act=nn.ReLU6())]
    for expansion, outputs, count, stride in settings:
        for i in range(count):
            layers.append(InvertedResidual(inputs, channels(outputs), stride if i == 0 else 1, expansion))
            inputs = channels(outputs)
    layers.append(conv_norm(inputs, 640, 1, act=nn.ReLU6()))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(640, 10))


def augmented(x, random):
    """Shifts by up to two pixels, and mirrors every other image."""
    n = len(x)
    padded = F.pad(x, (2, 2, 2, 2), value=-MEAN / DEVIATION)
    dx, dy = torch.randint(5, (2,), generator=random).tolist()
    x = padded[:, :, dy : dy + 28, dx : dx + 28]
    return torch.where((torch.rand(n, generator=random) < 0.5)[:, None, None, None], x.flip(3), x)


@torch.no_grad()
def accuracy(model, x, y):
    model.eval()
    return sum((model(a).argmax(1) == b).sum().item() for a, b in zip(x.split(500), y.split(500))) / len(y)


class Writer:
    """The nodes of an ONNX graph of these networks, with batch norms as they are or folded into the convolutions."""

    def __init__(self, fold):
        self.fold, self.nodes, self.constants, self.count = fold, [], [], 0

    def constant(self, name, tensor):
        self.constants.append(onnx.numpy_helper.from_array(tensor.detach().numpy(), name))
        return name

    def node(self, operator, inputs, **attributes):
        self.count += 1
        output = f"{operator.lower()}{self.count}"
        self.nodes.append(onnx.helper.make_node(operator, inputs, [output], output, **attributes))
        return output

    def conv(self, x, conv, norm):
        if self.fold and norm is not None:
            conv, norm = nn.utils.fusion.fuse_conv_bn_eval(conv, norm), None
        name = f"conv{self.count + 1}"
        inputs = [x, self.constant(f"{name}.weight", conv.weight)]
        if conv.bias is not None:
            inputs.append(self.constant(f"{name}.bias", conv.bias))
        x = self.node("Conv", inputs, kernel_shape=list(conv.kernel_size), strides=list(conv.stride),
                      pads=list(conv.padding) * 2, group=conv.groups)
        if norm is None:
            return x
        parts = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
        names = [self.constant(f"{name}.norm.{i}", part) for i, part in enumerate(parts)]
        return self.node("BatchNormalization", [x, *names], epsilon=norm.eps)

    def run(self, module, x):
        if isinstance(module, BasicBlock):
            y = self.run(module.second, self.run(module.first, x))
            return self.node("Relu", [self.node("Add", [y, self.run(module.shortcut, x)])])
        if isinstance(module, InvertedResidual):
            y = self.run(module.layers, x)
            return self.node("Add", [x, y]) if module.residual else y
        if isinstance(module, nn.Sequential):
            layers = list(module)
            for layer, after in zip(layers, [*layers[1:], None]):
                if isinstance(layer, nn.Conv2d):
                    x = self.conv(x, layer, after if isinstance(after, nn.BatchNorm2d) else None)
                elif not isinstance(layer, nn.BatchNorm2d):
                    x = self.run(layer, x)
            return x
        if isinstance(module, nn.ReLU):
            return self.node("Relu", [x])
        if isinstance(module, nn.ReLU6):
            bounds = [self.constant(f"clip{self.count + 1}.{i}", torch.tensor(v)) for i, v in enumerate((0.0, 6.0))]
            return self.node("Clip", [x, *bounds])
        if isinstance(module, nn.MaxPool2d):
            return self.node("MaxPool", [x], kernel_shape=[module.kernel_size] * 2, strides=[module.stride] * 2,
                             pads=[module.padding] * 4)
        if isinstance(module, nn.AdaptiveAvgPool2d):
            return self.node("GlobalAveragePool", [x])
        if isinstance(module, nn.Flatten):
            return self.node("Flatten", [x])
        if isinstance(module, nn.Linear):
            return self.node("Gemm", [x, self.constant("head.weight", module.weight), self.constant("head.bias", module.bias)],
                             transB=1)
        if isinstance(module, nn.Identity):
            return x
        raise TypeError(type(module))


def export(model, path, fold, image=(1, 28, 28), classes=10):
    writer = Writer(fold)
    output = writer.run(model, "image")
    writer.nodes[-1].output[0] = "logits"
    assert output == writer.nodes[-1].name
    port = lambda name, *shape: onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", *shape])  # noqa: E731
    graph = onnx.helper.make_graph(writer.nodes, "network", [port("image", *image)], [port("logits", classes)], writer.constants)
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(made, full_check=True)
    onnx.save(made, path)


def check(model, path, x):
    """The file computes what PyTorch does."""
    outputs = onnxruntime.InferenceSession(path).run(None, {"image": x.numpy()})[0]
    with torch.no_grad():
        error = (torch.from_numpy(outputs) - model(x)).abs().max().item()
    assert error < 1e-3, error


def main():
    parse = argparse.ArgumentParser()
    parse.add_argument("network", choices=["resnet18", "mobilenetv2"])
    parse.add_argument("data")
    parse.add_argument("out")
    parse.add_argument("--epochs", type=int, default=4)
    parse.add_argument("--threads", type=int, default=1)
    parse.add_argument("--steps", type=int, help="stop an epoch after so many")
    options = parse.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    random = torch.Generator().manual_seed(0)
    x, y = images(options.data, "train"), labels(options.data, "train")
    test, answers = images(options.data, "t10k"), labels(options.data, "t10k")
    model = {"resnet18": resnet18, "mobilenetv2": mobilenetv2}[options.network]()
    os.makedirs(options.out, exist_ok=True)
    batch = 128
    steps = options.steps or len(x) // batch
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.1, total_steps=max(1, steps * options.epochs))
    began = time.time()
    weights = os.path.join(options.out, "weights.pt")
    # A training that got as far as this is not done again.
    if os.path.exists(weights):
        model.load_state_dict(torch.load(weights))
        options.epochs = 0
    for epoch in range(options.epochs):
        model.train()
        order = torch.randperm(len(x), generator=random)
        for i in range(steps):
            chosen = order[i * batch : (i + 1) * batch]
            loss = F.cross_entropy(model(augmented(x[chosen], random)), y[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            if i % 100 == 99:
                print(f"epoch {epoch + 1}, step {i + 1}: loss {loss.item():.3f}, {time.time() - began:.0f} s", flush=True)
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}, {time.time() - began:.0f} s", flush=True)
    model.eval()
    torch.save(model.state_dict(), weights)
    result = {"network": options.network, "accuracy": accuracy(model, test, answers),
              "seconds": round(time.time() - began)}
    print(result, flush=True)
    with open(os.path.join(options.out, "training.json"), "w") as file:
        json.dump(result, file)
    for name, values in (("test.images", test), ("train.images", x[:4096])):
        with open(os.path.join(options.out, name), "wb") as file:
            file.write(values.contiguous().numpy().tobytes())
    with open(os.path.join(options.out, "test.labels"), "wb") as file:
        file.write(answers.byte().numpy().tobytes())
    for name, fold in (("bn.onnx", False), ("model.onnx", True)):
        export(model, os.path.join(options.out, name), fold)
        check(model, os.path.join(options.out, name), test[:100])


if __name__ == "__main__":
    main()
