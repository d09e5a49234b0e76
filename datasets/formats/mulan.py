"""Emotions, Scene and Yeast in ARFF, used only to choose M3LA-repaired's options; never in a table."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from benchmark.contracts import Array, DataError, Dataset, Provenance, Shape
from datasets.formats.arrays import as_features, as_labels, data_hash
from datasets.formats.files import open_regular, read_text, refusal

SOURCE = "Mulan, data/multi-label (http://mulan.sourceforge.net/datasets-mlc.html)"
Attributes = dict[str, frozenset[str] | None]
"""By name the values as they are written, or None for any number."""
AGAIN = "download the file again"
LONGEST_LINE = 2**20
ATTRIBUTE = re.compile(
    r"""@attribute\s+(?:'(?P<quoted>[^']+)'|(?P<bare>[^\s'"{]+))\s*"""
    r"""(?:(?<=[\s'])(?:numeric|real|integer)|\{(?P<values>[^{}'"]+)\})""",
    re.IGNORECASE,
)
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|nan", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """The files of one data set, and which feature columns form which modality (half-open ranges)."""

    files: tuple[str, ...]
    n: int
    q: int
    columns: Mapping[str, tuple[int, int]]

    @property
    def shape(self) -> Shape:
        return Shape(self.n, self.q, tuple(stop - start for start, stop in self.columns.values()))


LAYOUTS: Mapping[str, Layout] = {
    "emotions": Layout(("emotions.arff",), 593, 6, {"rhythm": (64, 72), "timbre": (0, 64)}),
    "scene": Layout(
        ("scene-train.arff", "scene-test.arff"),
        2407,
        6,
        # Mean and variance of 7 x 7 blocks, for each colour band of the CIE Luv space.
        {"L": (0, 98), "U": (98, 196), "V": (196, 294)},
    ),
    "yeast": Layout(
        ("yeast.arff",), 2417, 14, {"gene_expression": (0, 79), "phylogenetic_profile": (79, 103)}
    ),
}


def load_mulan(name: str, folder: Path) -> Dataset:
    """Load one of `LAYOUTS` from `folder/<name>/*.arff` and `folder/<name>/<name>.xml`.

    Returns
    -------
    Dataset
        Provenance `real`; rows in file order (Scene: training file, then test file).

    Raises
    ------
    DataError
        If `name` is unknown, a file is missing or unreadable, or its columns or rows are not the
        published ones.
    """
    if name not in LAYOUTS:
        raise DataError(f"{name}: expected one of {', '.join(LAYOUTS)}; correct the name")
    layout = LAYOUTS[name]
    label_names = read_label_names(folder / name / f"{name}.xml")
    d = max(stop for _, stop in layout.columns.values())
    parts = [
        read_arff(folder / name / file, label_names, d + len(label_names), layout.n) for file in layout.files
    ]
    columns = np.concatenate([x for x, _ in parts])
    stored_labels = np.concatenate([y for _, y in parts])
    origin = folder / name
    labels = as_labels(stored_labels, origin)
    found, expected = (*columns.shape, labels.shape[1]), (layout.n, d, layout.q)
    if found != expected:
        what = "(rows, features, labels)"
        raise refusal(origin, f"{what} {expected}", f"{found}", "download the published files again")
    modalities = tuple(as_features(columns[:, a:b], origin) for a, b in layout.columns.values())
    return Dataset(
        id=name,
        modalities=modalities,
        labels=labels,
        modality_names=tuple(layout.columns),
        label_names=label_names,
        provenance=Provenance.REAL,
        data_hash=data_hash(modalities, labels),
        citation=SOURCE,
    )


def read_label_names(path: Path) -> tuple[str, ...]:
    """Return the label names that Mulan's XML file lists."""
    text = read_text(path)
    try:
        if "<!DOCTYPE" in text:  # entities could make any length of so short a text
            raise ValueError("a document type, which such a list does not need")
        root = ElementTree.fromstring(text)
    except (ValueError, ElementTree.ParseError) as error:
        raise refusal(path, "Mulan's list of labels", str(error), AGAIN) from error
    names = [element.get("name", "") for element in root if element.tag.endswith("label")]
    if not names or "" in names or len(set(names)) < len(names):
        raise refusal(path, "labels, each with its own name", repr(names)[:200], AGAIN)
    return tuple(names)


def read_arff(path: Path, label_names: Sequence[str], columns: int, most: int) -> tuple[Array, Array]:
    """Return the features (n, d) and labels (n, q) of one dense ARFF file, split by the labels' names.

    Parameters
    ----------
    path : Path
    label_names : sequence of str
    columns : int
        Of features and labels together; the header must declare as many.
    most : int
        Rows that the file may have.

    Raises
    ------
    DataError
        With the line, if anything but this is in the file.
    """
    with open_regular(path) as stream:
        lines = _lines(stream, path)
        attributes = _attributes(lines, path, columns)
        if missing := set(label_names) - set(attributes):
            what = f"label columns {sorted(missing)}"
            raise refusal(path, what, "none of that name", "use the XML of this file")
        values = np.empty((most, columns))
        n = 0
        for number, text in lines:
            row = _row(text, attributes)
            if row is None or n == most:
                raise _wrong(path, number, text, f", one of {columns} values in at most {most} rows")
            values[n] = row
            n += 1
    order = list(attributes)
    others = [k for k, name in enumerate(order) if name not in label_names]
    return values[:n, others], values[:n, [order.index(name) for name in label_names]]


def _lines(stream: BufferedReader, path: Path) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line but blank ones and comments."""
    number = 0
    while content := stream.readline(LONGEST_LINE + 1):
        number += 1
        try:
            text = content.decode("utf-8-sig").strip()
        except UnicodeDecodeError as error:
            raise _wrong(path, number, str(error)) from error
        if len(content) > LONGEST_LINE:
            raise _wrong(path, number, text)
        if text and not text.startswith("%"):
            yield number, text


def _wrong(path: Path, number: int, text: str, more: str = "") -> DataError:
    return refusal(path, f"a complete ARFF file{more}", f"{text[:80]!r} in line {number}", AGAIN)


def _attributes(lines: Iterator[tuple[int, str]], path: Path, columns: int) -> Attributes:
    """Read the header, up to `@data`."""
    attributes: Attributes = {}
    for number, text in lines:
        keyword = text.split(maxsplit=1)[0].lower()
        if keyword == "@data":
            break
        if keyword == "@relation":
            continue
        found = ATTRIBUTE.fullmatch(text)
        name = (found["quoted"] or found["bare"]) if found else ""
        if not found or name in attributes or len(attributes) == columns:
            what = f", with {columns} attributes of numbers or like {{0,1}} before @data"
            raise _wrong(path, number, text, what)
        values = found["values"]
        attributes[name] = None if values is None else frozenset(part.strip() for part in values.split(","))
    if len(attributes) != columns:
        raise refusal(path, f"a complete ARFF file of {columns} attributes", f"{len(attributes)}", AGAIN)
    return attributes


def _row(text: str, attributes: Attributes) -> list[float] | None:
    """Return the numbers of one line, nan for `?`; None if it is no row."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != len(attributes):
        return None
    for part, values in zip(parts, attributes.values(), strict=True):
        if part != "?" and (part not in values if values is not None else not NUMBER.fullmatch(part)):
            return None
    try:
        return [math.nan if part == "?" else float(part) for part in parts]
    except ValueError:  # a value in words
        return None
