"""Each seed of each method beside what the paper prints, metric by metric; its rows can be shown alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, nan
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from benchmark.contracts import Array
from benchmark.report.figures.drawn import SEEDS, Crop, Drawn, name_of
from benchmark.report.figures.lean import PART
from benchmark.report.figures.style import BLUE, INK, MUTED, Sheet, faint, shortened
from benchmark.report.figures.words import (
    counted,
    dataset_title,
    is_look_alike,
    method_title,
    methods_of,
    remarks,
    with_numbers,
)
from benchmark.report.gather import Material
from benchmark.score.metrics import DIRECTIONS, METRICS
from benchmark.tables import names

LEFT, TOP, ROW, AXIS = 110.0, 38.0, 20.0, 20.0
GOLDEN = (5**0.5 - 1) / 2
SPREAD = 0.5
"""Share of a row's height over which its seeds lie."""
SEED: dict[str, Any] = {
    "marker": "o",
    "markersize": 5,
    "color": faint(INK, 0.5),
    "markeredgewidth": 0,
    "linestyle": "",
}
MEAN: dict[str, Any] = {
    "marker": "|",
    "markersize": 13,
    "color": BLUE,
    "markeredgewidth": 2.4,
    "linestyle": "",
}
PRINTED: dict[str, Any] = {"color": faint(MUTED, 0.35), "linewidth": 8, "solid_capstyle": "butt"}
PRINTED_MEAN: dict[str, Any] = {"markersize": 8, "markeredgecolor": MUTED}
CUT: dict[str, Any] = {"color": MUTED, "markersize": 5, "markeredgewidth": 0}
BEYOND = 0.4
"""How far a bar may reach beyond all dots and printed means, as a share of the width that these take."""


@dataclass(frozen=True)
class Row:
    """One method: values by seed, and the printed mean and deviation, nan where there is none."""

    method: str
    values: Mapping[int, float]
    mean: float
    std: float

    @property
    def ours(self) -> float:
        """The mean of the values."""
        return float(np.mean(list(self.values.values()))) if self.values else nan


def seeds_by_method(material: Material) -> Iterator[Drawn]:
    """Draw every metric of every data set that has numbers."""
    ours = material.results.as_printed
    ours = ours[np.isfinite(ours["value"].astype(float))]
    cells = {
        (str(dataset), str(method), str(metric)): dict(zip(rows["seed"], rows["value"], strict=True))
        for (dataset, method, metric), rows in ours.groupby(["dataset", "method", "metric"], sort=False)
    }
    printed = {
        (row["dataset"], row["method"], row["metric"]): (row["mean"], row["std"])
        for row in material.paper.cells.to_dict("records")
    }
    for dataset in with_numbers(material):
        for metric in METRICS:
            keys = [(dataset, method, metric.id) for method in methods_of(material, dataset)]
            rows = [Row(key[1], cells.get(key, {}), *printed.get(key, (nan, nan))) for key in keys]
            yield _drawn(material, dataset, metric.id, rows)


def _drawn(material: Material, dataset: str, metric: str, rows: Sequence[Row]) -> Drawn:
    height = ROW * len(rows)
    sheet = Sheet.of(TOP + height + AXIS + 4)
    title = f"{dataset_title(material, dataset)}: {names.metric_heading(metric)}"
    sheet.title(title, muted=is_look_alike(material, dataset))
    axes = sheet.panel(LEFT, TOP, sheet.width - LEFT - 20, height)
    axes.set(ylim=(len(rows), 0), yticks=[], xmargin=0.02)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    _draw_rows(axes, rows)
    for place, row in enumerate(rows):
        y = TOP + ROW * (place + 0.5)
        sheet.write(LEFT - 10, y, shortened(method_title(material, row.method), LEFT - 14), ha="right")
        if not row.values:
            free_left = row.mean > np.mean(axes.get_xlim())
            x, side = (LEFT + 4, "left") if free_left else (sheet.width - 24, "right")
            sheet.write(x, y, "no finished seed", 8, color=MUTED, ha=side)
    _legend(sheet, printed=any(isfinite(row.mean) for row in rows))
    crops = {row.method: _crop(place, sheet, TOP + ROW * place, ROW) for place, row in enumerate(rows)}
    return Drawn(
        name=name_of("seeds", dataset, metric),
        group=SEEDS,
        title=title,
        caption=_caption(material, dataset, metric, rows),
        alt=_alt(material, dataset, metric, rows),
        figure=sheet.figure,
        crops={**crops, "axis": _crop("axis", sheet, TOP + height - 1, AXIS + 5)},
    )


