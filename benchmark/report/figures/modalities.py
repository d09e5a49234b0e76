"""Which modality is read, and which is attended to, at each step: overall and by label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.contracts import Array
from benchmark.report.figures.drawn import ATTENTION, READING, Drawn, name_of
from benchmark.report.figures.style import MUTED, WIDTH, Sheet, shortened, text_width
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
from benchmark.words import one_line

MOST_LABELS = 12
"""Panels by label; of more labels those that most instances have."""
LEFT, TOP, GAP = 44.0, 50.0, 16.0
LARGE, SMALL, READABLE = 26.0, 20.0, 14.0
"""Sides of squares, in points: of the panel over all, by label at most, and what a number needs."""
NAME = 60.0
"""The longest name of a modality, in points."""


@dataclass(frozen=True)
class Kind:
    """What the squares say."""

    group: str
    id: str
    title: str
    what: str


READ = Kind(
    READING,
    "reading",
    "what {} reads",
    "the share of test instances that read the modality (column) at the step (row), in per cent",
)
ATTENDED = Kind(
    ATTENTION,
    "attention",
    "attention of {}",
    "the mean weight, of (6), on the modality (column) at the step (row), in per cent",
)


def reading(material: Material) -> Iterator[Drawn]:
    """Draw the shares of test instances that read each modality at each step."""
    for dataset, method, traces in traces_of(material):
        found = (traces.reading, traces.reading_by_label)
        yield _drawn(material, dataset, method, READ, found, len(traces.seeds))


def attention(material: Material) -> Iterator[Drawn]:
    """Draw the mean weights of attention."""
    for dataset, method, traces in traces_of(material):
        found = (traces.attention, traces.attention_by_label)
        yield _drawn(material, dataset, method, ATTENDED, found, len(traces.seeds))


def _drawn(
    material: Material, dataset: str, method: str, kind: Kind, found: tuple[Array, Array], n_seeds: int
) -> Drawn:
    data = material.datasets[dataset]
    overall, by_label = (matrices.astype(float) for matrices in found)
    frequent = np.sort(np.argsort(-data.labels.mean(axis=0), kind="stable")[:MOST_LABELS])
    panels = [(one_line(data.label_names[label]), by_label[label]) for label in frequent]
    modalities = [one_line(name) for name in data.modality_names]
    title = f"{dataset_title(material, dataset)}: {kind.title.format(method_title(material, method))}"
    seeds = counted(n_seeds, "seed")
    some = f", the {MOST_LABELS} most frequent ones" if len(data.label_names) > MOST_LABELS else ""
    return Drawn(
        name=name_of(kind.id, dataset, method),
        group=kind.group,
        title=title,
        caption=f"A square is {kind.what}: of all test instances, and of those that have one of the labels"
        f"{some}. Mean over {seeds}. Each row adds up to 100; all panels have the same "
        f"columns and shades. {remarks(material, dataset)}",
        alt=_alt(title, modalities, overall),
        figure=_figure(title, modalities, overall, panels, muted=is_look_alike(material, dataset)).figure,
    )


def _figure(
    title: str, modalities: Sequence[str], overall: Array, panels: Sequence[tuple[str, Array]], *, muted: bool
) -> Sheet:
    m = len(modalities)
    large, small = (min(side, (WIDTH - LEFT - GAP) / m) for side in (LARGE, SMALL if m <= 4 else 12.0))
    names = [shortened(name, NAME, 8) for name in modalities]
    above = max(text_width(name, 8) for name in names) + 6
    columns = max(1, int((WIDTH - LEFT + GAP) // (m * small + GAP)))
    second = TOP + above + m * large + 34
    pitch = m * small + 24
    sheet = Sheet.of(second + pitch * -(-len(panels) // columns) - 6)
    sheet.title(title, muted=muted)
    sheet.write(4, TOP - 18, "all test instances", 8, weight="bold")
    sheet.write(4, second - 20, "test instances with the label", 8, weight="bold")
    limit = max(float(np.nanmax(matrix, initial=0.0)) for matrix in (overall, *(one for _, one in panels)))
    _draw_panel(sheet, overall, LEFT, TOP + above, large, limit)
    for at, name in enumerate(names):
        sheet.write_up(LEFT + large * (at + 0.5), TOP + above - 4, name, 8)
        sheet.write(LEFT - 5, TOP + above + large * (at + 0.5), f"step {at + 1}", 8, ha="right")
    for place, (label, matrix) in enumerate(panels):
        row, column = divmod(place, columns)
        x, y = LEFT + column * (m * small + GAP), second + row * pitch
        sheet.write(x, y - 8, shortened(label, m * small + GAP - 4, 8), 8)
        _draw_panel(sheet, matrix, x, y, small, limit)
        for at in range(m if column == 0 else 0):
            sheet.write(x - 5, y + small * (at + 0.5), f"step {at + 1}", min(8.0, small * 0.6), ha="right")
    return sheet


def _draw_panel(sheet: Sheet, matrix: Array, x: float, y: float, side: float, limit: float) -> None:
    sheet.cells(matrix, x, y, side, limit)
    if not np.isfinite(matrix).any():
        sheet.write(x + 2, y + side * len(matrix) / 2, "no instance", 7, color=MUTED)
    elif side >= READABLE:
        sheet.numbers(100 * matrix, x, y, side, 0)


def _alt(title: str, modalities: Sequence[str], overall: Array) -> str:
    steps = []
    for step, row in enumerate(overall, start=1):
        if np.isfinite(row).any():
            most = int(np.nanargmax(row))
            steps.append(f"step {step} {shortened(modalities[most], 200)} ({100 * row[most]:.0f} %)")
    return f"{title}. Most at {joined(steps)}." if steps else f"{title}: nothing is known."
