"""How many faces one image shows and where, (s, s, 3) uint8 RGB; it knows no file."""

from __future__ import annotations

import functools

import numpy as np
from skimage.data import lbp_frontal_face_cascade_filename
from skimage.feature import Cascade

from benchmark.contracts import Array

SMALLEST = 24
"""Side of the smallest face that is looked for, in pixels; the detector's own window."""
SCALE_FACTOR = 1.2

DIM = 7


def face_features(image: Array) -> Array:
    """Return the (7,) face features, all zero where no face is found.

    Number of faces; share of the image's area that they cover together, and on average; of the largest one
    its side over the image's, the x and y of its centre in [0, 1], and the distance of its centre from the
    image's centre over half the diagonal. The paper gives the dimension alone; these seven are this project's
    choice. Detector: the frontal-face cascade of local binary patterns that comes with scikit-image (boosted
    as by Viola and Jones, CVPR 2001; trained by the OpenCV project), which draws no random number. It misses
    turned and small faces, and the image is squeezed to a square before.
    """
    side = len(image)
    faces = _detector().detect_multi_scale(
        img=image, scale_factor=SCALE_FACTOR, step_ratio=1, min_size=(SMALLEST,) * 2, max_size=(side,) * 2
    )
    if not faces:
        return np.zeros(DIM)
    areas = [face["width"] * face["height"] / side**2 for face in faces]
    # Equal sizes: the upper, then the left one, whatever the order in which they were found.
    largest = max(faces, key=lambda face: (face["width"], -face["r"], -face["c"]))
    x = (largest["c"] + largest["width"] / 2) / side
    y = (largest["r"] + largest["height"] / 2) / side
    off_centre = np.hypot(x - 0.5, y - 0.5) / np.hypot(0.5, 0.5)
    return np.array(
        [len(faces), sum(areas), sum(areas) / len(faces), largest["width"] / side, x, y, off_centre]
    )


@functools.lru_cache(maxsize=1)
def _detector() -> Cascade:
    return Cascade(lbp_frontal_face_cascade_filename())
