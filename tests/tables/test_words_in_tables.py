"""Whatever a user writes into a note, a title or a cell is printed by every format, and does nothing else."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from benchmark.tables import latex, markdown
from benchmark.tables.layout import Block, Cell, Group, Row, Table
from benchmark.words import one_line

HOSTILE = (
    "first\n\nsecond | `code` *star* _em_ __strong__ ~~gone~~ <b>tag</b> <!-- x --> <http://x.y> &amp; &#65;",
    "[l](http://x) ![i](y) [a][b] [a]: http://x # h \\| \\textbf{x} \\\\ 50% & $5$ {brace} ~ ^ ''",
    "\x1b[31mRED\x1b[0m\u202e \ud83d 中文 é e\u0301 ½ → ± Łódź ą Ωα 😀\ufe0f [red]rich[/red]",
    *("# heading", "- item", "1. one", "> quoted", "+ plus", "[x] box", "[6pt] x", "* star", "---", "==="),
    *("```", "    code", "|", "||", "\\", "$", "[a]: b", "https://x.org/a_b", "``", "a\\", "<0.1", "_"),
)  # fmt: skip
MARKUP = st.text("`*_|~<>&;[]()!\\#-+=:1.$%^{}@/ \n\tab", max_size=30)
WORDS = st.one_of(st.sampled_from(HOSTILE), MARKUP, st.text(st.characters(), max_size=30)).filter(
    lambda text: one_line(text) and "$W_{co}$" not in text
)
COMMAND = re.compile(r"\\[A-Za-z]+(?:\{\})?|\\[^A-Za-z\s]|\$(?:\^\{)?\\[a-z]+\}?\$|\$-\$", re.IGNORECASE)
parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def table_of(word: str) -> Table:
    row = Row(word, (Cell(word), Cell(word, bold=True), Cell(word, grey=True)))
    block = Block(word, (Group(word, 2), Group("g", 1)), (word, "b", "c"), (row, row), below_rule=(row,))
    return Table(
        "I", f"Table I: caption {word}", (block, Block(word, (), ("a", "b", word), (row,))), (word, word)
    )


def text_of(tokens) -> str:
    return "".join(token.content for token in tokens)


@given(WORDS)
def test_markdown_prints_the_words_and_keeps_its_shape(word: str) -> None:
    tokens = parser.parse(markdown.render(table_of(word)))
    blocks = [token.type for token in tokens if token.level == 0 and token.nesting == 1]
    assert blocks == ["paragraph_open", "table_open", "table_open", "bullet_list_open"]
    count = {kind: sum(token.type == kind for token in tokens) for kind in ("tr_open", "th_open", "td_open")}
    # header, columns, two rows, the line that stands for a rule, and the row below; then header and row
    assert count == {"tr_open": 6 + 2, "th_open": 8, "td_open": 5 * 4 + 4}
    texts = [text_of(token.children) for token in tokens if token.type == "inline"]
    kinds = {child.type for token in tokens if token.type == "inline" for child in token.children}
    assert kinds <= {"text", "text_special", "strong_open", "strong_close", "em_open", "em_close"}
    line = one_line(word)
    assert texts[0] == f"Table I: caption {line}"
    assert texts[-2:] == [line, line]
    assert texts.count(line) >= 2 + 4 * 4 + 5  # notes, rows, and headings


@given(st.lists(st.lists(WORDS, min_size=3, max_size=3), min_size=1, max_size=4))
def test_a_grid_has_as_many_cells_as_it_was_given(rows: list[list[str]]) -> None:
    tokens = parser.parse(markdown.grid(rows, ("a", "b|", "c")))
    cells = [text_of(t.children) for t in tokens if t.type == "inline"]
    assert cells == ["a", "b|", "c", *(one_line(word) for row in rows for word in row)]


def test_mathematics_of_our_own_stays_and_a_users_dollars_are_dollars() -> None:
    assert markdown.escape("M3LA-$W_{co}$ for $5 and _x_ of a_b") == "M3LA-$W_{co}$ for \\$5 and \\_x_ of a_b"
    assert latex.escape("M3LA-$W_{co}$ for $5") == "M3LA-$W_{co}$ for \\$5"


@given(WORDS)
@example("``")
def test_latex_holds_no_command_of_a_user(word: str) -> None:
    escaped = latex.escape(word)
    assert "\n" not in escaped
    rest = COMMAND.sub("", escaped)
    assert not set(rest) & set("\\%$#&^~_"), rest
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", escaped.replace("\\\\", "")):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    assert depth == 0
    assert not escaped.startswith(("[", "*"))  # after `\\` they would be its arguments


@given(WORDS)
def test_latex_declares_what_pdflatex_has_no_glyph_of_and_keeps_it(word: str) -> None:
    text = latex.render(table_of(word))
    preamble, body = text.split("\\begin{document}\n")
    declared = {
        chr(int(code, 16)) for code in re.findall(r"\\DeclareUnicodeCharacter\{([0-9A-F]+)\}", preamble)
    }
    outside = {character for character in body if not character.isascii()}
    composed = {character for character in outside if "À" <= character <= "ÿ"} - set("ÐÞðþ÷")
    assert outside - composed == declared
    assert preamble.isascii()
    assert "\n\n" not in text
    rows = [line for line in body.splitlines() if line.endswith(r" \\") and "multicolumn" not in line]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in rows} <= {3}
    kept = {c for c in unicodedata.normalize("NFC", one_line(word)) if "\u2e80" <= c <= "\u9fff"}
    assert kept <= set(body)


@pytest.mark.parametrize(
    ("character", "set_as"),
    [
        ("ł", r"\l{}"),
        ("ő", r"\H{o}"),
        ("č", r"\v{c}"),
        ("Ω", r"$\Omega$"),
        ("→", r"$\rightarrow$"),
        ("é", "é"),
    ],
)
def test_letters_that_latex_composes_are_letters(character: str, set_as: str) -> None:
    assert latex.escape(character) == set_as
    assert "Declare" not in latex.render(Table("I", character, ()))


def test_pdflatex_prints_what_stands_for_a_character_and_the_reader_is_told_how_to_see_it() -> None:
    text = latex.render(Table("I", "Table I: 中 ½ ą 😀", ()))
    assert r"\caption{中 ½ ą 😀}" in text
    for line in (r"{4E2D}{\texttt{U+4E2D}}", "{00BD}{1/2}", "{0105}{a}", r"{1F600}{\texttt{U+1F600}}"):
        assert rf"\DeclareUnicodeCharacter{line}" in text
    assert "compile with lualatex or xelatex" in text
