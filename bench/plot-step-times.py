"""Draws docs/step-time.svg from the first table of docs/performance.md. Needs matplotlib."""
import re
from pathlib import Path

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "crossblock"
import matplotlib.pyplot as plt

docs = Path(__file__).resolve().parent.parent / "docs"
lines = (docs / "performance.md").read_text().splitlines()
start = next(i for i, line in enumerate(lines) if line.startswith("| shape"))
header = [cell.strip() for cell in lines[start].split("|")[1:-1]]
rows = []
for line in lines[start + 2 :]:
    if not line.startswith("|"):
        break
    rows.append(dict(zip(header, (cell.strip() for cell in line.split("|")[1:-1]))))


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
axes.spines[["top", "right"]].set_visible(False)
figure.tight_layout()
figure.savefig(docs / "step-time.svg", metadata={"Date": None})
