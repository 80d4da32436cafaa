"""Draws docs/measurements/perplexity-over-time.svg from the tables of seconds in docs/measurements/accuracy.md. Needs matplotlib."""
import matplotlib.pyplot as plt

import figures

FULL_PRECISION = 18.456

methods = {}
for method, seconds, perplexity in figures.rows("accuracy.md", "| method | seconds"):
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
figures.save(figure, [axes], "perplexity-over-time.svg")
