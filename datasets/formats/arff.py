"""Reads dense and sparse ARFF files by liac-arff, and which attributes are labels as Mulan or MEKA say it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from benchmark.contracts import Array, DataError
from datasets.formats.files import open_regular, read_text, refusal, require_memory
from datasets.formats.tables import Content, encoding_of, few, named, needed

LONGEST_LINE = 2**24
ATTRIBUTE = re.compile(
    r"""@attribute\s+(?P<name>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[^\s'"{]+)\s*(?P<type>\S.*)""",
    re.IGNORECASE,
)
NUMBERS = re.compile(r"numeric|real|integer|\{[-+.,\d\s]*\}", re.IGNORECASE)
UNDERSCORE = re.compile(r"\d_\d")
MEKA = re.compile(r"-C\s+(-?\d+)")
DOWNLOAD = "download the file again"
AGAIN = "save it again, or say another --format"


@dataclass
class Lines:
    """The lines of a file, as they are handed on to liac-arff.

    It would cut whole-number attributes off at the point, keep the backslash of `\\'` in names and stop at
    tabs and dates. So it sees each attribute under a plain name and as a number, text or list of values.
    """

    stream: io.TextIOBase
    number: int = 0
    text: str = ""
    relation: str = ""
    names: dict[str, None] = field(default_factory=dict)
    words: bool = False
    """Whether some attribute holds text."""
    sparse: bool = False

    def __iter__(self) -> Iterator[str]:
        in_data = False
        while line := self.stream.readline(LONGEST_LINE):
            self.number += 1
            self.text = line.strip()
            if len(line) == LONGEST_LINE:
                raise ValueError("longer than any row")
            if in_data:
                self.sparse |= self.text.startswith("{")
                if UNDERSCORE.search(line) and not self.words:  # which Python's numbers may hold
                    raise ValueError("an underscore in a number")
            elif self.text and not self.text.startswith("%"):
                keyword = self.text.split(maxsplit=1)[0].lower()
                in_data = keyword == "@data"
                if keyword == "@relation":
                    self.relation, line = self.text, "@relation data"
                elif keyword == "@attribute":
                    line = self._attribute()
                elif not in_data:
                    raise ValueError("no part of a header")
            yield line

    def _attribute(self) -> str:
        found = ATTRIBUTE.fullmatch(self.text)
        if not found:
            raise ValueError("no name and type")
        name, kind = found["name"], found["type"]
        if name[0] in "'\"":
            name = re.sub(r"\\(.)", r"\1", name[1:-1])
        if name in self.names:
            raise ValueError("a name that is there")
        self.names[name] = None
        self.words |= not NUMBERS.fullmatch(kind)
        if kind.lower() in ("numeric", "real", "integer"):
            kind = "REAL"
        elif kind.lower().startswith("date"):
            kind = "STRING"
        return f"@attribute a{len(self.names)} {kind}"


def read_arff(path: Path) -> Content:
    """Read the one table of an ARFF file.

    A nominal attribute becomes numbers if its values are, by what they are and not by their order, else a
    categorical column. Labels are what MEKA's `-C` in the relation's name says, else what an XML file of the
    same name beside this one lists.

    Raises
    ------
    DataError
        With the line, if it is no ARFF file or a row is not what the header declares.
    """
    liac = needed("arff", path)
    with open_regular(path) as raw:
        lines = Lines(io.TextIOWrapper(raw, encoding_of(path)))
        try:
            read = liac.ArffDecoder().decode(lines, encode_nominal=True, return_type=liac.DENSE_GEN)
            kinds = [kind for _, kind in read["attributes"]]
            table = _table(read["data"], kinds, path)
        except DataError:
            raise
        except Exception as error:  # liac-arff raises whatever a line makes of it
            found = f"{lines.text[:80]!r} in line {lines.number} ({type(error).__name__})"
            raise refusal(path, "a complete ARFF file", found, AGAIN) from error
    table.columns = pd.Index(named([*lines.names]))
    content = Content({path.stem: table})
    firsts = [
        f"{name} is {kind[0]}"
        for name, kind in zip(table, kinds, strict=True)
        if not isinstance(kind, str) and kind[0] != "0"
    ]
    if lines.sparse and firsts:
        content.notes.append(f"{path.name}: where a sparse row omits it, {few(firsts)}, its first value")
    if meka := MEKA.search(lines.relation):
        content.labels[path.stem] = _meka_positions(path, int(meka[1]), len(kinds))
        content.notes.append(f"{path.name}: labels are those that {meka[0]} in the relation's name says")
    elif (xml := path.with_suffix(".xml")).is_file():
        content.labels[path.stem] = label_positions(read_label_names(xml), table, path)
        content.notes.append(f"{path.name}: labels are those that {xml.name} lists")
    return content


def read_label_names(path: Path) -> tuple[str, ...]:
    """Return the label names that Mulan's XML file lists, in its order."""
    text = read_text(path)
    try:
        if "<!DOCTYPE" in text:  # entities could make any length of so short a text
            raise ValueError("a document type, which such a list does not need")
        root = ElementTree.fromstring(text)
    except (ValueError, ElementTree.ParseError) as error:
        raise refusal(path, "Mulan's list of labels", str(error), DOWNLOAD) from error
    names = [element.get("name", "") for element in root.iter() if element.tag.endswith("label")]
    if not names or "" in names or len(set(names)) < len(names):
        raise refusal(path, "labels, each with its own name", repr(names)[:200], DOWNLOAD)
    return tuple(names)


def label_positions(label_names: Sequence[str], table: pd.DataFrame, path: Path) -> tuple[int, ...]:
    """Return where labels stand among a table's columns, wherever that is, in the order of their names."""
    names = named(label_names)
    columns = list(table.columns)
    if missing := [name for name in names if columns.count(name) != 1]:
        what = f"one attribute for each label of its XML, such as {few(missing)}"
        raise refusal(path, what, "none or several of that name", "use the XML of this file")
    return tuple(columns.index(name) for name in names)


def _meka_positions(path: Path, count: int, width: int) -> tuple[int, ...]:
    """Return the first attributes, or for a negative count the last ones."""
    if not 0 < abs(count) < width:
        raise refusal(path, f"-C of 1 to {width - 1} labels, or as many negative", str(count), "correct it")
    return tuple(range(count) if count > 0 else range(width + count, width))


def _table(rows: Iterator[Sequence[Any]], kinds: Sequence[Any], path: Path) -> pd.DataFrame:
    with open_regular(path) as stream:
        most = sum(1 for _ in stream)
    require_memory(path, 8 * max(most - len(kinds), 0) * len(kinds))
    texts = [k for k, kind in enumerate(kinds) if kind == "STRING"]
    words: list[list[Any]] = []
    numbers: list[Array] = []
    for row in rows:
        if texts:
            words.append([row[k] for k in texts])
            row = [None if k in texts else value for k, value in enumerate(row)]
        numbers.append(np.array(row, dtype=np.float64))  # None, a missing value, becomes nan
    if not numbers:
        raise refusal(path, "rows after @data", "none", AGAIN)
    matrix = np.stack(numbers)
    others: dict[int, Any] = {k: [row[j] for row in words] for j, k in enumerate(texts)}
    for k, kind in enumerate(kinds):
        if not isinstance(kind, str):
            column = _nominal(matrix[:, k], kind)
            if isinstance(column, pd.Categorical):
                others[k] = column
            else:
                matrix[:, k] = column
    table = pd.DataFrame(matrix)
    for k, column in others.items():
        table[k] = column
    return table


def _nominal(codes: Array, values: Sequence[str]) -> Array | pd.Categorical:
    """Return what positions in the declared values stand for."""
    known = np.isfinite(codes)
    places = np.where(known, codes, 0).astype(np.int64)
    try:
        return np.where(known, np.array([float(value) for value in values])[places], np.nan)
    except ValueError:
        found = [values[place] if there else None for place, there in zip(places, known, strict=True)]
        return pd.Categorical(found, categories=list(values))
