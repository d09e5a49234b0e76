"""Figures of the page, each with a caption and its main numbers in words; they judge nothing."""

from __future__ import annotations

from benchmark.report.figures.drawn import Drawn
from benchmark.report.figures.forest import forests
from benchmark.report.figures.seeds import seeds_by_method
from benchmark.report.figures.style import style
from benchmark.report.gather import Material

DRAWERS = (forests, seeds_by_method)
"""One for each heading, in the order of the page."""


def figures_of(material: Material) -> list[Drawn]:
    """Draw all there is something to draw of, in the order of the page."""
    with style():
        return [drawn for draw in DRAWERS for drawn in draw(material)]
