"""Writes the figure of the study; it decides nothing."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd

from benchmark.files import write_bytes
from benchmark.tables.effects_figure import effects_figure


def draw_ranking(ranking: pd.DataFrame, found: pd.DataFrame, title: str, path: Path) -> None:
    """Write what `effects_figure` draws as SVG.

    The same frames give the same file, byte by byte (with the same version of matplotlib).
    """
    import matplotlib

    drawn = io.BytesIO()
    # Any salt would do; with another one every id in the committed figures would change.
    with matplotlib.rc_context({"svg.hashsalt": "sensitivity", "font.size": 9, "axes.axisbelow": True}):
        figure = effects_figure(ranking, found, title)
        figure.savefig(drawn, format="svg", bbox_inches="tight", metadata={"Date": None})
    write_bytes(path, drawn.getvalue())
