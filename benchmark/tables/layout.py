"""A table before it is Markdown or LaTeX: text, emphasis and layout; it knows neither numbers nor formats."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """One printed cell."""

    text: str
    bold: bool = False
    grey: bool = False


@dataclass(frozen=True)
class Group:
    """A heading over several columns."""

    title: str
    span: int


@dataclass(frozen=True)
class Row:
    """A row's heading and its cells."""

    title: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Block:
    """A grid; wide tables are several blocks below one caption."""

    corner: str
    groups: tuple[Group, ...]
    """Headings over columns, their spans adding to the number of columns; may be empty."""
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    below_rule: tuple[Row, ...] = ()
    """Rows that are not the paper's."""


@dataclass(frozen=True)
class Table:
    """A caption, blocks, and notes below them. All text is plain, but for `names.WCO`."""

    number: str
    """As in the paper: I, II, III; ours: S (steps), C (cost), R (resources), D (another data set)."""
    caption: str
    blocks: tuple[Block, ...]
    notes: tuple[str, ...] = ()
