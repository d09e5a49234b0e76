"""Open choices sorted by their strongest effect, as a figure; it decides nothing and writes no file."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, isnan
from typing import TYPE_CHECKING, Any

import pandas as pd

from benchmark.tables import names

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOOKS = {
    "printed deviation": ("#009E73", "^"),
    "after training": ("#D55E00", "s"),
    "combination": ("#CC79A7", "D"),
}
"""Colour (of Okabe and Ito's set, told apart with any colour vision) and marker by kind of factor."""
TRAINED = ("#0072B2", "o")
LINEAR = 2.0
"""The axis is linear up to this many printed deviations, logarithmic beyond."""


def effects_figure(ranking: pd.DataFrame, found: pd.DataFrame, title: str) -> Figure:
    """Draw one line per factor, strongest on top; made for `font.size` 9 and `axes.axisbelow`.

    Parameters
    ----------
    ranking : DataFrame
        As `rank_factors` of the study of open choices returns it. A line shows the strongest effect with
        its 95 % interval, and names its level and metric.
    found : DataFrame
        As its `effects` returns it: the other levels' strongest effects are hollow.
    title : str
        Above the figure.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 0.27 * max(len(ranking), 1) + 1.6))  # not pyplot: it seeks a display
    axes = figure.subplots()
    axes.axvspan(-1, 1, color="0.93")
    axes.axvline(0, color="0.4", linewidth=0.8)
    for place, row in enumerate(ranking.to_dict("records")):
        _draw_factor(axes, place, row, _others(found, row))
    axes.set_yticks(range(len(ranking)), [str(name) for name in ranking["factor"]])
    axes.set_ylim(len(ranking) - 0.4, -0.6)
    _draw_scale(axes)
    axes.set_title(title, loc="left", fontsize=9)
    _draw_legend(axes, ranking)
    return figure


def _others(found: pd.DataFrame, row: Mapping[Any, Any]) -> list[float]:
    """Return the strongest effect of each other level of a factor."""
    part = found[
        (found["kind"] == row["kind"])
        & (found["factor"] == row["factor"])
        & (found["level"] != row["level"])
        & found["effect"].notna()
        & (found["n_pairs"] >= 2)
    ]
    strongest = part.loc[part["effect"].abs().groupby(part["level"], sort=False).idxmax()]
    return [float(value) for value in strongest["effect"]]


def _draw_factor(axes: Any, place: int, row: Mapping[Any, Any], others: list[float]) -> None:
    colour, marker = LOOKS.get(row["kind"], TRAINED)
    if isnan(row["effect"]):
        text = f"no effect measured: {row['n_without']} of {row['n_levels']} levels without two pairs"
        _annotate(axes, place, text)
        return
    if isfinite(row["effect_low"]):
        axes.plot((row["effect_low"], row["effect_high"]), (place, place), color=colour, linewidth=1.6)
    axes.plot(others, [place] * len(others), marker, markersize=4, fillstyle="none", color=colour)
    axes.plot(row["effect"], place, marker, markersize=6, color=colour)
    failed = f"; {row['n_without']} of {row['n_levels']} levels without effect" if row["n_without"] else ""
    _annotate(axes, place, f"{row['level']}, {names.METRIC_TITLES[row['metric']]}{failed}")


def _annotate(axes: Any, place: int, text: str) -> None:
    """Write right of the axes, at the height of a line; `$` would start mathematics."""
    plain = text.replace("$", r"\$")
    axes.annotate(plain, (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=8)


def _draw_scale(axes: Any) -> None:
    from matplotlib.ticker import FuncFormatter

    axes.set_xscale("symlog", linthresh=LINEAR)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    reach = max(abs(limit) for limit in (*axes.get_xlim(), LINEAR))
    axes.set_xlim(-reach, reach)
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if tick <= reach]
    axes.set_xticks([*(-tick for tick in reversed(ticks)), 0, *ticks])
    axes.grid(axis="x", color="0.85", linewidth=0.6)
    axes.set_xlabel("effect in printed standard deviations (left: worse, right: better; grey: within one)")


def _draw_legend(axes: Any, ranking: pd.DataFrame) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for kind in dict.fromkeys(ranking["kind"]):
        colour, marker = LOOKS.get(kind, TRAINED)
        handles.append(Line2D([], [], color=colour, marker=marker, linewidth=1.6, label=kind))
    handles.append(
        Line2D([], [], color="0.4", marker="o", fillstyle="none", linestyle="", label="other levels")
    )
    # Below the axis' label, a distance in points, so that no line can lie behind it.
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.0), "borderaxespad": 4.5, "frameon": False}
    axes.legend(handles=handles, ncols=len(handles), fontsize=8, **place)
