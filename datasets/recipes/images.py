"""Reads one image file into pixels of one size, whatever its kind; it knows no label and no feature."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from benchmark.contracts import Array, DataError
from datasets.formats.files import file_sha256

SIDE = 192
"""Every image is resized to SIDE x SIDE pixels before anything is computed: on ML2000 width and height alone
predict the labels (AUC 0.60 to 0.77 by the notes that came with our copy of the images; not measured here),
so size must not reach a feature. What stays is sharpness: a small original is blurred when enlarged, and
features can still tell small originals from large ones (`results/ml2000_features/probe.md`)."""


def read_image(path: Path) -> Array:
    """Decode one image and resize it to (SIDE, SIDE, 3), uint8, RGB; the aspect ratio is not kept.

    - Of an animation or a file of several pages the first one counts.
    - An orientation in EXIF or TIFF tags is applied.
    - Transparent pixels, in a palette or an alpha channel, are laid over white.
    - Grey and palette images become RGB. Of 16 bits the upper eight count, rounded, 65535 being white.
    - CMYK is converted by Pillow's formula; colour profiles are ignored, of any image.
    - One pixel is enough: it fills the square.

    Pillow decodes because it refuses a truncated JPEG, which OpenCV fills with grey and a message.

    Raises
    ------
    DataError
        If the file is missing, truncated or no image; if it declares more pixels than
        `PIL.Image.MAX_IMAGE_PIXELS`, before any is decoded; if black and white are not defined for its pixels
        (floating point, or whole numbers beyond 16 bits).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                pixels = _rgb(ImageOps.exif_transpose(image))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path}: expected at most {Image.MAX_IMAGE_PIXELS} pixels, found: {error} Save it smaller: "
            f"nothing beyond {SIDE} x {SIDE} pixels reaches a feature"
        ) from error
    except Exception as error:  # Pillow's decoders raise nearly anything on a damaged file
        raise DataError(
            f"{path}: expected a readable image, found: {error or type(error).__name__}; "
            "restore the file, or take it and its row of labels out"
        ) from error
    shrinks = min(pixels.shape[:2]) > SIDE
    return cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _rgb(image: Image.Image) -> Array:
    if image.mode.startswith("I"):
        wide = np.asarray(image).astype(np.int64)
        if wide.min() < 0 or wide.max() > 65535:
            raise ValueError(f"pixels from {wide.min()} to {wide.max()}, neither 8 nor 16 bits")
        image = Image.fromarray(((wide + 128) // 257).astype(np.uint8))
    elif image.mode == "F":
        raise ValueError("floating-point pixels, of which it is not known what is white")
    elif image.has_transparency_data:
        opaque = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(opaque, image.convert("RGBA"))
    return np.asarray(image.convert("RGB"))


def file_digests(paths: Sequence[Path]) -> list[str]:
    """Return the SHA-256 of each file."""
    return [file_sha256(path) for path in paths]


def digest(paths: Sequence[Path]) -> str:
    """Return the SHA-256 of the concatenated lines `<sha256>  <file name>` over all images, in order."""
    lines = (f"{found}  {path.name}\n" for found, path in zip(file_digests(paths), paths, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
