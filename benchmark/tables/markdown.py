"""A table as Markdown; it knows no number and no name."""

from __future__ import annotations

from tabulate import tabulate

from benchmark.tables.layout import Block, Cell, Row, Table

BELOW_RULE = "*not in the paper:*"
"""Markdown has no rule between rows, so a row of its own stands in for it."""


def render(table: Table) -> str:
    """Return the table as GitHub-flavoured Markdown: caption, blocks, notes."""
    name, _, rest = table.caption.partition(":")
    parts = [f"**{name}:**{rest}", *(_block(block) for block in table.blocks)]
    if table.notes:
        parts.append("\n".join(f"- {note}" for note in table.notes))
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> str:
    width = len(block.columns)
    columns = [block.corner, *block.columns]
    lines = [_line(row) for row in block.rows]
    if block.below_rule:
        lines += [[BELOW_RULE] + [""] * width, *(_line(row) for row in block.below_rule)]
    if block.groups:
        # One header line only: the groups stand in it, the columns in the first line below.
        spread = [text for group in block.groups for text in (group.title, *[""] * (group.span - 1))]
        header, body = [block.corner, *spread], [["", *block.columns], *lines]
    else:
        header, body = columns, lines
    # disable_numparse: tabulate would print 0.790 as 0.79.
    return tabulate(body, headers=header, tablefmt="pipe", disable_numparse=True)


def _line(row: Row) -> list[str]:
    return [row.title, *(_cell(cell) for cell in row.cells)]


def _cell(cell: Cell) -> str:
    text = f"*{cell.text}*" if cell.grey else cell.text
    return f"**{text}**" if cell.bold else text
