"""A table as a LaTeX document that every engine compiles; it knows no number."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from benchmark.tables.layout import Block, Cell, Group, Row, Table
from benchmark.tables.names import WCO
from benchmark.words import in_ascii, one_line

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
    "|": r"\textbar{}",
    "[": "{[}",  # after the end of a row these two would be its arguments
    "*": "{*}",
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
    "‘": "`",
    "“": "``",
    "”": "''",
    "…": r"\dots{}",
    "−": "$-$",
    "→": r"$\rightarrow$",
    "←": r"$\leftarrow$",
    "°": r"$^{\circ}$",
    "µ": r"$\mu$",  # the sign of micro
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
}
GREEK = (
    r"\alpha\beta\gamma\delta\epsilon\zeta\eta\theta\iota\kappa\lambda\mu\nu\xi\pi\rho\sigma\tau\upsilon\phi\chi\psi"
    r"\omega\Gamma\Delta\Theta\Lambda\Xi\Pi\Sigma\Upsilon\Phi\Psi\Omega"
)
SPECIAL |= {
    letter: rf"$\{name}$"
    for letter, name in zip("αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩ", GREEK[1:].split("\\"), strict=True)
}
ACCENTS = dict(
    zip(
        "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327",
        "`'^~=u.\"rHvc",
        strict=True,
    )
)
"""Combining characters, and the commands that set them in every font."""
UNKNOWN = r"""% pdflatex's fonts lack some characters of this table; it prints what stands for them here.
% To see them, compile with lualatex or xelatex and name a font that has them:
% \usepackage{fontspec} \setmainfont{...}"""
PREAMBLE = r"""% To use the table elsewhere, copy its table environment (packages: booktabs, xcolor).
\documentclass{article}
\usepackage[a3paper,margin=10mm]{geometry}
\usepackage{booktabs}
\usepackage{xcolor}
\pagestyle{empty}
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
    lines.append(r"\end{table}")
    document = [*_declarations("".join(lines)), r"\begin{document}", *lines, r"\end{document}"]
    return PREAMBLE + "\n".join(document) + "\n"


def escape(text: str) -> str:
    """Return text in one line, with LaTeX's special characters escaped; `names.WCO` alone stays mathematics.

    A character for which LaTeX has no command stays; `render` declares it.
    """
    return WCO.join("".join(map(_character, part)) for part in _composed(text).split(WCO))


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", one_line(text))


def _character(character: str) -> str:
    if character in SPECIAL:
        return SPECIAL[character]
    if character.isascii() or _in_latin_1(character):
        return character
    base, *accents = tuple(unicodedata.normalize("NFD", character))
    if base.isascii() and len(accents) == 1 and accents[0] in ACCENTS:
        return rf"\{ACCENTS[accents[0]]}{{{base}}}"
    return character


def _in_latin_1(character: str) -> bool:
    """Whether LaTeX composes a letter itself; its default fonts have no Eth and Thorn."""
    return "À" <= character <= "ÿ" and character not in "ÐÞðþ÷"


def _declarations(text: str) -> list[str]:
    """Tell pdflatex what to print for characters that it has no glyph of; the text itself keeps them."""
    unknown = sorted({c for c in text if not c.isascii() and not _in_latin_1(c)})
    if not unknown:
        return []
    declared = [rf"  \DeclareUnicodeCharacter{{{ord(c):04X}}}{{{_spelled(c)}}}" for c in unknown]
    return [UNKNOWN, r"\ifdefined\DeclareUnicodeCharacter", *declared, r"\fi"]


def _spelled(character: str) -> str:
    plain = in_ascii(character)
    return (
        rf"\texttt{{U+{ord(character):04X}}}" if plain is None else "".join(SPECIAL.get(c, c) for c in plain)
    )


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
