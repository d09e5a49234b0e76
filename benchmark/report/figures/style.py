"""How every figure of the page looks, and a sheet to draw on in points; it knows no number of ours."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from benchmark.contracts import Array

INK, MUTED, GRID, BAND = "#111111", "#777777", "#dddddd", "#eeeeee"
"""Of text and lines, of what stands back, of grids, of areas: a page replaces them by its own."""
BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
"""Those of Okabe and Ito's set that stand out from white and from black alike."""
LINES = (
    (BLUE, "o", "-"),
    (VERMILLION, "s", "--"),
    (GREEN, "^", "-."),
    (PURPLE, "D", ":"),
    (MUTED, "v", (0, (6, 2))),
    (INK, "x", (0, (1, 1))),
)
"""Colour, marker and dashes of the first, second, ... line of a figure; they begin again after the last."""
WIDTH = 520.0
"""Of a figure, in points."""
SIZE = 9.0
"""Of letters, in points."""
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


def text_width(text: str, size: float = SIZE) -> float:
    """Estimate, rather too much, how wide a browser's sans-serif letters are."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return size * (0.55 * (len(text) - wide) + wide)


def segments(low: Array, high: Array, y: Array) -> tuple[Array, Array]:
    """Return coordinates of horizontal segments as those of one line with gaps: one path, not many."""
    gap = np.full(len(y), np.nan)
    return np.stack([low, high, gap], axis=1).ravel(), np.stack([y, y, gap], axis=1).ravel()


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
        self.canvas.text(x, y + 0.35 * size, text, fontsize=size, va="baseline", **look)

    def title(self, text: str, *, muted: bool) -> None:
        """Write above all; muted where the numbers are of no real data."""
        self.write(
            4, 10, shortened(text, self.width - 8, 11), 11, color=MUTED if muted else INK, weight="bold"
        )

    def legend(self, x: float, y: float, entries: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Write what signs mean, side by side; each has the look that `plot` takes."""
        for text, look in entries:
            self.canvas.plot([x + 2, x + 9, x + 16], [y, y, y], markevery=[1], **look)
            self.write(x + 21, y, text, 8)
            x += 33 + text_width(text, 8)

    def cells(self, matrix: Array, x: float, y: float, side: float, limit: float) -> None:
        """Draw a matrix as squares: blue above 0, vermillion below, fainter towards 0, nothing at nan.

        Squares of one shade are one path. None is wholly opaque, so that ink is readable on each.
        """
        rows, columns = np.indices((len(matrix), len(matrix.T)))
        share = np.nan_to_num(matrix / limit).clip(-1, 1) if limit else np.zeros(matrix.shape)
        shades = np.rint(share * LEVELS).astype(int)
        for shade in np.unique(shades[shades != 0]):
            chosen = shades == shade
            colour = faint(BLUE if shade > 0 else VERMILLION, SHADE * abs(int(shade)) / LEVELS)
            path = _squares(x + side * columns[chosen], y + side * rows[chosen], side)
            self.canvas.add_patch(PathPatch(path, facecolor=colour, edgecolor="none", antialiased=False))
        frame = _squares(np.array([x]), np.array([y]), side * matrix.shape[1], side * matrix.shape[0])
        self.canvas.add_patch(PathPatch(frame, facecolor="none", edgecolor=MUTED, linewidth=0.6))


def _squares(x: Array, y: Array, width: float, height: float | None = None) -> Path:
    height = width if height is None else height
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height), (0, 0)])
    places = np.stack([x, y], axis=-1)[:, None, :] + corners
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    return Path(places.reshape(-1, 2), codes * len(x))
