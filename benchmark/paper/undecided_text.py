"""Why cells are undecided, in a paragraph and a table; it decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan
from typing import Any

import pandas as pd

from benchmark.inference import ALPHA
from benchmark.paper.text import p_text
from benchmark.paper.undecided import BEYOND, MOST_REPETITIONS, NEAR, SPREAD, Causes, causes
from benchmark.tables import markdown, names
from benchmark.tables.layout import Block, Cell, Row, Table

COLUMNS = (
    *("printed ±", "ours ±", "margin", "shift", "90 % interval", "p", "what keeps it open"),
    *("margin ≥", "shift ≤ (reproduced)", "shift ≥ (different)"),
    *("printed ± ≤ (reproduced)", "printed ± ≤ (different)", "repetitions of both", "seeds of ours"),
)


def undecided_text(undecided: pd.DataFrame, source: str) -> str:
    """Return the Markdown."""
    parts = [f"# Why cells are undecided, from {source}"]
    if undecided.empty:
        return "\n\n".join([*parts, "No cell is undecided."]) + "\n"
    return (
        "\n\n".join([*parts, _paragraph(causes(undecided)), markdown.render(_table(undecided)).rstrip()])
        + "\n"
    )


def _paragraph(found: Causes) -> str:
    by = found.by_obstacle
    repeated = ", ".join(f"{count} by {n}" for n, count in found.decided_by.items())
    methods = ", ".join(f"{names.method_title(name)} {n}" for name, n in found.spread_by_method.items())
    rows = f" ({methods})" if methods else ""
    return (
        f"{found.cells} cells are neither reproduced nor significantly different. In {by[SPREAD]} the "
        f"spreads are so large that not even equal means would be called reproduced{rows}. In {by[BEYOND]} "
        "the shift is beyond the margin: no spread could make them reproduced, and the difference is not "
        f"significant after Holm's correction, though in {found.beyond_before_holm} of them it is before it. "
        f"In {by[NEAR]} the shift is inside the margin and its interval reaches out. Changing one thing "
        "alone: more seeds of ours, as the paper's ten repetitions remain, would decide "
        f"{found.by_ours_alone}; a smaller printed spread {found.by_spread_alone}; a wider margin would make "
        f"any of them reproduced, in the median at {found.median_margin_ratio:.1f} times its width. With the "
        f"same means and deviations, more repetitions of the paper and of us alike would decide: {repeated}."
    )


def _table(undecided: pd.DataFrame) -> Table:
    rows = []
    for cell in undecided.to_dict("records"):
        title = (
            names.dataset_title(cell["dataset"]),
            names.method_title(cell["method"]),
            names.METRIC_TITLES[cell["metric"]],
        )
        rows.append(Row(" ".join(title), tuple(Cell(text) for text in _texts(cell))))
    caption = (
        "Table U: What each undecided cell would need. Each of the last columns changes one number alone, "
        f"the others as they are, until a Welch TOST at {ALPHA} finds the shift inside the margin "
        "(reproduced) or Welch's test finds it at the level of Holm's correction (different); "
        f"none: no value does (of repetitions, up to {MOST_REPETITIONS:,})."
    )
    return Table("U", caption, (Block("cell", (), COLUMNS, tuple(rows)),))


def _texts(cell: Mapping[Any, Any]) -> tuple[str, ...]:
    repetitions = cell["repetitions_needed"]
    return (
        f"{cell['printed_std']:.3f}",
        f"{cell['ours_std']:.3f}",
        f"{cell['margin']:.4f}",
        f"{cell['shift']:+.4f}",
        f"{cell['low']:+.4f} to {cell['high']:+.4f}",
        p_text(cell["p_difference"]),
        cell["obstacle"],
        _number(cell["margin_needed"]),
        _number(cell["shift_reproduced"]),
        _number(cell["shift_different"]),
        _number(cell["spread_reproduced"]),
        _number(cell["spread_different"]),
        "none" if isnan(repetitions) else f"{repetitions:.0f}",
        cell["seeds_needed"],
    )


def _number(value: float) -> str:
    return "none" if isnan(value) else f"{value:.4f}"
