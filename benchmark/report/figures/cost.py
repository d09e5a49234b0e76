"""What methods that acquire modalities one by one pay, against how good they are."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from matplotlib.axes import Axes

from benchmark.report.figures.drawn import COST, Drawn, name_of
from benchmark.report.figures.style import Look, Sheet, faint, legend_room, look_of_line, small_ticks
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
from benchmark.tables import names

QUALITIES = ("macro_auc", "example_f1")
LEFT, TOP, WIDE, HIGH, ACROSS = 46.0, 62.0, 200.0, 150.0, 260.0


def costs_against_quality(material: Material) -> Iterator[Drawn]:
    """Draw each data set on which some method acquires modalities one by one."""
    costs = material.results.acquisition
    if costs.empty:
        return
    keys = ["dataset", "method", "seed"]
    wide = costs.pivot_table(index=keys, columns="metric", values="value", sort=False)
    share = 100 * wide["cost_per_instance"] / wide["cost_of_all"]
    qualities = material.results.as_printed.pivot_table(
        index=keys, columns="metric", values="value", sort=False
    )
    seeds = qualities.assign(share=share).reset_index()
    for dataset in with_numbers(material):
        of_dataset = seeds[seeds["dataset"] == dataset]
        if of_dataset["share"].notna().any():
            yield _drawn(material, dataset, of_dataset)


def _compared(material: Material, seeds: pd.DataFrame) -> list[str]:
    """Return rows to compare with: the first that decodes with traces, and those that are called fair."""
    present = set(seeds.loc[seeds["share"].isna(), "method"])
    decoders = in_order(material, (method for _, method in material.results.traces))
    fair = [spec.id for spec in material.results.methods if spec.preset == "fair"]
    return [method for method in dict.fromkeys((*decoders[:1], *fair)) if method in present]


def _drawn(material: Material, dataset: str, seeds: pd.DataFrame) -> Drawn:
    acquiring = in_order(material, seeds.loc[seeds["share"].notna(), "method"])
    compared = _compared(material, seeds)
    looks = {
        method: look_of_line(place) | ({"linestyle": ""} if method in acquiring else {"marker": ""})
        for place, method in enumerate([*acquiring, *compared])
    }
    titles = [method_title(material, method) for method in looks]
    top = TOP + legend_room(titles)
    sheet = Sheet.of(top + HIGH + 36)
    title = f"{dataset_title(material, dataset)}: cost of modalities against quality"
    sheet.title(title, muted=is_look_alike(material, dataset))
    for place, metric in enumerate(QUALITIES):
        left = LEFT + ACROSS * place
        sheet.write(left, top - 12, names.metric_heading(metric), 8, weight="bold")
        _draw_panel(sheet.panel(left, top, WIDE, HIGH), seeds, metric, looks)
    sheet.legend(4, 28, list(zip(titles, looks.values(), strict=True)))
    return Drawn(
        name=name_of("cost", dataset),
        group=COST,
        title=title,
        caption=_caption(material, dataset, seeds, compared),
        alt=_alt(material, dataset, seeds, acquiring),
        figure=sheet.figure,
    )


def _draw_panel(axes: Axes, seeds: pd.DataFrame, metric: str, looks: dict[str, Look]) -> None:
    for method, look in looks.items():
        rows = seeds[seeds["method"] == method]
        mean = rows[metric].mean()
        if not look["marker"]:
            axes.axhline(mean, **look)
            continue
        faded = {**look, "color": faint(look["color"], 0.4), "markeredgewidth": 0}
        axes.plot(rows["share"], rows[metric], **faded, clip_on=False)
        axes.plot(rows["share"].mean(), mean, **{**look, "markersize": 8}, clip_on=False)
    axes.set_xlim(min(float(seeds["share"].min()), 95.0) - 2, max(float(seeds["share"].max()), 100.0) + 2)
    small_ticks(axes)
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel("cost paid per instance, % of the cost of all", fontsize=8)


def _caption(material: Material, dataset: str, seeds: pd.DataFrame, compared: list[str]) -> str:
    lines = joined(method_title(material, method) for method in compared) if compared else "none"
    number = counted(seeds["seed"].nunique(), "seed")
    return (
        f"Left is cheaper, up is better. Small signs: single seeds, of {number}; large ones: their mean. The "
        "cost counts each modality once for an instance, however many readings used it. Lines: means of "
        f"methods that need all modalities ({lines}). {remarks(material, dataset)}"
    )


def _alt(material: Material, dataset: str, seeds: pd.DataFrame, acquiring: list[str]) -> str:
    parts = []
    for method in acquiring:
        rows = seeds[seeds["method"] == method]
        qualities = joined(f"{names.METRIC_TITLES[metric]} {rows[metric].mean():.3f}" for metric in QUALITIES)
        parts.append(f"{method_title(material, method)} pays {rows['share'].mean():.0f} % at {qualities}")
    return f"Of the cost of all modalities of {dataset_title(material, dataset)}, {joined(parts)}."
