"""What the figures of docs/ share: the tables that they are drawn from, and how they are saved. Needs matplotlib."""
from pathlib import Path

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "crossblock"

DOCS = Path(__file__).resolve().parent.parent / "docs"


def table(document, beginning):
    """Header and rows, as lists of cells, of the first table of a document whose header begins so."""
    lines = iter((DOCS / document).read_text().splitlines())
    header = next(line for line in lines if line.startswith(beginning))
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append(_cells(line))
    return _cells(header), rows


def _cells(line):
    return [cell.strip() for cell in line.split("|")[1:-1]]


def save(figure, axes, name):
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(DOCS / name, metadata={"Date": None})
