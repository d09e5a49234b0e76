"""Which reader a file needs, and how several files become one set of tables; it chooses no column."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from benchmark.contracts import DataError
from datasets.formats import arff, delimited, libsvm, matlab, numpy_files, parquet
from datasets.formats.files import open_regular, refusal
from datasets.formats.selection import column_names, listing
from datasets.formats.tables import Content, position_of

READERS: dict[str, Callable[[Path], Content]] = {
    "npy": numpy_files.read_npy,
    "npz": numpy_files.read_npz,
    "matlab": matlab.read_v5,
    "matlab73": matlab.read_v73,
    "arff": arff.read_arff,
    "libsvm": lambda path: libsvm.read_libsvm([path]),
    "csv": delimited.read_delimited,
    "parquet": parquet.read_parquet,
}
MAGIC = {
    b"\x93NUMPY": "npy",
    b"PK\3\4": "npz",
    b"PAR1": "parquet",
    b"MATLAB 5.0": "matlab",
    b"MATLAB 7.3": "matlab73",
    b"\x89HDF": "matlab73",
}
SUFFIXES = {".arff": "arff", ".svm": "libsvm", ".libsvm": "libsvm", ".svmlight": "libsvm", ".mat": "matlab"}
LIBSVM = re.compile(
    rb"(?:\d+ \d+ \d+\s*\n)?[-+\d.,e]*(?:[ \t]+\d+:[-+\d.e]+)+\s*(?:#.*)?(?:\n|$)", re.IGNORECASE
)
HEAD = 2**16
SAME = "append files of the same columns"


def detect(path: Path) -> str:
    """Return which of `READERS` a file needs, by what it begins with, else by its suffix.

    Raises
    ------
    DataError
        If none reads it.
    """
    with open_regular(path) as stream:
        head = stream.read(HEAD)
    for magic, name in MAGIC.items():
        if head.startswith(magic):
            return name
    lines = (line.strip() for line in head.removeprefix(codecs.BOM_UTF8).splitlines())
    if next((x for x in lines if x and not x.startswith(b"%")), b"").lower().startswith(b"@relation"):
        return "arff"
    if (name := SUFFIXES.get(path.suffix.lower(), "")) and name != "matlab":
        return name
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        if name:
            return name
        raise refusal(path, f"a file of {', '.join(READERS)}", "other bytes", "unpack or convert it")
    if head.lstrip().startswith(b"<"):
        remedy = f"a list of labels is given as --labels {path.name}"
        raise refusal(path, "features", "XML or HTML", remedy)
    return "libsvm" if LIBSVM.match(head) else "csv"


def read_sources(sources: Sequence[str], format: str | None = None, index: str | None = None) -> Content:
    """Read all files; tables of one name in several are called FILE/NAME.

    Parameters
    ----------
    sources : paths; `A+B` stands for the rows of A, then those of B.
    format : one of `READERS`; by default `detect` says it for each file.
    index : name or number of the column of ids by which rows of several tables are brought together.

    Raises
    ------
    DataError
        If a file cannot be read, appended or joined.
    """
    if format not in (None, *READERS):
        raise DataError(f"unknown format {format!r}; there are {', '.join(READERS)}")
    parts = [(paths[0].stem, _appended(paths, format, index)) for paths in map(_paths, sources)]
    counts = Counter(name for _, part in parts for name in (*part.tables, *part.words))
    whole = Content()
    for stem, part in parts:
        rename = {name: f"{stem}/{name}" if counts[name] > 1 else name for name in counts}
        for kind in ("tables", "words", "labels", "ids", "unread"):
            found = {rename.get(name, name): x for name, x in getattr(part, kind).items()}
            if twice := found.keys() & getattr(whole, kind).keys():
                raise DataError(f"two sources are called {min(twice)}; rename one of the files")
            getattr(whole, kind).update(found)
        whole.notes += part.notes
    if index is not None:
        _join(whole)
        whole.notes.append(f"rows are joined by the ids in column {index}")
    return whole


def _paths(source: str) -> list[Path]:
    """Split at each plus sign before which a file's name ends."""
    paths: list[Path] = []
    pieces = source.split("+")
    while pieces:
        for end in range(1, len(pieces) + 1):
            if Path("+".join(pieces[:end])).exists() or end == len(pieces):
                break
        paths.append(Path("+".join(pieces[:end])))
        pieces = pieces[end:]
    return paths


def _appended(paths: Sequence[Path], format: str | None, index: str | None) -> Content:
    formats = [format or detect(path) for path in paths]
    if formats[0] == "libsvm":  # its files tell only together how many columns there are
        return libsvm.read_libsvm(paths)
    parts = [
        delimited.read_delimited(path, index) if name == "csv" else READERS[name](path)
        for path, name in zip(paths, formats, strict=True)
    ]
    if index is not None:
        for path, part in zip(paths, parts, strict=True):
            _set_ids(part, index, path)
    whole, *others = parts
    for path, part in zip(paths[1:], others, strict=True):
        whole.notes += [note for note in part.notes if note not in whole.notes]
        if len(part.tables) != 1 and [*part.tables] != [*whole.tables]:
            raise refusal(path, f"the tables of {paths[0].name}", ", ".join(part.tables) or "none", SAME)
        for (name, table), more in zip(whole.tables.items(), part.tables.values(), strict=True):
            if list(table.columns) != list(more.columns):
                raise refusal(path, f"the columns of {paths[0].name}", listing({name: more}), SAME)
            whole.tables[name] = pd.concat([table, more], ignore_index=index is None)
            whole.notes.append(f"{name}: {len(table)} rows, then the {len(more)} of {path.name}")
    return whole


def _set_ids(content: Content, index: str, path: Path) -> None:
    for name, table in content.tables.items():
        position = position_of(column_names(table), index, path)
        content.ids[name] = position
        table.index = pd.Index(table.iloc[:, position].astype(str).str.strip())


def _join(content: Content) -> None:
    """Bring the rows of all tables into the order of the first, by their ids."""
    (first, reference), *others = content.tables.items()
    for name, table in content.tables.items():
        if not table.index.is_unique:
            twice = table.index[table.index.duplicated()][0]
            raise DataError(f"{name}: the id {twice!r} is there twice; keep one row of it")
    for name, table in others:
        if len(lacking := reference.index.symmetric_difference(table.index)):
            what = f"{len(lacking)} ids are not in both, such as {lacking[0]!r}"
            raise DataError(f"{name} and {first}: {what}; keep the rows that all files have")
        if not table.index.equals(reference.index):
            content.tables[name] = table.loc[reference.index]
            content.notes.append(f"{name}: rows brought into the order of {first} by their ids")
