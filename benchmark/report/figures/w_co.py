"""The learned label correlations beside those of the training labels; it knows nothing of learning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import floor, log10

import numpy as np

from benchmark.contracts import Array
from benchmark.report.figures.drawn import W_CO, Drawn, name_of
from benchmark.report.figures.style import WIDTH, Sheet, shortened, text_width
from benchmark.report.figures.words import (
    counted,
    dataset_title,
    is_look_alike,
    method_title,
    remarks,
    signed,
    traces_of,
)
from benchmark.report.gather import Material
from benchmark.tables.traces import Traces
from benchmark.words import one_line

VALUES_UP_TO = 10
"""Labels, of matrices that show each entry as a number."""
BESIDE_UP_TO = 16
"""Labels, of matrices that stand side by side."""
NAMED_UP_TO = 60
"""Labels that are named: more of them leave no place for letters."""
LEFT, TOP, BETWEEN, NAME, SCALE = 92.0, 48.0, 26.0, 78.0, 34.0
"""In points: place of the first matrix, between two, the longest name, the scale below a matrix."""


def learned_correlations(material: Material) -> Iterator[Drawn]:
    """Draw W_co of each method that has one, on each data set."""
    for dataset, method, traces in traces_of(material):
        if traces.w_co.size and np.isfinite(traces.w_co).any():
            yield _drawn(material, dataset, method, traces)


def _drawn(material: Material, dataset: str, method: str, traces: Traces) -> Drawn:
    learned, phi = traces.w_co.astype(float).mean(axis=0), traces.phi.astype(float)
    np.fill_diagonal(phi, np.nan)
    labels = [one_line(name) for name in material.datasets[dataset].label_names]
    title = f"{dataset_title(material, dataset)}: W_co of {method_title(material, method)} beside phi"
    return Drawn(
        name=name_of("w_co", dataset, method),
        group=W_CO,
        title=title,
        caption=_caption(material, dataset, method, traces),
        alt=_alt(material, dataset, method, labels, learned, phi),
        figure=_figure(title, labels, learned, phi, muted=is_look_alike(material, dataset)).figure,
    )


def _figure(title: str, labels: Sequence[str], learned: Array, phi: Array, *, muted: bool) -> Sheet:
    q = len(labels)
    beside, named = q <= BESIDE_UP_TO, q <= NAMED_UP_TO
    side = min(34.0, (WIDTH - LEFT - BETWEEN - 8) / 2 / q) if beside else min(14.0, (WIDTH - LEFT - 8) / q)
    size = min(8.0, 0.95 * side)
    names = [shortened(name, NAME, size) for name in labels] if named else []
    above = max([text_width(name, size) for name in names], default=0.0)
    block = above + q * side + SCALE
    second = (LEFT + q * side + BETWEEN, TOP) if beside else (LEFT, TOP + block + BETWEEN)
    sheet = Sheet.of(second[1] + block)
    sheet.title(title, muted=muted)
    panels = (
        ("W_co: effect of a label (row) on another (column)", learned, (LEFT, TOP)),
        ("phi coefficients of training labels", phi, second),
    )
    for place, (heading, matrix, (x, y)) in enumerate(panels):
        sheet.write(4 if x == LEFT else x, y - 18, heading, 8, weight="bold")
        y += above
        for at, name in enumerate(names):
            middle = side * (at + 0.5)
            sheet.write_up(x + middle, y - 4, name, size)
            if place == 0 or not beside:
                sheet.write(x - 5, y + middle, name, size, ha="right")
        limit = float(np.nanmax(np.abs(matrix), initial=0.0)) or 1.0
        sheet.cells(matrix, x, y, side, limit)
        if q <= VALUES_UP_TO:
            sheet.numbers(matrix, x, y, side, _decimals(limit))
        _draw_scale(sheet, x, y + q * side + 10, limit)
    return sheet


def _decimals(limit: float) -> int:
    """Return how many decimals show two digits of the largest entry, at least two and at most five."""
    return min(max(1 - floor(log10(limit)), 2), 5)


def _draw_scale(sheet: Sheet, x: float, y: float, limit: float) -> None:
    sheet.cells(np.linspace(-1, 1, 21)[None], x, y, 6, 1.0)
    for share, where in ((-1, 3), (0, 63), (1, 123)):
        sheet.write(x + where, y + 14, signed(share * limit, ".2g"), 7, ha="center")


def _caption(material: Material, dataset: str, method: str, traces: Traces) -> str:
    steps = material.results.steps
    chosen = (steps["dataset"] == dataset) & (steps["method"] == method)
    found = steps.loc[chosen & (steps["metric"] == "w_co_phi_spearman"), "value"].dropna()
    mean = signed(found.mean(), ".2f")
    agreement = f"Spearman's correlation of the two off the diagonal, mean over seeds: {mean}. "
    unnamed = "" if traces.phi.shape[0] <= NAMED_UP_TO else "There are too many labels to name them. "
    return (
        f"Mean over {counted(len(traces.seeds), 'seed')}. Blue: positive, orange: negative, the fainter the "
        "closer to 0; each matrix has a scale of its own, below it. The diagonal of phi, 1 by definition, is "
        f"left out. {agreement if len(found) else ''}{unnamed}{remarks(material, dataset)}"
    )


def _alt(
    material: Material, dataset: str, method: str, labels: Sequence[str], learned: Array, phi: Array
) -> str:
    apart = np.where(np.eye(len(labels), dtype=bool), np.nan, learned)
    of_what = f"W_co of {method_title(material, method)} on {dataset_title(material, dataset)}"
    if not np.isfinite(apart).any():
        return f"{of_what}: a single label, {signed(learned.flat[0], '.2g')}."
    most, least = (_entry(labels, apart, how(apart)) for how in (np.nanargmax, np.nanargmin))
    text = f"{of_what}: largest effect between two labels {most}, smallest {least}."
    if not np.isfinite(phi).any():
        return text
    most, least = (_entry(labels, phi, how(phi), " and ") for how in (np.nanargmax, np.nanargmin))
    return f"{text} Phi is largest for {most}, smallest for {least}."


def _entry(labels: Sequence[str], matrix: Array, flat: np.intp, between: str = " on ") -> str:
    row, column = np.unravel_index(flat, matrix.shape)
    names = (shortened(labels[int(place)], 200) for place in (row, column))
    return f"{between.join(names)} ({signed(matrix[row, column], '.2g')})"
