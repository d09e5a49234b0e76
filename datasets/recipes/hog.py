"""Histograms of oriented gradients of one image; it knows neither files nor the other modalities."""

from __future__ import annotations

import cv2
import numpy as np
from skimage.feature import hog

from benchmark.contracts import Array

ORIENTATIONS = 12
CELLS = 4
"""Cells per side: the image is cut into CELLS x CELLS cells."""
DIM = 3 * CELLS * CELLS * ORIENTATIONS


def hog_features(image: Array) -> Array:
    """Return the (576,) HOG of an image (s, s, 3), uint8 RGB.

    3 Lab channels x 4 x 4 cells x 12 orientations. Each channel is one block, normalised as a whole (L2-Hys,
    Dalal and Triggs 2005), so that contrast drops out and the relative strength of the cells stays.
    """
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    cell = image.shape[0] // CELLS
    return np.concatenate(
        [
            hog(
                channel,
                orientations=ORIENTATIONS,
                pixels_per_cell=(cell, cell),
                cells_per_block=(CELLS, CELLS),
                block_norm="L2-Hys",
            )
            for channel in cv2.split(lab)
        ]
    )
