"""Draws docs/measurements/scaling.svg from the table of scaling in docs/measurements/speed.md. Needs matplotlib."""
import matplotlib.pyplot as plt

import figures

table = figures.table("speed.md", "| blocks | windows | tokens")[1]
rows = [
    (int(windows), int(tokens.replace(",", "")), float(seconds)) for _, windows, tokens, seconds in table
]

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
figures.save(figure, panels, "scaling.svg")
