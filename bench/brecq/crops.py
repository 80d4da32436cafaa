"""Crops of a folder of photos as raw float32: of every other photo for calibration, of those between for the test, so that no
photo is in both. Names end in _LABEL where what the photos show is known; else there are no labels.

    python bench/brecq/crops.py PHOTOS OUT [--size 224] [--train 256] [--tests 200] [--mean 127] [--std 128] [--least 0.5]
        [--layout nchw|nhwc] [--channels rgb|bgr]

Writes train.images, test.images and, of known photos, test.labels (uint16). A crop has at least the share --least of the photo's shorter side;
every other one is mirrored. --mean takes one number or three, by channel as the network has them. Needs NumPy and Pillow.
"""

import argparse
import os
import re

import numpy as np
from PIL import Image


def crops(photos, count, options, random, out, name):
    """`count` crops of these photos in turn, and their labels, or None."""
    mean = np.array([float(part) for part in options.mean.split(",")], np.float32)
    labels = np.zeros(count, np.uint16)
    known = True
    with open(os.path.join(out, f"{name}.images"), "wb") as file:
        for i in range(count):
            path = photos[i % len(photos)]
            label = re.search(r"_(\d+)\.", path)
            known = known and label is not None
            labels[i] = int(label.group(1)) if label else 0
            photo = Image.open(path).convert("RGB")
            shorter = min(photo.size)
            side = int(shorter * (options.least + random.random() * (1 - options.least)))
            left, top = (int(random.random() * (whole - side + 1)) for whole in photo.size)
            cut = photo.crop((left, top, left + side, top + side)).resize((options.size, options.size), Image.Resampling.BICUBIC)
            pixels = np.asarray(cut, np.float32)
            if i % 2 == 1:
                pixels = pixels[:, ::-1]
            if options.channels == "bgr":
                pixels = pixels[:, :, ::-1]
            values = (pixels - mean) / np.float32(options.std)
            if options.layout == "nchw":
                values = values.transpose(2, 0, 1)
            file.write(np.ascontiguousarray(values, "<f4").tobytes())
    return labels if known else None


def main():
    parse = argparse.ArgumentParser()
    parse.add_argument("photos")
    parse.add_argument("out")
    parse.add_argument("--size", type=int, default=224)
    parse.add_argument("--train", type=int, default=256)
    parse.add_argument("--tests", type=int, default=200)
    parse.add_argument("--mean", default="127")
    parse.add_argument("--std", type=float, default=128)
    parse.add_argument("--least", type=float, default=0.5)
    parse.add_argument("--layout", choices=["nchw", "nhwc"], default="nchw")
    parse.add_argument("--channels", choices=["rgb", "bgr"], default="rgb")
    options = parse.parse_args()
    names = sorted(name for name in os.listdir(options.photos) if re.search(r"\.(jpe?g|png)$", name, re.I))
    photos = [os.path.join(options.photos, name) for name in names]
    os.makedirs(options.out, exist_ok=True)
    random = np.random.default_rng(1)
    crops(photos[::2], options.train, options, random, options.out, "train")
    labels = crops(photos[1::2], options.tests, options, random, options.out, "test")
    if labels is not None:
        labels.astype("<u2").tofile(os.path.join(options.out, "test.labels"))


if __name__ == "__main__":
    main()