def _crop(part: object, sheet: Sheet, top: float, height: float) -> Crop:
    return Crop(f"{PART}{part}", f"0 {top:g} {sheet.width:g} {height:g}")


def jitter(seed: int) -> float:
    """Place a seed within a row by its number alone, -0.5 to 0.5."""
    return seed * GOLDEN % 1 - 0.5


def _draw_rows(axes: Axes, rows: Sequence[Row]) -> None:
    """Draw each row as a part of its own, so that a page can show it alone."""
    shown = [value for row in rows for value in (*row.values.values(), row.mean)]
    least, most = _reach(np.array(shown, dtype=float))
    axes.xaxis.set_gid(f"{PART}axis")
    for place, row in enumerate(rows):
        middle, low, high = place + 0.5, row.mean - row.std, row.mean + row.std
        looks: dict[str, Any] = {"gid": f"{PART}{place}", "clip_on": False}
        if isfinite(row.mean):
            axes.plot(np.clip((low, high), least, most), (middle, middle), **PRINTED, **looks)
            for end, marker, beyond in ((least, "<", low < least), (most, ">", high > most)):
                if beyond:
                    axes.plot(end, middle, marker, **CUT, **looks)
            axes.plot(row.mean, middle, "|", **PRINTED_MEAN, **looks)
        if row.values:
            heights = [middle + SPREAD * jitter(seed) for seed in row.values]
            axes.plot(list(row.values.values()), heights, **SEED, **looks)
            axes.plot(row.ours, middle, **MEAN, **looks)


def _reach(shown: Array) -> tuple[float, float]:
    """Return where bars end at the latest, so that one very wide bar leaves dots apart."""
    known = shown[np.isfinite(shown)]
    beyond = BEYOND * np.ptp(known) if known.size else 0.0
    return (float(known.min() - beyond), float(known.max() + beyond)) if beyond else (-inf, inf)


def _legend(sheet: Sheet, *, printed: bool) -> None:
    entries = [("one seed", SEED), ("our mean", MEAN)]
    if printed:
        bar = {**PRINTED, **PRINTED_MEAN, "marker": "|"}
        entries.append(("printed mean ± standard deviation", bar))
    sheet.legend(LEFT, 26, entries)


def _caption(material: Material, dataset: str, metric: str, rows: Sequence[Row]) -> str:
    most = max(len(row.values) for row in rows)
    better = "Right" if DIRECTIONS[metric] == "up" else "Left"
    bar = (
        " The grey bar is the printed mean ± standard deviation, where there is one, with an arrow where it "
        "goes on."
    )
    return (
        f"{better} is better. A dot is one of {counted(most, 'seed')}, moved up or down by its number alone "
        "so that dots are told apart; the upright line is their mean."
        f"{bar if any(isfinite(row.mean) for row in rows) else ''} "
        + remarks(material, dataset, methods=[row.method for row in rows])
    )


def _alt(material: Material, dataset: str, metric: str, rows: Sequence[Row]) -> str:
    of_what = f"{counted(len(rows), 'method')} on {dataset_title(material, dataset)}"
    title = f"{names.METRIC_TITLES[metric]} of {of_what}"
    shown = sorted((row for row in rows if row.values), key=lambda row: row.ours)
    if not shown:
        return f"{title}: no seed finished."
    best, worst = (shown[-1], shown[0]) if DIRECTIONS[metric] == "up" else (shown[0], shown[-1])
    ends = [f"{method_title(material, row.method)} at {row.ours:.3f}" for row in (best, worst)]
    compared = [row for row in shown if isfinite(row.mean)]
    inside = sum(abs(row.ours - row.mean) <= row.std for row in compared)
    text = f"{title}: best mean {ends[0]}, worst {ends[1]}."
    if not compared:
        return text
    return f"{text} {inside} of {len(compared)} means lie within the printed mean ± standard deviation."
