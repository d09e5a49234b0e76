"""Reads what is known of the files that rows were made of; it knows no label and judges nothing."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import numpy as np

from benchmark.contracts import Array, DataError
from benchmark.data.check import Files
from benchmark.untrusted import read_table
from datasets.formats.files import file_sha256
from datasets.formats.tables import few

SIDE = 16
"""Pixels of a thumbnail's side."""


def read_files(given: Path, n: int) -> Files:
    """Read a folder of one file for each row, or a table of measures with one line for each.

    Files stand in the order of their names, numbers in them by value: 2.jpg before 10.jpg. Of images, width
    and height are measured beside bytes.

    Raises
    ------
    DataError
        If there are not as many as rows, the table has no column of numbers, or some files are images and
        others none that can be read.
    """
    if not given.is_dir():
        return _table(given, n)
    if missing := [name for name in ("cv2", "PIL") if importlib.util.find_spec(name) is None]:
        remedy = "pip install -e '.[recipes]' -c constraints.txt, or a CSV of measures instead of the folder"
        raise DataError(f"--files {given}: reading images needs {' and '.join(missing)}; {remedy}")
    return _folder(given, n)


def _table(path: Path, n: int) -> Files:
    try:
        table = read_table(path)
    except ValueError as error:
        raise DataError(
            f"{path}: no readable CSV ({error}); give a folder, or a CSV with a header"
        ) from error
    numbers = table.select_dtypes("number")
    if len(table) != n or not numbers.shape[1]:
        raise DataError(
            f"{path}: expected {n} lines, one for each row in its order, with columns of numbers; found "
            f"{len(table)} lines, {numbers.shape[1]} such columns; correct the table"
        )
    if wrong := [name for name in numbers if not np.isfinite(numbers[name].to_numpy(float)).all()]:
        raise DataError(
            f"{path}: column {wrong[0]!r} has empty or infinite places; fill them, or leave it out"
        )
    return Files((), {str(name): numbers[name].to_numpy(float) for name in numbers})


def _folder(folder: Path, n: int) -> Files:
    paths = sorted(
        (path for path in folder.iterdir() if _counts(path)), key=lambda path: (_by_number(path), path.name)
    )
    if len(paths) != n:
        held = sorted(path.name for path in folder.iterdir())
        raise DataError(
            f"{folder}: expected {n} files, one for each row, found {len(paths)} among {few(held)}; "
            "give --files the folder that holds these and no others, or a CSV of measures"
        )
    measures: dict[str, Array] = {"bytes": np.array([path.stat().st_size for path in paths], dtype=float)}
    digests = tuple(file_sha256(path) for path in paths)
    names = tuple(path.name for path in paths)
    sizes = [_size(path) for path in paths]
    if not any(sizes):
        return Files(names, measures, digests)
    if unread := [path for path, size in zip(paths, sizes, strict=True) if size is None]:
        raise DataError(
            f"{folder}: {len(unread)} of {n} files are no images that can be read, the first is "
            f"{unread[0].name}; restore them, or take them and their rows out"
        )
    width, height = np.array(sizes, dtype=float).T
    thumbnails = np.stack([_thumbnail(path) for path in paths])
    return Files(names, {"width": width, "height": height, **measures}, digests, thumbnails)


def _counts(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")


def _by_number(path: Path) -> list[tuple[int, str]]:
    """Return what sorts names by the numbers in them."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def _size(path: Path) -> tuple[int, int] | None:
    """Return width and height without decoding, None of what is no image."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return image.size
    except UnidentifiedImageError:
        return None


def _thumbnail(path: Path) -> Array:
    """Return (SIDE * SIDE,) grey values of an image as recipes read it."""
    from PIL import Image

    from datasets.recipes.images import read_image

    grey = Image.fromarray(read_image(path)).convert("L")
    return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR), dtype=np.float32).ravel()
