"""Finds, checks and reads the raw images and their labels; it knows no feature."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from benchmark.contracts import Array, DataError

SIDE = 192
"""Every image is resized to SIDE x SIDE pixels before anything is computed: width and height alone predict
the labels (AUC 0.60 to 0.77 by the notes that came with our copy of the images; not measured here), so size
must not reach a feature. What stays is sharpness: a small original is blurred when enlarged, and features can
still tell small originals from large ones (`results/ml2000_features/probe.md`)."""

LABEL_NAMES = ("desert", "mountains", "sea", "sunset", "trees")

UPSTREAM = "http://www.lamda.nju.edu.cn/data_MIMLimage.ashx"


@dataclass(frozen=True)
class ImageFolder:
    """Image files in row order and their labels (n, q), uint8 in {0, 1}."""

    paths: tuple[Path, ...]
    labels: Array


def open_folder(folder: Path, labels_file: Path | None = None, count: int = 2000) -> ImageFolder:
    """Find `1.jpg` to `<count>.jpg` and the labels, without decoding an image.

    Parameters
    ----------
    folder
        Holds the images, or a folder `images` that does.
    labels_file
        CSV with the columns `Filenames` and `LABEL_NAMES`, one row per image in order;
        by default `labels.csv` in `folder`, else in the folder above it.

    Raises
    ------
    DataError
        If an image or the label file is missing, or the label file has other columns, rows or values.
    """
    inner = folder / "images"
    images = inner if inner.is_dir() else folder
    paths = tuple(images / f"{i}.jpg" for i in range(1, count + 1))
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise DataError(
            f"{images}: {len(missing)} of {count} images are missing, first {missing[0]}; "
            f"expected 1.jpg to {count}.jpg as unpacked from {UPSTREAM}"
        )
    candidates = [labels_file] if labels_file else [folder / "labels.csv", folder.parent / "labels.csv"]
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        places = " or ".join(str(path) for path in candidates)
        raise DataError(f"no label file at {places}; name one with --labels FILE")
    return ImageFolder(paths, read_labels(found, [path.name for path in paths]))


def read_labels(path: Path, names: Sequence[str]) -> Array:
    """Read the label CSV whose rows must be `names` in this order; return (n, q) uint8.

    Raises
    ------
    DataError
        If columns, file names or values are not as expected.
    """
    with path.open(newline="", encoding="utf-8-sig") as stream:
        header, *rows = list(csv.reader(stream)) or [[]]
    expected = ["Filenames", *LABEL_NAMES]
    if header != expected:
        raise DataError(f"{path}: expected the columns {','.join(expected)}, found {','.join(header)}")
    if len(rows) != len(names):
        raise DataError(f"{path}: expected {len(names)} rows, one per image, found {len(rows)}")
    for line, (row, name) in enumerate(zip(rows, names, strict=True), start=2):
        if len(row) != len(expected) or row[0] != name or not set(row[1:]) <= {"0", "1"}:
            raise DataError(
                f"{path}, line {line}: expected {name} and {len(LABEL_NAMES)} values 0 or 1, "
                f"found {','.join(row)}"
            )
    return np.array([row[1:] for row in rows], dtype=np.uint8)


def read_image(path: Path) -> Array:
    """Decode one image and resize it to (SIDE, SIDE, 3), uint8, RGB; the aspect ratio is not kept.

    Pillow decodes because it refuses a truncated JPEG, which OpenCV fills with grey and a message.

    Raises
    ------
    DataError
        If the file is missing, truncated or no image.
    """
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise DataError(
            f"{path}: expected a readable image, found: {error}; unpack it again from {UPSTREAM}"
        ) from error
    shrinks = min(pixels.shape[:2]) > SIDE
    return cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def digest(paths: Sequence[Path]) -> str:
    """Return the SHA-256 of the concatenated lines `<sha256>  <file name>` over all images, in order."""
    lines = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in paths)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
