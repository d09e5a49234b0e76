"""Ours against each printed number, in units of the margin; it takes verdicts as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from benchmark.paper.verdicts import BETTER, LEAKED, NOT_COMPARABLE, REBUILT, REPRODUCED, UNDECIDED, WORSE
from benchmark.report.figures.drawn import FOREST, Drawn, name_of
from benchmark.report.figures.style import (
    BAND,
    BLUE,
    GREEN,
    INK,
    MUTED,
    PURPLE,
    VERMILLION,
    Sheet,
    segments,
    shortened,
)
from benchmark.report.figures.words import (
    counted,
    dataset_title,
    is_look_alike,
    joined,
    method_title,
    remarks,
    signed,
)
from benchmark.report.gather import Material
from benchmark.tables import names

LOOKS = {
    REPRODUCED: (GREEN, "o"),
    REBUILT: (GREEN, "o"),
    LEAKED: (GREEN, "P"),
    BETTER: (BLUE, ">"),
    WORSE: (VERMILLION, "<"),
    UNDECIDED: (PURPLE, "D"),
    NOT_COMPARABLE: (MUTED, "o"),
}
"""Colour and marker of a verdict; a cell that is not comparable is hollow."""
LEFT, TOP, ROW, HEADING = 128.0, 40.0, 11.0, 19.0
LINEAR = 2.0
"""The axis is linear up to so many margins, logarithmic beyond."""
TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def forests(material: Material) -> Iterator[Drawn]:
    """Draw all distinct printed cells of each data set that has numbers."""
    if material.verdicts.empty:
        return
    present = set(material.results.as_printed["dataset"])
    for dataset, rows in material.verdicts[~material.verdicts["repeats"]].groupby("dataset", sort=False):
        if dataset in present and rows["ours_mean"].notna().any():  # else every job failed
            yield _forest(material, str(dataset), _in_margins(rows))


def _in_margins(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the difference and the ends of its interval, right is better, in margins."""
    scale = rows["direction"].map({"up": 1.0, "down": -1.0}) / rows["margin"]
    # A cell that was not tested has no difference, but may have a mean to show.
    middle = (rows["ours_mean"] - rows["centre"]) * scale
    ends = np.sort(np.stack([rows["low"] * scale, rows["high"] * scale]), axis=0)
    return rows.assign(middle=middle, left=ends[0], right=ends[1])


def _forest(material: Material, dataset: str, rows: pd.DataFrame) -> Drawn:
    metrics = [metric for metric in names.METRIC_TITLES if metric in set(rows["metric"])]
    height = len(rows) * ROW + len(metrics) * HEADING
    sheet = Sheet.of(TOP + height + 44)
    title = f"{dataset_title(material, dataset)}: ours minus printed, in margins"
    sheet.title(title, muted=is_look_alike(material, dataset))
    axes = sheet.panel(LEFT, TOP, sheet.width - LEFT - 14, height)
    places: dict[Any, float] = {}
    y = 0.0
    for metric in metrics:
        sheet.write(4, TOP + y + HEADING / 2 + 2, names.METRIC_TITLES[metric], weight="bold")
        y += HEADING
        for index, method in rows.loc[rows["metric"] == metric, "method"].items():
            places[index] = y + ROW / 2
            label = shortened(method_title(material, method), LEFT - 20, 8)
            sheet.write(LEFT - 8, TOP + y + ROW / 2, label, 8, ha="right")
            y += ROW
    rows = rows.assign(y=pd.Series(places))
    _draw_scale(axes, rows, height)
    _draw_cells(axes, rows)
    present = [verdict for verdict in LOOKS if verdict in set(rows["verdict"])]
    sheet.legend(4, 27, [(verdict, _look(verdict)) for verdict in present])
    return Drawn(
        name=name_of("forest", dataset),
        group=FOREST,
        title=title,
        caption=_caption(material, dataset, rows),
        alt=_alt(material, dataset, rows),
        figure=sheet.figure,
    )


def _look(verdict: str) -> dict[str, Any]:
    colour, marker = LOOKS[verdict]
    look = {"color": colour, "marker": marker, "markersize": 4.5, "markeredgewidth": 1.0, "linewidth": 1.3}
    hollow = {"markerfacecolor": "none", "linestyle": ""}
    return {**look, **hollow} if verdict == NOT_COMPARABLE else look


def _draw_cells(axes: Axes, rows: pd.DataFrame) -> None:
    for verdict, of_verdict in rows.groupby("verdict", sort=False):
        look = _look(str(verdict))
        ends = (of_verdict[column].to_numpy() for column in ("left", "right", "y"))
        axes.plot(*segments(*ends), color=look["color"], linewidth=1.3, solid_capstyle="butt")
        axes.plot(of_verdict["middle"], of_verdict["y"], **{**look, "linestyle": ""})


def _draw_scale(axes: Axes, rows: pd.DataFrame, height: float) -> None:
    axes.set_xscale("symlog", linthresh=LINEAR)
    found = rows[["middle", "left", "right"]].to_numpy()
    found = found[np.isfinite(found)]
    low, high = min(-LINEAR, *found * 1.05), max(LINEAR, *found * 1.05)
    axes.set(xlim=(low, high), ylim=(height, 0), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.axvspan(-1, 1, color=BAND, linewidth=0)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    ticks = [0, *(sign * tick for tick in TICKS for sign in (-1, 1))]
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
    axes.grid(axis="x")
    axes.set_xlabel("← worse · difference in margins · better →", color=INK)


def _caption(material: Material, dataset: str, rows: pd.DataFrame) -> str:
    seeds = int(rows["n_seeds"].max())
    return (
        f"Each row is a printed cell: the mean of {counted(seeds, 'seed')} minus the printed number, with "
        "its 90 % interval, in units of the margin that counts as reproduced (the grey band). Right is "
        "better, also where less is better. An interval inside the band is reproduced; hollow: not "
        "comparable, mean alone. "
        f"Linear up to {LINEAR:g} margins, logarithmic beyond. "
        + remarks(material, dataset, methods=rows["method"])
    )


def _alt(material: Material, dataset: str, rows: pd.DataFrame) -> str:
    counts = rows["verdict"].value_counts(sort=False)
    said = joined(f"{counts[verdict]} {verdict}" for verdict in LOOKS if verdict in counts)
    text = f"{len(rows)} printed cells of {dataset_title(material, dataset)}: {said}."
    shown = rows[rows["middle"].notna()]
    if shown.empty:
        return f"{text} None has a mean of ours."
    inside = int((shown["middle"].abs() <= 1).sum())
    cells = sorted(shown.to_dict("records"), key=lambda cell: cell["middle"])
    least, most = (_end(material, cell) for cell in (cells[0], cells[-1]))
    return f"{text} {inside} of {len(shown)} means lie within one margin; they reach from {least} to {most}."


def _end(material: Material, cell: Mapping[Any, Any]) -> str:
    where = f"{method_title(material, cell['method'])}, {names.METRIC_TITLES[cell['metric']]}"
    return f"{signed(cell['middle'], '+.1f')} margins ({where})"
