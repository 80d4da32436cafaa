"""Trains a small DDPM on Fashion-MNIST and exports it to ONNX, once; the result stays outside the repository.

    python bench/tfmq/train_ddpm.py OUT_DIR [--minutes 45] [--channels 32] [--threads 1] [--device cpu]

A U-Net of Ho et al. 2020 ("Denoising diffusion probabilistic models"): channels 1-2-2, attention at 14 x 14, T = 1000 with
betas from 1e-4 to 0.02, epsilon as target; the time enters each residual block by a projection that is added. Inputs of
model.onnx: sample [n, 1, 28, 28] from -1 to 1, timestep [n] int64. Images are in Debian's package dataset-fashion-mnist.
"""

import argparse
import gzip
import json
import math
import pathlib
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

STEPS = 1000


class TimeEmbedding(nn.Module):
    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        half = channels // 2
        self.register_buffer("rates", torch.exp(-math.log(10000) * torch.arange(half).float() / half))
        self.first = nn.Linear(channels, width)
        self.second = nn.Linear(width, width)

    def forward(self, timestep: torch.Tensor) -> torch.Tensor:
        angles = timestep.float().unsqueeze(1) * self.rates.unsqueeze(0)
        waves = torch.cat([torch.sin(angles), torch.cos(angles)], dim=1)
        return self.second(F.silu(self.first(waves)))


class Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(8, inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.time = nn.Linear(width, outputs)
        self.norm2 = nn.GroupNorm(8, outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)

    def forward(self, x: torch.Tensor, emb: torch.Tensor) -> torch.Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.time(F.silu(emb)).unsqueeze(2).unsqueeze(3)
        return self.conv2(F.silu(self.norm2(h))) + self.skip(x)


class Attention(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.norm = nn.GroupNorm(8, channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.out = nn.Conv1d(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = self.norm(x).flatten(2)
        q, k, v = self.qkv(flat).split(self.channels, dim=1)
        weights = torch.softmax(torch.matmul(q.transpose(1, 2), k) * self.channels**-0.5, dim=-1)
        mixed = torch.matmul(v, weights.transpose(1, 2))
        return x + self.out(mixed).reshape(x.shape)


class UNet(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        a, b = channels, 2 * channels
        width = 4 * channels
        self.emb = TimeEmbedding(channels, width)
        self.first = nn.Conv2d(1, a, 3, padding=1)
        self.down1 = Residual(a, a, width)
        self.shrink1 = nn.Conv2d(a, a, 3, stride=2, padding=1)
        self.down2 = Residual(a, b, width)
        self.attention2 = Attention(b)
        self.shrink2 = nn.Conv2d(b, b, 3, stride=2, padding=1)
        self.down3 = Residual(b, b, width)
        self.middle1 = Residual(b, b, width)
        self.middle2 = Residual(b, b, width)
        self.up3 = Residual(2 * b, b, width)
        self.grow2 = nn.Conv2d(b, b, 3, padding=1)
        self.up2 = Residual(2 * b, b, width)
        self.attention2up = Attention(b)
        self.grow1 = nn.Conv2d(b, a, 3, padding=1)
        self.up1 = Residual(2 * a, a, width)
        self.norm = nn.GroupNorm(8, a)
        self.last = nn.Conv2d(a, 1, 3, padding=1)

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        emb = self.emb(timestep)
        h1 = self.down1(self.first(sample), emb)
        h2 = self.attention2(self.down2(self.shrink1(h1), emb))
        h3 = self.down3(self.shrink2(h2), emb)
        h = self.middle2(self.middle1(h3, emb), emb)
        h = self.up3(torch.cat([h, h3], dim=1), emb)
        h = self.grow2(F.interpolate(h, scale_factor=2.0, mode="nearest"))
        h = self.attention2up(self.up2(torch.cat([h, h2], dim=1), emb))
        h = self.grow1(F.interpolate(h, scale_factor=2.0, mode="nearest"))
        h = self.up1(torch.cat([h, h1], dim=1), emb)
        return self.last(F.silu(self.norm(h)))


def images(folder: pathlib.Path) -> torch.Tensor:
    with gzip.open(folder / "train-images-idx3-ubyte.gz") as file:
        data = np.frombuffer(file.read(), dtype=np.uint8, offset=16).reshape(-1, 1, 28, 28)
    return torch.from_numpy(data.copy())


def export(model: nn.Module, out: pathlib.Path, config: dict) -> None:
    part = out / "model.onnx.part"
    model = model.eval().cpu()
    example = (torch.zeros(2, 1, 28, 28), torch.tensor([1, 2]))
    axes = {"sample": {0: "n"}, "timestep": {0: "n"}, "prediction": {0: "n"}}
    names = {"input_names": ["sample", "timestep"], "output_names": ["prediction"], "dynamic_axes": axes}
    torch.onnx.export(model, example, str(part), opset_version=17, dynamo=False, **names)
    part.rename(out / "model.onnx")
    (out / "config.json").write_text(json.dumps(config, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--minutes", type=float, default=45)
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("/usr/share/datasets/fashion-mnist"))
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    given.out.mkdir(parents=True, exist_ok=True)
    device = torch.device(given.device)
    data = images(given.data)
    model = UNet(given.channels).to(device, memory_format=torch.channels_last)
    mean = UNet(given.channels).to(device, memory_format=torch.channels_last)
    mean.load_state_dict(model.state_dict())
    kept = torch.cumprod(1 - torch.linspace(1e-4, 0.02, STEPS), 0).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=given.rate, weight_decay=0.0, betas=(0.9, 0.99))
    # Of the processor: what stops or slows this process takes nothing from the training.
    start, saved, step, loss_mean = time.process_time(), 0.0, 0, 1.0
    while True:
        past = (time.process_time() - start) / (60 * given.minutes)
        rate = min(1.0, (step + 1) / 200) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, past))))
        for group in optimizer.param_groups:
            group["lr"] = given.rate * rate
        chosen = torch.randint(len(data), (given.batch,))
        clean = (data[chosen].to(device).float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)
        timestep = torch.randint(STEPS, (given.batch,), device=device)
        noise = torch.randn_like(clean)
        part = kept[timestep].reshape(-1, 1, 1, 1)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            predicted = model(part.sqrt() * clean + (1 - part).sqrt() * noise, timestep)
        loss = F.mse_loss(predicted.float(), noise)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        decay = min(0.998, step / (step + 10))
        with torch.no_grad():
            for averaged, current in zip(mean.parameters(), model.parameters(), strict=True):
                averaged.lerp_(current, 1 - decay)
        loss_mean += (loss.item() - loss_mean) * max(0.01, 1 / step)
        if step % 50 == 0:
            print(f"step {step}, {time.process_time() - start:.0f} s, loss {loss_mean:.4f}", flush=True)
        done = past >= 1
        if done or time.process_time() - saved > 300:
            saved = time.process_time()
            torch.save(mean.state_dict(), given.out / "model.pt")
            copy = UNet(given.channels)
            copy.load_state_dict(mean.state_dict())
            schedule = {"schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02, "train_steps": STEPS}
            config = {**schedule, "prediction": "epsilon", "channels": given.channels, "steps_trained": step}
            export(copy, given.out, {**config, "minutes": round((saved - start) / 60), "loss": round(loss_mean, 4)})
        if done:
            return


if __name__ == "__main__":
    main()
