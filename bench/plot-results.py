"""Draws docs/measurements/perplexity.svg from the table of roundings in docs/measurements/ablations.md. Needs matplotlib."""
import re

import matplotlib.pyplot as plt

import figures

header, table = figures.table("ablations.md", "| | RTN")
methods = header[1:]
rows = [
    (name, [float(v) if (v := re.sub(r"[^0-9.]", "", cell)) else None for cell in cells]) for name, *cells in table
]

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
figures.save(figure, [axes], "perplexity.svg")
