"""A figure with its words, and its forms: SVG inside a page, SVG and PDF for papers; it draws nothing."""

from __future__ import annotations

import io
import re
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from matplotlib.figure import Figure

from benchmark.files import write_bytes
from benchmark.report.figures.lean import fill
from benchmark.report.figures.style import style
from benchmark.words import one_line

GROUPS = (
    "Ours against the printed numbers",
    "Seeds by method",
    "After each decoding step",
    "What W_co learned",
    "Which modality is read when",
    "Attention",
    "Training loss",
    "Cost against quality",
    "What the open choices do",
    "Critical differences",
    "Critical differences on other real data sets",
)
"""Headings, in the order of the page."""
FOREST, SEEDS, STEPS, W_CO, READING, ATTENTION, LOSS, COST, CHOICES, RANKS, BEYOND = GROUPS

PIXELS = 4 / 3
"""Of a screen, in a point."""


@dataclass(frozen=True)
class Crop:
    """A part of a figure that a page shows alone."""

    part: str
    """The gid of what is drawn there, which begins with `benchmark.report.figures.lean.PART`."""
    box: str
    """Where it is: a `viewBox`."""


@dataclass(frozen=True)
class Drawn:
    """A figure, and what is said of it."""

    name: str
    """Its id in a page and the name of its files."""
    group: str
    """One of `GROUPS`."""
    title: str
    caption: str
    alt: str
    """What it shows, with its main numbers, for somebody who cannot see it."""
    figure: Figure
    crops: Mapping[str, Crop] = field(default_factory=dict)
    """Of seeds by method: each method's row by its id, and the axis as `axis`."""

    @cached_property
    def svg(self) -> bytes:
        """As matplotlib writes it, on white."""
        return _rendered(self.figure, "svg", "Date")


def name_of(*parts: str) -> str:
    """Join parts to a name that is safe as an id and as a file's name, and another one for other parts."""
    return "-".join(map(_safe, parts))


def _safe(part: str) -> str:
    """Keep what is safe; a part that is not gets a digest of itself, so that no two become one."""
    kept = re.sub(r"[^A-Za-z0-9_-]", "-", part)[:40]
    return kept if kept == part else f"{kept}-{zlib.crc32(part.encode('utf-8', 'surrogatepass')):08x}"


def save(drawn: Drawn, folder: Path) -> list[Path]:
    """Write a figure as SVG and PDF on white; the same figure gives the same bytes.

    A PDF takes a third of a second: publishers want fonts of a kind (Type 42) that are slow to embed.
    """
    contents = {"svg": drawn.svg, "pdf": _rendered(drawn.figure, "pdf", "CreationDate")}
    paths = [folder / f"{drawn.name}.{kind}" for kind in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        write_bytes(path, content)
    return paths


def _rendered(figure: Figure, kind: str, date: str) -> bytes:
    content = io.BytesIO()
    with style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # a browser has more letters
        figure.savefig(content, format=kind, metadata={date: None}, facecolor="white")
    return content.getvalue()


def inline_svg(drawn: Drawn) -> str:
    """Return the figure as an element of a page: in the page's colours, its ids its own, and small.

    A part has the id NAME-GID, so that a page can show it again.
    """
    root = ElementTree.fromstring(drawn.svg)
    box, label, description = root.get("viewBox", ""), f"{drawn.name}-title", f"{drawn.name}-desc"
    looks = {
        "role": "img",
        "aria-labelledby": f"{label} {description}",
        "viewBox": box,
        "style": f"width:100%;max-width:{float(box.split()[2]) * PIXELS:.0f}px;height:auto",
    }
    svg = Element("svg", looks)
    SubElement(svg, "title", {"id": label}).text = one_line(drawn.title)
    SubElement(svg, "desc", {"id": description}).text = one_line(drawn.alt)
    fill(SubElement(svg, "g"), root, drawn.name)
    return ElementTree.tostring(svg, encoding="unicode")
