"""Words from outside: one visible line, and a terminal of any encoding shows them."""

from __future__ import annotations

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.words import in_ascii, one_line, show_every_character, visible

ANY_TEXT = st.text(st.characters())  # surrogates too
ENCODINGS = ("ascii", "cp1252", "cp437", "latin-1", "cp037", "gb2312", "utf-8")


def shown(text: str, encoding: str) -> str:
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding=encoding, newline="")
    show_every_character(stream)
    stream.write(text)
    stream.flush()
    return buffer.getvalue().decode(encoding)


@given(ANY_TEXT)
def test_one_line_is_one_visible_line_that_every_file_can_hold(text: str) -> None:
    line = one_line(text)
    assert one_line(line) == line
    assert line.splitlines() in ([line], [])
    assert line.encode("utf-8").decode("utf-8") == line
    assert not {unicodedata.category(character) for character in line} & {"Cc", "Cs", "Zl", "Zp"}
    assert "\u202e" not in line


@given(st.text(st.characters(categories=("L", "N", "P", "S", "M"), exclude_characters="\ufffd")))
def test_what_can_be_read_stays(text: str) -> None:
    assert visible(text) == text


def test_commands_to_a_terminal_vanish_whole_and_hidden_turns_with_them() -> None:
    assert one_line("a \x1b[1;31mred\x1b[0m b \x9b2J\x1b]0;title\x07c\x1b]8;;x\x1b\\d") == "a red b cd"
    assert one_line("abc\u202edef\u2066\ufeff") == "abcdef"
    assert one_line("half a pair \ud83d, \ufffe") == "half a pair \ufffd, \ufffd"
    assert one_line("one\n\ntwo\r\n\tthree\x85four\u2029five\x00") == "one two three four five"
    assert visible("one\n\ttwo\x00") == "one\n\ttwo "
    assert one_line("نمی\u200cخواهم") == "نمی\u200cخواهم"  # a word of Persian needs its joiner


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(text=ANY_TEXT)
def test_no_character_makes_output_fail(encoding: str, text: str) -> None:
    shown(text, encoding)


@pytest.mark.parametrize(
    ("text", "ascii_text"),
    [
        ("0.790±0.012 – 3 × 4 ≤ 5 ≠ 6 → b", "0.790+/-0.012 - 3 x 4 <= 5 != 6 -> b"),
        ("macro AUC ↑, Coverage ↓", "macro AUC up, Coverage down"),
        ("ML2000†, FCVID‡, CS3G§", "ML2000+, FCVID++, CS3G(s)"),
        ("“Łukasz’s” naïve café e\u0301 ﬁ ½ chi² …", '"Lukasz\'s" naive cafe e fi 1/2 chi2 ...'),
        ("中", "\\u4e2d"),
        ("😀\ufe0f", "\\U0001f600"),
        ("\udc80", "\\udc80"),
    ],
)
def test_a_terminal_gets_what_it_can_show(text: str, ascii_text: str) -> None:
    assert shown(text, "ascii") == ascii_text


def test_what_an_encoding_has_is_not_touched() -> None:
    assert shown("±–†‡§é → 中", "cp1252") == "±–†‡§é -> \\u4e2d"
    assert shown("±–é½", "cp437") == "±-é½"
    assert shown("± → 中 😀", "utf-8") == "± → 中 😀"


@given(st.characters())
def test_ascii_is_ascii_or_nothing(character: str) -> None:
    written = in_ascii(character)
    assert written is None or written.isascii()
