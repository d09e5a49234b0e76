"""A table as Markdown; it knows no number."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tabulate import tabulate

from benchmark.tables.layout import Block, Cell, Row, Table
from benchmark.tables.names import WCO
from benchmark.words import one_line

BELOW_RULE = "*not in the paper:*"
"""Markdown has no rule between rows, so a row of its own stands in for it."""
_MARKUP = re.compile(
    r"[\\`*~|$]"
    r"|\](?=[(\[:])"  # a link, an image or what they refer to
    r"|<(?=[A-Za-z/!?])"  # a tag or a link; `<0.001` is none
    r"|&(?=#?\w+;)"  # a character's name or number
    r"|(?<![^\W_])_"  # emphasis opens at a word's beginning only
)
_BLOCK = re.compile(r"^([#>+=-]|\[(?=[ xX]\]))|^(\d{1,9})(?=[.)](\s|$))")
"""What opens a heading, a quotation, a list or its box where a block may begin."""


def render(table: Table) -> str:
    """Return the table as GitHub-flavoured Markdown: caption, blocks, notes."""
    name, _, rest = table.caption.partition(":")
    caption = f"**{escape(name)}:** {escape(rest)}".rstrip()
    parts = [caption, *(_block(block) for block in table.blocks)]
    if table.notes:
        parts.append("\n".join(f"- {block_text(note)}" for note in table.notes))
    return "\n\n".join(parts) + "\n"


def escape(text: object) -> str:
    """Return text in one line that Markdown prints as it is; `names.WCO` alone stays mathematics."""
    return WCO.join(_MARKUP.sub(r"\\\g<0>", part) for part in one_line(text).split(WCO))


def block_text(text: object) -> str:
    """Return `escape`d text that stays a paragraph where a block may begin, as after a list's mark."""
    return _BLOCK.sub(lambda found: rf"\{found[1]}" if found[1] else f"{found[2]}\\", escape(text))


def grid(rows: Sequence[Sequence[object]], headers: Sequence[object]) -> str:
    """Return a pipe table of texts as they are, each cell `escape`d."""
    escaped = [[escape(cell) for cell in row] for row in rows]
    return pipe_table(escaped, [escape(header) for header in headers])


def pipe_table(rows: Sequence[Sequence[str]], headers: Sequence[str]) -> str:
    """Return a pipe table of cells that are Markdown."""
    # disable_numparse: tabulate would print 0.790 as 0.79.
    return tabulate(rows, headers=headers, tablefmt="pipe", disable_numparse=True)


def _block(block: Block) -> str:
    width = len(block.columns)
    columns = [escape(text) for text in (block.corner, *block.columns)]
    lines = [_line(row) for row in block.rows]
    if block.below_rule:
        lines += [[BELOW_RULE] + [""] * width, *(_line(row) for row in block.below_rule)]
    if not block.groups:
        return pipe_table(lines, columns)
    # One header line only: the groups stand in it, the columns in the first line below.
    spread = [text for group in block.groups for text in (escape(group.title), *[""] * (group.span - 1))]
    return pipe_table([["", *columns[1:]], *lines], [columns[0], *spread])


def _line(row: Row) -> list[str]:
    return [escape(row.title), *(_cell(cell) for cell in row.cells)]


def _cell(cell: Cell) -> str:
    text = escape(cell.text)
    if cell.grey:
        text = f"*{text}*"
    return f"**{text}**" if cell.bold else text
