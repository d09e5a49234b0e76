"""How every figure of the page looks, and a sheet to draw on in points; it knows no number of ours."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import matplotlib
import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from benchmark.contracts import Array

INK, MUTED, GRID, BAND = "#111111", "#777777", "#dddddd", "#eeeeee"
"""Of text and lines, of what stands back, of grids, of areas: a page replaces them by its own."""
BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
"""Those of Okabe and Ito's set that stand out from white and from black alike."""
LINES: tuple[tuple[str, str, Any], ...] = (
    (BLUE, "o", "-"),
    (VERMILLION, "s", (0, (4, 1.5))),
    (GREEN, "^", (0, (6, 1.5, 1, 1.5))),
    (PURPLE, "D", (0, (1.5, 1))),
    (MUTED, "v", (0, (8, 2))),
    (INK, "P", (0, (1, 1.5))),
)
"""Colour, marker and dashes of the first, second, ... line of a figure; they begin again after the last."""
WIDTH = 520.0
"""Of a figure, in points."""
SIZE = 9.0
"""Of letters, in points."""
LINE = 12.0
"""Of a legend, in points."""
LEVELS = 10
"""Shades of a colour between nothing and all, that areas of `Sheet.cells` are drawn in."""
SHADE = 0.7
"""How opaque the darkest is: text must be readable on it, in ink on white and in white on black."""

RC: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "pdf.fonttype": 42,
    "font.family": "sans-serif",
    "font.size": SIZE,
    "text.parse_math": False,  # names of users may hold a $
    "figure.facecolor": "none",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.6,
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
}

Look = dict[str, Any]
"""What matplotlib's `plot` takes."""


def look_of_line(place: int) -> Look:
    """Return how the line at a place (from 0) looks."""
    colour, marker, dashes = LINES[place % len(LINES)]
    return {"color": colour, "marker": marker, "linestyle": dashes, "markersize": 4, "linewidth": 1.4}


@contextmanager
def style() -> Iterator[None]:
    """Draw and save as the page's figures look, whatever the user's own matplotlibrc says."""
    with matplotlib.style.context(["default", RC]):
        yield


def faint(colour: str, opacity: float) -> tuple[float, float, float, float]:
    """Return a colour that shows what is below."""
    return to_rgba(colour, opacity)


def shortened(text: str, width: float, size: float = SIZE) -> str:
    """Cut a text so that it takes at most `width` points."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text.rstrip() + "…"


@cache
def _letters(size: float, weight: str = "normal") -> FontProperties:
    """Return a font, made once: matplotlib takes long to make one."""
    return FontProperties(size=size, weight=weight)


def text_width(text: str, size: float = SIZE) -> float:
    """Estimate, rather too much, how wide a browser's sans-serif letters are."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return size * (0.55 * (len(text) - wide) + wide)


def segments(low: Array, high: Array, y: Array) -> tuple[Array, Array]:
    """Return coordinates of horizontal segments as those of one line with gaps: one path, not many."""
    gap = np.full(len(y), np.nan)
    return np.stack([low, high, gap], axis=1).ravel(), np.stack([y, y, gap], axis=1).ravel()


def legend_room(texts: Sequence[str], width: float = WIDTH - 4) -> float:
    """Return how many points a legend needs beyond its first line."""
    return LINE * _legend_places(texts, width)[-1][1]


def _legend_places(texts: Sequence[str], width: float) -> list[tuple[float, int]]:
    """Return how far right, and in which line, each entry of a legend stands."""
    places, right, line = [], 0.0, 0
    for text in texts:
        wide = 33 + text_width(text, 8)
        if right and right + wide > width + 12:
            right, line = 0.0, line + 1
        places.append((right, line))
        right += wide
    return places


def with_gaps(table: pd.DataFrame) -> tuple[Array, Array]:
    """Return all columns over the index as one line with gaps between them."""
    gap = np.full((1, table.shape[1]), np.nan)
    x = np.broadcast_to(table.index.to_numpy(float)[:, None], table.shape)
    return np.concatenate([x, gap]).T.ravel(), np.concatenate([table.to_numpy(float), gap]).T.ravel()


def small_ticks(axes: Axes) -> None:
    """Let axes have few ticks in small letters, and a faint grid."""
    axes.tick_params(labelsize=7, length=2.5)
    if axes.get_yscale() == "linear":
        axes.locator_params(axis="y", nbins=4)
    axes.grid(axis="y", clip_on=False)


