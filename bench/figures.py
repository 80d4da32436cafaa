"""What the figures of docs/measurements/ share: the tables that they are drawn from, and how they are saved. Needs matplotlib."""
from pathlib import Path

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "crossblock"

PAGES = Path(__file__).resolve().parent.parent / "docs" / "measurements"


def table(document, beginning):
    """Header and rows, as lists of cells, of the first table of a document whose header begins so."""
    lines = iter((PAGES / document).read_text().splitlines())
    header = next(line for line in lines if line.startswith(beginning))
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append(_cells(line))
    return _cells(header), rows


def rows(document, beginning):
    """The rows of all tables of a document whose header begins so."""
    found, inside = [], False
    for line in (PAGES / document).read_text().splitlines():
        if line.startswith(beginning):
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and not line.startswith("|---"):
            found.append(_cells(line))
    return found


def _cells(line):
    return [cell.strip() for cell in line.split("|")[1:-1]]


def save(figure, axes, name):
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(PAGES / name, metadata={"Date": None})
