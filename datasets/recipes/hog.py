"""Histograms of oriented gradients of one image; it knows neither files nor the other modalities.

Dalal and Triggs, Histograms of oriented gradients for human detection, CVPR 2005. All cells of a channel are
one block, normalised as a whole (L2-Hys), so that contrast drops out and the relative strength of the cells
stays.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from skimage.feature import hog

from benchmark.contracts import Array

ORIENTATIONS, CELLS = 12, 4
"""Of `lab_hog`: unsigned orientations, and cells per side."""
COARSE_ORIENTATIONS, COARSE_CELLS = 9, 3
"""Of `coarse_hog`."""

DIM = 3 * CELLS * CELLS * ORIENTATIONS
COARSE_DIM = COARSE_CELLS * COARSE_CELLS * COARSE_ORIENTATIONS


def lab_hog(image: Array) -> Array:
    """Return the (576,) HOG of an image (s, s, 3), RGB: 3 Lab channels x 4 x 4 cells x 12 orientations."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    return np.concatenate([_one_block(channel, ORIENTATIONS, CELLS) for channel in cv2.split(lab)])


def coarse_hog(image: Array) -> Array:
    """Return the (81,) HOG of an image (s, s, 3), RGB: 3 x 3 cells x 9 orientations.

    The dimension fits Dalal and Triggs' nine orientations on a 3 x 3 grid; as with them, each pixel counts by
    the colour channel whose gradient is the strongest.
    """
    return _one_block(image, COARSE_ORIENTATIONS, COARSE_CELLS, channel_axis=-1)


def _one_block(image: Array, orientations: int, cells: int, **options: Any) -> Array:
    return hog(
        image,
        orientations=orientations,
        pixels_per_cell=(len(image) // cells,) * 2,
        cells_per_block=(cells, cells),
        block_norm="L2-Hys",
        **options,
    )
