"""Draws docs/perplexity-over-time.svg from the table of seconds in docs/results.md. Needs matplotlib."""
from pathlib import Path

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "crossblock"
import matplotlib.pyplot as plt

FULL_PRECISION = 18.456

docs = Path(__file__).resolve().parent.parent / "docs"
lines = (docs / "results.md").read_text().splitlines()
start = next(i for i, line in enumerate(lines) if line.startswith("| method | seconds"))
methods = {}
for line in lines[start + 2 :]:
    if not line.startswith("|"):
        break
    method, seconds, perplexity = [cell.strip() for cell in line.split("|")[1:-1]]
    methods.setdefault(method, []).append((float(seconds), float(perplexity)))

figure, axes = plt.subplots(figsize=(6.5, 3.4))
for method, points in methods.items():
    axes.plot(*zip(*sorted(points)), "o-", label=method, linewidth=1.5)
axes.axhline(FULL_PRECISION, color="grey", linewidth=1, linestyle="--", label="full precision")
axes.set_xscale("log")
axes.set_yscale("log")
axes.set_yticks([20, 25, 30, 40, 60, 80], ["20", "25", "30", "40", "60", "80"])
axes.minorticks_off()
axes.set_xticks([10, 30, 100, 300], ["10", "30", "100", "300"])
axes.set_xlabel("seconds on one GPU")
axes.set_ylabel("perplexity")
axes.legend(frameon=False, fontsize=8)
axes.spines[["top", "right"]].set_visible(False)
figure.tight_layout()
figure.savefig(docs / "perplexity-over-time.svg", metadata={"Date": None})
