"""A ResNet-18 for 224 x 224 with random weights, and random images: what a run takes does not depend on what they show.

    python bench/brecq/timing_network.py OUT [--images 1024]

Writes model.onnx (1,000 classes, batch norms folded) and images.npy, float32 `[images, 3, 224, 224]`. Needs PyTorch and onnx.
"""

import argparse
import os

import numpy as np
import torch
import train
from torch import nn


def resnet18():
    """He et al. (2015), table 1: 11.7 M weights."""
    blocks, inputs = [], 64
    for stage in range(4):
        for block in range(2):
            outputs = 64 * 2**stage
            blocks.append(train.BasicBlock(inputs, outputs, 2 if stage > 0 and block == 0 else 1))
            inputs = outputs
    stem = [train.conv_norm(3, 64, 7, 2, act=nn.ReLU()), nn.MaxPool2d(3, 2, 1)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 1000))


@torch.no_grad()
def main():
    parse = argparse.ArgumentParser()
    parse.add_argument("out")
    parse.add_argument("--images", type=int, default=1024)
    options = parse.parse_args()
    torch.manual_seed(0)
    model = resnet18()
    random = np.random.default_rng(0)
    images = random.standard_normal((options.images, 3, 224, 224), np.float32)
    # Batch norms with the statistics that these weights have, or values would grow from block to block.
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    model.train()(torch.from_numpy(images[:8]))
    os.makedirs(options.out, exist_ok=True)
    np.save(os.path.join(options.out, "images.npy"), images)
    train.export(model.eval(), os.path.join(options.out, "model.onnx"), True, (3, 224, 224), 1000)
    train.check(model, os.path.join(options.out, "model.onnx"), torch.from_numpy(images[:2]))


if __name__ == "__main__":
    main()