@dataclass(frozen=True)
class Sheet:
    """A figure whose places are given in points from its top left corner."""

    figure: Figure
    canvas: Axes
    width: float
    height: float

    @classmethod
    def of(cls, height: float, width: float = WIDTH) -> Sheet:
        """Make an empty one."""
        figure = Figure(figsize=(width / 72, height / 72))  # not pyplot: it seeks a display
        canvas = figure.add_axes((0, 0, 1, 1))
        canvas.set_axis_off()
        canvas.set(xlim=(0, width), ylim=(height, 0))
        return cls(figure, canvas, width, height)

    def panel(self, left: float, top: float, width: float, height: float) -> Axes:
        """Add axes."""
        bottom = self.height - top - height
        place = (left / self.width, bottom / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(place)

    def write(self, x: float, y: float, text: str, size: float = SIZE, **look: Any) -> None:
        """Write text whose letters are centred on the height `y`."""
        letters = _letters(size, look.pop("weight", "normal"))
        self.canvas.text(x, y + 0.35 * size, text, fontproperties=letters, va="baseline", **look)

    def write_up(self, x: float, y: float, text: str, size: float = SIZE) -> None:
        """Write text upwards from the height `y`, its letters centred on `x`."""
        place, letters = (x + 0.35 * size, y), _letters(size)
        self.canvas.text(*place, text, fontproperties=letters, rotation=90, rotation_mode="anchor")

    def title(self, text: str, *, muted: bool) -> None:
        """Write above all; muted where the numbers are of no real data."""
        self.write(
            4, 10, shortened(text, self.width - 8, 11), 11, color=MUTED if muted else INK, weight="bold"
        )

    def legend(self, x: float, y: float, entries: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Write what signs mean; each has the look that `plot` takes. See `legend_room`."""
        places = _legend_places([text for text, _ in entries], self.width - x)
        for (text, look), (right, line) in zip(entries, places, strict=True):
            left, middle = x + right, y + LINE * line
            self.canvas.plot([left + 2, left + 9, left + 16], [middle] * 3, markevery=[1], **look)
            self.write(left + 21, middle, text, 8)

    def cells(self, matrix: Array, x: float, y: float, side: float, limit: float) -> None:
        """Draw a matrix as squares: blue above 0, vermillion below, fainter towards 0, nothing at nan.

        Neighbours of one shade are one rectangle. None is wholly opaque, so that ink is readable on each.
        """
        share = np.nan_to_num(matrix / limit).clip(-1, 1) if limit else np.zeros(matrix.shape)
        shades = np.rint(share * LEVELS).astype(int)
        for shade in np.unique(shades[shades != 0]):
            colour = faint(BLUE if shade > 0 else VERMILLION, SHADE * abs(int(shade)) / LEVELS)
            rows, first, last = _runs(shades == shade)
            path = _rectangles(x + side * first, y + side * rows, side * (last - first + 1), side)
            self.canvas.add_artist(PathPatch(path, facecolor=colour, edgecolor="none", antialiased=False))
        height, width = matrix.shape
        frame = _rectangles(np.array([x]), np.array([y]), np.array([side * width]), side * height)
        self.canvas.add_artist(PathPatch(frame, facecolor="none", edgecolor=MUTED, linewidth=0.6))

    def numbers(self, matrix: Array, x: float, y: float, side: float, decimals: int) -> None:
        """Write the entries of a matrix into its squares; nothing at nan."""
        texts = {place: f"{value:.{decimals}f}".replace("-", "−") for place, value in np.ndenumerate(matrix)}
        longest = max(text_width(text, 1.0) for text in texts.values())
        size = min(8.0, side / 2, 0.85 * side / longest)
        for (row, column), text in texts.items():
            if np.isfinite(matrix[row, column]):
                self.write(x + side * (column + 0.5), y + side * (row + 0.5), text, size, ha="center")


def _runs(chosen: Array) -> tuple[Array, Array, Array]:
    """Return row, first and last column of each horizontal run of chosen entries."""
    edges = np.diff(np.pad(chosen, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, first = np.nonzero(edges == 1)
    return rows, first, np.nonzero(edges == -1)[1] - 1


def _rectangles(x: Array, y: Array, width: Array, height: float) -> Path:
    left, right, top, bottom = x, x + width, y, y + height
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    return Path(np.transpose(corners, (2, 0, 1)).reshape(-1, 2), codes * len(x))
