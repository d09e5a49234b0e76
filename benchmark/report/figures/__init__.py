"""Figures of the page, each with a caption and its main numbers in words; they judge nothing."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from benchmark.report.figures.cost import costs_against_quality
from benchmark.report.figures.drawn import Drawn
from benchmark.report.figures.forest import forests
from benchmark.report.figures.loss import losses
from benchmark.report.figures.modalities import attention, reading
from benchmark.report.figures.of_other_rooms import (
    critical_differences,
    critical_differences_beyond,
    effects_of_choices,
)
from benchmark.report.figures.seeds import seeds_by_method
from benchmark.report.figures.steps import by_step
from benchmark.report.figures.style import style
from benchmark.report.figures.verdicts import verdict_grids
from benchmark.report.figures.w_co import learned_correlations
from benchmark.report.gather import Material

DRAWERS = (
    verdict_grids,
    forests,
    seeds_by_method,
    by_step,
    learned_correlations,
    reading,
    attention,
    losses,
    costs_against_quality,
    effects_of_choices,
    critical_differences,
    critical_differences_beyond,
)
"""In the order of the page."""


def figures_of(material: Material) -> list[Drawn]:
    """Draw all there is something to draw of, in the order of the page, of the data sets shown in detail."""
    shown = _in_detail(material)
    with style():
        return [drawn for draw in DRAWERS for drawn in draw(shown)]


def _in_detail(material: Material) -> Material:
    """Leave out the numbers of other data sets than those shown in detail."""
    datasets = frozenset(material.in_detail)

    def of_them(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["dataset"].isin(datasets)] if len(frame) else frame

    results = replace(
        material.results,
        as_printed=of_them(material.results.as_printed),
        steps=of_them(material.results.steps),
        acquisition=of_them(material.results.acquisition),
        traces={pair: trace for pair, trace in material.results.traces.items() if pair[0] in datasets},
    )
    return replace(material, results=results, verdicts=of_them(material.verdicts))
