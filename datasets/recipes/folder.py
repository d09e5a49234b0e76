"""Matches a folder of images with a table of labels, and refuses what does not fit; it decodes nothing."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmark.contracts import Array, DataError

SHOWN = 5
"""How many names an error lists of those it counts."""


@dataclass(frozen=True)
class ImageFolder:
    """Image files in the order of the label table, and their labels (n, q), uint8 in {0, 1}."""

    paths: tuple[Path, ...]
    labels: Array
    label_names: tuple[str, ...]


def open_folder(folder: Path, labels_file: Path | None = None) -> ImageFolder:
    """Pair each row of the label table with its image below `folder`.

    Parameters
    ----------
    folder
        Holds the images, in sub-folders or not. Names that start with a dot are passed over.
    labels_file
        CSV with a header, see `read_labels`; by default `labels.csv` in `folder`, else in the folder above
        it.

    Raises
    ------
    DataError
        If the table cannot be read, a row names no image or several, two rows name the same image, or an
        image has no row; with how many there are and the first of them.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder of images, found no such folder; correct --images")
    candidates = [labels_file] if labels_file else [folder / "labels.csv", folder.parent / "labels.csv"]
    table = next((path for path in candidates if path.is_file()), None)
    if table is None:
        places = " or ".join(str(path) for path in candidates)
        raise DataError(f"no label file at {places}; name one with --labels FILE")
    names, labels, label_names = read_labels(table)
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != table and not _hidden(path, folder)
    ]
    paths = _matched(names, files, folder, table)
    labelled = set(paths)
    _refuse(
        [str(path.relative_to(folder)) for path in files if _is_image(path) and path not in labelled],
        f"{folder}: {{}} images have no row in {table}, first {{}}; add their labels or take them out",
    )
    return ImageFolder(tuple(paths), labels, label_names)


def read_labels(path: Path) -> tuple[list[str], Array, tuple[str, ...]]:
    """Read a label table: return the names of the images, the labels (n, q) uint8, and the labels' names.

    The first column names the image: its file name or its path below the folder of images, with or without
    the suffix. Each further column is one label, 0 or 1. Empty lines are passed over.

    Raises
    ------
    DataError
        If it is no such CSV file; the message names the line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            lines = [(number, line) for number, line in enumerate(csv.reader(stream), start=1) if any(line)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: expected a CSV file in UTF-8, found: {error}; save it as such") from error
    (_, header), *rows = lines or [(1, [])]
    label_names = tuple(name.strip() for name in header[1:])
    if not all(label_names) or len(set(label_names)) != len(label_names) or not label_names:
        raise DataError(
            f"{path}: expected a header: the image's column, then a comma and a name for each label, none "
            f"twice; found {','.join(header)!r}"
        )
    if not rows:
        raise DataError(f"{path}: expected one row for each image below the header, found none")
    for number, row in rows:
        if len(row) != len(header) or not row[0].strip() or not {x.strip() for x in row[1:]} <= {"0", "1"}:
            raise DataError(
                f"{path}, line {number}: expected an image's name and {len(label_names)} values 0 or 1, "
                f"found {','.join(row)!r}"
            )
    names = [row[0].strip() for _, row in rows]
    return names, np.array([row[1:] for _, row in rows], dtype=np.uint8), label_names


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in Image.registered_extensions()


def _matched(names: Sequence[str], files: Sequence[Path], folder: Path, table: Path) -> list[Path]:
    """Return the file of each name; a spelling that says more goes before one that says less."""
    spellings: list[dict[str, list[Path]]] = [{}, {}, {}, {}]
    for path in files:
        inside = path.relative_to(folder)
        texts = [inside.as_posix(), path.name]
        if _is_image(path):
            texts += [inside.with_suffix("").as_posix(), path.stem]
        for spelling, text in zip(spellings, texts, strict=False):
            spelling.setdefault(text, []).append(path)
    found = []
    for name in names:
        plain = name.replace("\\", "/").removeprefix("./")
        found.append(next((spelling[plain] for spelling in spellings if plain in spelling), []))
    _refuse(
        [name for name, matches in zip(names, found, strict=True) if not matches],
        f"{table}: {{}} rows name no image below {folder}, first {{}}; correct or remove them",
    )
    _refuse(
        [name for name, matches in zip(names, found, strict=True) if len(matches) > 1],
        f"{table}: {{}} rows name several images below {folder}, first {{}}; write folder and suffix, too",
    )
    paths = [path for (path,) in found]
    first = {path: row for row, path in reversed(list(enumerate(paths)))}
    _refuse(
        [name for row, name in enumerate(names) if first[paths[row]] != row],
        f"{table}: {{}} rows name an image that a row above names, first {{}}; keep one row for each",
    )
    return paths


def _refuse(names: Sequence[str], message: str) -> None:
    if names:
        raise DataError(message.format(len(names), ", ".join(names[:SHOWN])))
