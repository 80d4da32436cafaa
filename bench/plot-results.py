"""Draws docs/perplexity.svg from the first table of docs/results.md. Needs matplotlib."""
import re
from pathlib import Path

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "crossblock"
import matplotlib.pyplot as plt

docs = Path(__file__).resolve().parent.parent / "docs"
lines = (docs / "results.md").read_text().splitlines()
start = next(i for i, line in enumerate(lines) if line.startswith("| | RTN"))
methods = [cell.strip() for cell in lines[start].split("|")[2:-1]]
rows = []
for line in lines[start + 2 :]:
    if not line.startswith("|"):
        break
    name, *cells = [cell.strip() for cell in line.split("|")[1:-1]]
    rows.append((name, [float(v) if (v := re.sub(r"[^0-9.]", "", cell)) else None for cell in cells]))

figure, axes = plt.subplots(figsize=(9, 3.6))
width = 0.8 / len(methods)
for m, method in enumerate(methods):
    points = [(r + (m - (len(methods) - 1) / 2) * width, values[m]) for r, (_, values) in enumerate(rows) if values[m]]
    axes.bar([x for x, _ in points], [y for _, y in points], width * 0.92, label=method)
axes.axhline(35.677, color="black", linewidth=1, linestyle="--", label="full precision")
axes.set_ylim(35, 44.5)
axes.set_ylabel("perplexity")
axes.set_xticks(range(len(rows)), [name.replace(" per channel", "\nper channel").replace(" g64", "\ng64") for name, _ in rows], fontsize=8)
axes.legend(fontsize=8, ncols=3, frameon=False)
axes.spines[["top", "right"]].set_visible(False)
figure.tight_layout()
figure.savefig(docs / "perplexity.svg", metadata={"Date": None})
