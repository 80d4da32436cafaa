"""Draws docs/measurements/step-time.svg from the first table of docs/measurements/speed.md. Needs matplotlib."""
import re

import matplotlib.pyplot as plt

import figures

header, table = figures.table("speed.md", "| shape")
rows = [dict(zip(header, cells)) for cells in table]


def milliseconds(cell):
    number = re.match(r"[\d.]+(?= ms)", cell)
    return float(number[0]) if number else None


series = ["roof", "our step", "torch.compile", "PyTorch eager"]
figure, axes = plt.subplots(figsize=(9, 3.6))
width = 0.8 / len(series)
for s, name in enumerate(series):
    points = [(r + (s - (len(series) - 1) / 2) * width, milliseconds(row[name])) for r, row in enumerate(rows)]
    points = [(x, y) for x, y in points if y is not None]
    axes.bar([x for x, _ in points], [y for _, y in points], width * 0.92, label=name)
    for x, y in points:
        axes.annotate(f"{y:g}", (x, y), ha="center", va="bottom", fontsize=6)
axes.set_yscale("log")
axes.set_ylabel("ms per step (log)")
axes.set_xticks(range(len(rows)), [f"{r['shape']} {r['scheme']}\n{r['rounding']}, {r['tokens']} tokens" for r in rows], fontsize=7)
axes.legend(fontsize=7, ncols=4, loc="upper left")
figures.save(figure, [axes], "step-time.svg")
