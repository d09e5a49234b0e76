"""A table as a LaTeX document that pdflatex compiles; it knows no number."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.tables.layout import Block, Cell, Group, Row, Table
from benchmark.tables.names import WCO

# Written by hand: tabulate's booktabs format escapes \textbf, and has neither spanning headings nor rules
# between rows.
SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "±": r"$\pm$",
    "†": r"$^{\dagger}$",
    "‡": r"$^{\ddagger}$",
    "§": r"\S{}",
    "¶": r"\P{}",
    "–": "--",
    "—": "---",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "’": "'",
}
PREAMBLE = r"""% To use the table elsewhere, copy its table environment (packages: booktabs, xcolor).
\documentclass{article}
\usepackage[a3paper,margin=10mm]{geometry}
\usepackage{booktabs}
\usepackage{xcolor}
\pagestyle{empty}
\begin{document}
"""


def render(table: Table) -> str:
    """Return a complete document with one table environment."""
    caption = table.caption.removeprefix(f"Table {table.number}").lstrip(":, ")
    lines = [
        r"\begin{table}[t]",
        r"\centering\scriptsize\setlength{\tabcolsep}{3pt}\setlength{\belowcaptionskip}{6pt}",
        rf"\renewcommand{{\thetable}}{{{table.number}}}",
        rf"\caption{{{escape(caption)}}}",
    ]
    for block in table.blocks:
        lines += [*_block(block), r"\par\medskip"]
    if table.notes:
        lines += [r"\begin{flushleft}", *(escape(note) + r"\\" for note in table.notes), r"\end{flushleft}"]
    return PREAMBLE + "\n".join([*lines, r"\end{table}", r"\end{document}"]) + "\n"


def escape(text: str) -> str:
    """Escape LaTeX's special characters, and those that pdflatex has no glyph for.

    Characters outside ASCII that LaTeX is not known to set become `?`, so that a note of a user's own
    data set cannot stop the compilation.
    """
    return WCO.join("".join(map(_character, part)) for part in text.split(WCO))


def _character(character: str) -> str:
    if character in SPECIAL:
        return SPECIAL[character]
    # LaTeX composes Latin-1's accented letters itself, but has no Eth and Thorn in its default fonts.
    known = character.isascii() or ("À" <= character <= "ÿ" and character not in "ÐÞðþ÷")
    return character if known else "?"


def _block(block: Block) -> list[str]:
    width = len(block.columns)
    lines = [rf"\begin{{tabular}}{{l{'c' * width}}}", r"\toprule"]
    if block.groups:
        spans = [rf"\multicolumn{{{g.span}}}{{c}}{{{escape(g.title)}}}" for g in block.groups]
        lines += [_line(["", *spans]), _rules_below(block.groups)]
    headings = [escape(text) for text in (block.corner, *block.columns)]
    lines += [_line(headings), r"\midrule", *map(_row, block.rows)]
    if block.below_rule:
        heading = rf"\multicolumn{{{width + 1}}}{{l}}{{\textit{{not in the paper}}}} \\"
        lines += [r"\midrule", heading, *map(_row, block.below_rule)]
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def _rules_below(groups: Sequence[Group]) -> str:
    rules, first = [], 2
    for group in groups:
        rules.append(rf"\cmidrule(lr){{{first}-{first + group.span - 1}}}")
        first += group.span
    return "".join(rules)


def _row(row: Row) -> str:
    return _line([escape(row.title), *map(_cell, row.cells)])


def _line(texts: Sequence[str]) -> str:
    return " & ".join(texts) + r" \\"


def _cell(cell: Cell) -> str:
    text = escape(cell.text)
    if cell.grey:
        text = rf"\textcolor{{gray}}{{{text}}}"
    return rf"\textbf{{{text}}}" if cell.bold else text
