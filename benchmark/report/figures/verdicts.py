"""What became of each printed cell, at a glance: methods by metrics; it takes verdicts as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pandas as pd
from matplotlib.patches import Rectangle

from benchmark.paper.text import MARKS
from benchmark.report.figures.drawn import FOREST, Drawn, name_of
from benchmark.report.figures.forest import LOOKS
from benchmark.report.figures.style import Sheet, faint, legend_room, shortened
from benchmark.report.figures.words import (
    counted,
    dataset_title,
    is_look_alike,
    joined,
    method_title,
    methods_of,
    remarks,
)
from benchmark.report.gather import Material
from benchmark.tables import names

LEFT, TOP, COLUMN, ROW = 96.0, 66.0, 41.5, 18.0
OPACITY = 0.3
"""Of a cell's colour: its mark is readable on it, in ink on white and in white on black."""


def verdict_grids(material: Material) -> Iterator[Drawn]:
    """Draw the verdicts of each data set that has numbers."""
    if material.verdicts.empty:
        return
    present = set(material.results.as_printed["dataset"])
    for dataset, rows in material.verdicts[~material.verdicts["repeats"]].groupby("dataset", sort=False):
        if dataset in present:
            yield _grid(material, str(dataset), rows)


def _grid(material: Material, dataset: str, rows: pd.DataFrame) -> Drawn:
    metrics = [metric for metric in names.METRIC_TITLES if metric in set(rows["metric"])]
    methods = [method for method in methods_of(material, dataset) if method in set(rows["method"])]
    kinds = [verdict for verdict in LOOKS if verdict in set(rows["verdict"])]
    legend = [f"{MARKS[verdict]} {verdict}" for verdict in kinds]
    top = TOP + legend_room(legend)
    sheet = Sheet.of(top + ROW * len(methods) + 6)
    title = f"{dataset_title(material, dataset)}: which printed numbers reproduce"
    sheet.title(title, muted=is_look_alike(material, dataset))
    looks = [{"color": LOOKS[verdict][0], "linewidth": 7, "alpha": OPACITY} for verdict in kinds]
    sheet.legend(4, 27, list(zip(legend, looks, strict=True)))
    for column, metric in enumerate(metrics):
        for line, word in enumerate(_two_lines(names.METRIC_TITLES[metric])):
            sheet.write(LEFT + COLUMN * (column + 0.5), top - 18 + 10 * line, word, 8, ha="center")
    for place, method in enumerate(methods):
        label = shortened(method_title(material, method), LEFT - 10, 8)
        sheet.write(LEFT - 6, top + ROW * (place + 0.5), label, 8, ha="right")
    for cell in rows.to_dict("records"):
        x = LEFT + COLUMN * metrics.index(cell["metric"])
        y = top + ROW * methods.index(cell["method"])
        colour = faint(LOOKS[cell["verdict"]][0], OPACITY)
        sheet.canvas.add_patch(Rectangle((x + 1, y + 1), COLUMN - 2, ROW - 2, facecolor=colour, linewidth=0))
        sheet.write(x + COLUMN / 2, y + ROW / 2, MARKS[cell["verdict"]], 9, ha="center", weight="bold")
    seeds = counted(int(rows["n_seeds"].max()), "seed")
    return Drawn(
        name=name_of("verdicts", dataset),
        group=FOREST,
        title=title,
        caption=f"One square for each printed mean, beside ours over {seeds}. Reproduced: equivalent within "
        "the margin; better or worse than printed: significantly so; undecided: neither can be shown. "
        + remarks(material, dataset, methods=rows["method"]),
        alt=_alt(material, dataset, rows, methods),
        figure=sheet.figure,
    )


def _two_lines(title: str) -> tuple[str, str]:
    """Split a metric's title into its two words, which the paper may write as one."""
    first, _, second = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", title).partition(" ")
    return first, second


def _alt(material: Material, dataset: str, rows: pd.DataFrame, methods: list[str]) -> str:
    parts = []
    for method in methods:
        counts = rows.loc[rows["method"] == method, "verdict"].value_counts(sort=False)
        said = joined(f"{counts[verdict]} {verdict}" for verdict in LOOKS if verdict in counts)
        parts.append(f"{method_title(material, method)}: {said}")
    return f"Printed cells of {dataset_title(material, dataset)} by method. {'; '.join(parts)}."
