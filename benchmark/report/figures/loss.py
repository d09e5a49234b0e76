"""The training loss by epoch, a panel for each method."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmark.report.figures.drawn import LOSS, Drawn, name_of
from benchmark.report.figures.style import BLUE, Look, Sheet, faint, shortened, small_ticks, with_gaps
from benchmark.report.figures.words import (
    counted,
    dataset_title,
    is_look_alike,
    joined,
    method_title,
    remarks,
    traces_of,
)
from benchmark.report.gather import Material
from benchmark.tables.traces import Traces

COLUMNS = 2
LEFT, TOP, WIDE, HIGH, ACROSS, DOWN = 46.0, 48.0, 200.0, 110.0, 260.0, 168.0
LOGARITHMIC_FROM = 10.0
"""Ratio of the largest to the smallest loss from which on the axis is logarithmic."""


def losses(material: Material) -> Iterator[Drawn]:
    """Draw each data set of which some method keeps its losses."""
    by_dataset: dict[str, dict[str, Traces]] = {}
    for dataset, method, traces in traces_of(material):
        if np.isfinite(traces.loss).any():
            by_dataset.setdefault(dataset, {})[method] = traces
    for dataset, of_methods in by_dataset.items():
        yield _drawn(material, dataset, of_methods)


def _drawn(material: Material, dataset: str, of_methods: dict[str, Traces]) -> Drawn:
    rows = -(-len(of_methods) // COLUMNS)
    sheet = Sheet.of(TOP + DOWN * rows - 16)
    title = f"{dataset_title(material, dataset)}: training loss"
    sheet.title(title, muted=is_look_alike(material, dataset))
    parts = []
    for place, (method, traces) in enumerate(of_methods.items()):
        row, column = divmod(place, COLUMNS)
        left, top = LEFT + ACROSS * column, TOP + DOWN * row
        name = method_title(material, method)
        sheet.write(left, top - 10, shortened(name, WIDE, 8), 8, weight="bold")
        mean = _draw_panel(sheet, traces, left, top)
        parts.append(
            f"{name} from {mean.iloc[0]:.4g} at epoch {mean.index[0]} to {mean.iloc[-1]:.4g} at epoch "
            f"{mean.index[-1]}"
        )
    seeds = counted(max(len(traces.seeds) for traces in of_methods.values()), "seed")
    return Drawn(
        name=name_of("loss", dataset),
        group=LOSS,
        title=title,
        caption=f"Mean loss of an epoch: the strong line is the mean of {seeds}, faint lines single seeds; a "
        "seed that stopped early no longer enters. Methods may sum up different terms, so panels have scales "
        f"of their own. {remarks(material, dataset)}",
        alt=f"Mean training loss on {dataset_title(material, dataset)}: {joined(parts)}.",
        figure=sheet.figure,
    )


def _draw_panel(sheet: Sheet, traces: Traces, left: float, top: float) -> pd.Series:
    """Draw one method, and return the mean over seeds by epoch."""
    axes = sheet.panel(left, top, WIDE, HIGH)
    table = pd.DataFrame(traces.loss.T.astype(float), index=traces.epochs.astype(int))
    mean = table.mean(axis=1).dropna()
    marker: Look = {"marker": "o", "markersize": 3} if len(mean) < 5 else {}
    axes.plot(*with_gaps(table), color=faint(BLUE, 0.35), linewidth=0.6, clip_on=False)
    axes.plot(mean.index, mean, color=BLUE, linewidth=1.5, clip_on=False, **marker)
    least, most = np.nanmin(table), np.nanmax(table)
    if least > 0 and most / least >= LOGARITHMIC_FROM:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=5))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    small_ticks(axes)
    axes.locator_params(axis="x", nbins=6, integer=True)
    axes.set_xlabel("epoch", fontsize=8)
    return mean
