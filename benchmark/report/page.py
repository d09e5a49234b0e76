"""The page: one file that holds all of it, from templates beside this one; it decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from benchmark.paper.answer import answer
from benchmark.paper.text import VERDICT_RULE
from benchmark.report import views
from benchmark.report.cells import FAMILIES, FAMILY, METRIC_IDS, Cells
from benchmark.report.figures.drawn import Drawn, inline_svg, name_of
from benchmark.report.figures.lean import say_once
from benchmark.report.gallery import Gallery
from benchmark.report.gather import Material
from benchmark.report.words import anchor, title
from benchmark.tables import names

TEMPLATES = Path(__file__).parent / "templates"


def render(material: Material, figures: Sequence[Drawn], gallery: Gallery | None = None) -> str:
    """Return the page: HTML that asks for nothing outside it, the same for the same material.

    Parameters
    ----------
    material : Material
    figures : sequence of Drawn
        As `benchmark.report.figures.figures_of` returns them for the same material.
    gallery : Gallery, optional
        Single instances; where there is none, the page says how to get one.
    """
    cells = Cells(material)
    tables = views.tables(material, cells)
    drawings, looks = say_once([inline_svg(drawn) for drawn in figures])
    shown = {drawn.name: Markup(drawing) for drawn, drawing in zip(figures, drawings, strict=True)}
    return (
        _templates()
        .get_template("page.html")
        .render(
            material=material,
            answer=answer(material.verdicts, material.claims, material.beyond)
            if len(material.verdicts)
            else "",
            counts=views.counts(material),
            ran=views.ran(material),
            tables=tables,
            cells=cells.opened,
            claims=views.claims(material, cells),
            beyond=views.beyond(material),
            figures=[
                (group, list(drawn)) for group, drawn in groupby(figures, key=lambda drawn: drawn.group)
            ],
            shown=shown,
            looks=Markup(looks),
            crops={drawn.name: drawn.crops for drawn in figures if drawn.crops},
            choices=views.choices(material),
            rows=views.rows(material),
            findings=views.findings(material),
            marked=views.marked(material),
            gallery=gallery,
        )
    )


def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,  # a misspelt name must not become an empty cell
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["title"] = title
    environment.globals |= {
        "anchor": anchor,
        "seeds_name": lambda cell: name_of("seeds", cell.dataset, cell.metric),
        "verdict_rule": VERDICT_RULE,
        "families": FAMILIES,
        "family": FAMILY,
        "metrics": METRIC_IDS,
        "metric_titles": names.METRIC_TITLES,
        "metric_heading": names.metric_heading,
        "method_title": names.method_title,
        "dataset_title": names.dataset_title,
        "marks": {str(key): mark for key, mark in names.PROVENANCE_MARKS.items()},
        "provenances": {str(key): text for key, text in names.PROVENANCE_TEXTS.items()},
        "reconstructed_mark": names.RECONSTRUCTED_MARK,
        "style": Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),
        "script": Markup((TEMPLATES / "page.js").read_text(encoding="utf-8")),
    }
    return environment
