"""The ten metrics after each decoding step, of all methods that decode by steps; it knows none of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from benchmark.report.figures.drawn import STEPS, Drawn, name_of
from benchmark.report.figures.style import Sheet, faint, legend_room, look_of_line, small_ticks, with_gaps
from benchmark.report.figures.words import (
    counted,
    dataset_title,
    in_order,
    is_look_alike,
    joined,
    method_title,
    remarks,
    with_numbers,
)
from benchmark.report.gather import Material
from benchmark.score.metrics import METRICS
from benchmark.tables import names

COLUMNS = 5
PANEL, GAP, TOP, HIGH, PITCH = 68.0, 103.0, 58.0, 84.0, 128.0
LEFT = 34.0
TOLD = ("macro_auc", "example_f1")
"""Metrics whose numbers are told to somebody who cannot see the figure."""


def by_step(material: Material) -> Iterator[Drawn]:
    """Draw each data set of which some method has metrics by step."""
    steps = material.results.steps
    steps = steps[(steps["step"] > 0) & np.isfinite(steps["value"].astype(float))]
    for dataset in with_numbers(material):
        of_dataset = steps[steps["dataset"] == dataset]
        if len(of_dataset):
            yield _drawn(material, dataset, of_dataset)


def _drawn(material: Material, dataset: str, steps: pd.DataFrame) -> Drawn:
    methods = in_order(material, steps["method"])
    looks = {method: look_of_line(place) for place, method in enumerate(methods)}
    titles = [method_title(material, method) for method in methods]
    first = TOP + legend_room(titles)
    sheet = Sheet.of(first + PITCH * -(-len(METRICS) // COLUMNS) - 6)
    title = f"{dataset_title(material, dataset)}: metrics after each decoding step"
    sheet.title(title, muted=is_look_alike(material, dataset))
    tables = {
        (str(method), str(metric)): rows.pivot_table(index="step", columns="seed", values="value")
        for (method, metric), rows in steps.groupby(["method", "metric"], sort=False)
    }
    for place, metric in enumerate(METRICS):
        row, column = divmod(place, COLUMNS)
        left, top = LEFT + GAP * column, first + PITCH * row
        sheet.write(left, top - 10, names.metric_heading(metric.id), 8, weight="bold")
        axes = sheet.panel(left, top, PANEL, HIGH)
        for method in methods:
            table = tables.get((method, metric.id))
            if table is None:
                continue
            faded = faint(looks[method]["color"], 0.3)
            axes.plot(*with_gaps(table), color=faded, linewidth=0.6, clip_on=False)
            axes.plot(table.index, table.mean(axis=1), **looks[method], clip_on=False)
        small_ticks(axes)
        axes.set_xticks(range(1, int(steps["step"].max()) + 1))
    sheet.legend(4, 28, list(zip(titles, looks.values(), strict=True)))
    return Drawn(
        name=name_of("steps", dataset),
        group=STEPS,
        title=title,
        caption=_caption(material, dataset, steps),
        alt=_alt(material, dataset, methods, tables),
        figure=sheet.figure,
    )


def _caption(material: Material, dataset: str, steps: pd.DataFrame) -> str:
    seeds = counted(steps["seed"].nunique(), "seed")
    return (
        f"A decoder reads one modality a step; what it would predict after each step (horizontal) is scored "
        f"as the last is. Strong lines: mean of {seeds}; faint ones: single seeds. Each panel has a scale of "
        f"its own; the arrow says which side is better. {remarks(material, dataset)}"
    )


def _alt(
    material: Material, dataset: str, methods: list[str], tables: dict[tuple[str, str], pd.DataFrame]
) -> str:
    parts = []
    for metric in TOLD:
        for method in methods:
            if (method, metric) in tables:
                means = tables[method, metric].mean(axis=1)
                parts.append(
                    f"{method_title(material, method)} {means.iloc[0]:.3f} to {means.iloc[-1]:.3f} "
                    f"({names.METRIC_TITLES[metric]})"
                )
    return f"From the first to the last step on {dataset_title(material, dataset)}: {joined(parts)}."
