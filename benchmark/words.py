"""What words from outside may do to a text: be read, and nothing else; it knows no format and no table.

Notes, titles, names of files and messages may hold line breaks, codes that move a terminal's cursor,
characters that turn the direction of writing, and characters that the reader's terminal does not have.
"""

from __future__ import annotations

import codecs
import io
import re
import unicodedata
from typing import Any

_COMMANDS = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?")
"""To a terminal: control sequences (colours, cursor), and those that set its title."""
_JOINERS = "\u200c\u200d"
"""Format characters that words need, in Persian for example; others hide or turn what follows."""
_ASCII = {
    **{"→": "->", "←": "<-", "↑": "up", "↓": "down", "–": "-", "—": "--", "‐": "-", "‑": "-", "−": "-"},
    **{"±": "+/-", "×": "x", "·": ".", "•": "*", "⁄": "/", "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~"},
    **{"†": "+", "‡": "++", "§": "(s)", "¶": "(p)", "©": "(c)", "®": "(r)", "°": " deg"},
    **{"‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "«": "<<", "»": ">>", "‹": "<", "›": ">"},
    **{"ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L"},
    **{"đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i", "μ": "u"},
    **{"€": "EUR", "£": "GBP", "∞": "inf"},
}  # fmt: skip
"""What stands for a character where it is not to be had and its name in Unicode does not say it."""


def visible(text: str) -> str:
    """Return text without terminal commands and control characters but line breaks and tabs.

    What no encoding can hold (half a pair of surrogates, non-characters) becomes the replacement character.
    """
    return "".join(map(_visible, _COMMANDS.sub("", text)))


def one_line(text: object) -> str:
    """Return `visible` text in one line, each run of white space one blank."""
    return " ".join(visible(str(text)).split())


def in_ascii(character: str) -> str | None:
    """Write a character in ASCII: by a table, else by Unicode's decomposition (accents fall, `½` is 1/2).

    None where nothing there resembles it; marks and joiners alone become nothing.
    """
    if character in _ASCII:
        return _ASCII[character]
    if character in _JOINERS or unicodedata.category(character)[0] == "M":
        return ""
    base, *rest = tuple(unicodedata.normalize("NFKD", character))
    if base.isalpha():
        rest = [part for part in rest if not unicodedata.combining(part)]
    written = "".join(_ASCII.get(part, part) for part in (base, *rest))
    return written if written.isascii() else None


def show_every_character(*streams: Any) -> None:
    """Let streams write in ASCII, or as `\\u4e2d`, what their encoding lacks: no output fails for that."""
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="in_ascii")


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cc":
        return character if character in "\n\t" else " "
    if category == "Cf":
        return character if character in _JOINERS else ""
    unencodable = category == "Cs" or ord(character) & 0xFFFE == 0xFFFE or "\ufdd0" <= character <= "\ufdef"
    return "\ufffd" if unencodable else character


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(map(_shown, lacking)), error.end


def _shown(character: str) -> str:
    plain = in_ascii(character)
    return character.encode("ascii", "backslashreplace").decode() if plain is None else plain


codecs.register_error("in_ascii", _replace)
