"""Draws docs/scaling.svg from the table of scaling in docs/performance.md. Needs matplotlib."""
from pathlib import Path

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "crossblock"
import matplotlib.pyplot as plt

docs = Path(__file__).resolve().parent.parent / "docs"
lines = (docs / "performance.md").read_text().splitlines()
start = next(i for i, line in enumerate(lines) if line.startswith("| blocks | windows | tokens"))
rows = []
for line in lines[start + 2 :]:
    if not line.startswith("|"):
        break
    blocks, windows, tokens, seconds = [cell.strip().replace(",", "") for cell in line.split("|")[1:-1]]
    rows.append((int(windows), int(tokens), float(seconds)))

fewest = min(windows for windows, _, _ in rows)
least = min(tokens for _, tokens, _ in rows)
figure, panels = plt.subplots(1, 2, figsize=(9, 3.2))
sizes = [
    ("windows", sorted((windows, seconds) for windows, tokens, seconds in rows if tokens == least)),
    ("calibration tokens", sorted((tokens, seconds) for windows, tokens, seconds in rows if windows == fewest)),
]
for axes, (label, points) in zip(panels, sizes):
    x, y = zip(*points)
    # Through the first and the last point: where the one between them would lie if time grew linearly.
    axes.plot([x[0], x[-1]], [y[0], y[-1]], color="grey", linewidth=1, linestyle="--", label="linear")
    axes.plot(x, y, "o", label="measured")
    axes.set_xlabel(label)
    axes.set_ylabel("seconds")
    axes.set_xlim(0)
    axes.set_ylim(0)
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
figure.tight_layout()
figure.savefig(docs / "scaling.svg", metadata={"Date": None})
