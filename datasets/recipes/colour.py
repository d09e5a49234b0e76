"""Colour descriptors of one image, (s, s, 3) uint8 RGB; it knows neither files nor the other kinds.

Dimensions are the paper's (Table I); how its authors filled them is not stated, so each docstring names the
published definition that it follows and what this project chose where that leaves something open. All values
are shares of pixels or moments in [-1, 1], so that the number of pixels reaches none.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from benchmark.contracts import Array

RGB_LEVELS = (8, 8, 4)
HSV_LEVELS = (8, 2, 4)
HSV_MARGINAL_LEVELS = 8
BLOCKS = 5
"""Blocks per side for the colour moments."""
CORRELOGRAM_LEVELS = (6, 2, 3)
DISTANCES = (1, 3, 5, 7)
"""Distances of the correlogram, in pixels: the larger of the two coordinate differences."""

RGB_DIM = 256
HSV_DIM = 64
HSV_MARGINAL_DIM = 3 * HSV_MARGINAL_LEVELS
MOMENTS_DIM = 3 * 3 * BLOCKS * BLOCKS
COLOURS = 36
CORRELOGRAM_DIM = COLOURS * len(DISTANCES)


def rgb_histogram(image: Array) -> Array:
    """Return the (256,) joint histogram of R, G and B, the share of pixels in each cell.

    Swain and Ballard, Color indexing, IJCV 1991. Chosen here: 8 x 8 x 4 equal levels (blue has the fewest, as
    in 8-bit colour), blue varying fastest.
    """
    cells = _cells([_levels(c, n) for c, n in zip(cv2.split(image), RGB_LEVELS, strict=True)], RGB_LEVELS)
    return np.bincount(cells.ravel(), minlength=RGB_DIM) / cells.size


def hsv_histogram(image: Array) -> Array:
    """Return the (64,) joint histogram of hue, saturation and value, the share of pixels in each cell.

    8 hues x 2 saturations x 4 values are the levels of MPEG-7's scalable colour descriptor at 64 bins
    (Manjunath et al., Color and texture descriptors, IEEE TCSVT 2001). Chosen here: equal levels, the first
    hue centred on red; grey pixels have hue red and saturation 0; no Haar transform; value varies fastest.
    """
    return np.bincount(_hsv_cells(image, HSV_LEVELS).ravel(), minlength=HSV_DIM) / image[..., 0].size


def hsv_marginals(image: Array) -> Array:
    """Return the (24,) histograms of hue, saturation and value side by side, 8 levels each.

    The dimension leaves the form open; three marginal histograms are its plainest reading. Each sums to one.
    Hues are as in `hsv_histogram`.
    """
    levels = _hsv_levels(image, (HSV_MARGINAL_LEVELS,) * 3)
    return np.concatenate(
        [np.bincount(x.ravel(), minlength=HSV_MARGINAL_LEVELS) / x.size for x in levels], dtype=np.float64
    )


def colour_moments(image: Array) -> Array:
    """Return the (225,) block-wise colour moments: 5 x 5 blocks x 3 channels x 3 moments.

    Mean, standard deviation and cube root of the third central moment (Stricker and Orengo, Similarity of
    color images, SPIE 1995). Chosen here: the channels are L, a and b of CIELAB as 8-bit numbers over 255;
    blocks go row by row, and differ by one pixel in size where five does not divide the side.
    """
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB) / 255.0
    edges = np.linspace(0, len(lab), BLOCKS + 1).round().astype(int)
    moments = np.empty((BLOCKS, BLOCKS, 3, 3))
    for i in range(BLOCKS):
        for j in range(BLOCKS):
            block = lab[edges[i] : edges[i + 1], edges[j] : edges[j + 1]].reshape(-1, 3)
            mean = block.mean(axis=0)
            centred = block - mean
            deviation = np.sqrt(np.mean(centred**2, axis=0))
            moments[i, j] = np.stack([mean, deviation, np.cbrt(np.mean(centred**3, axis=0))], axis=1)
    return moments.ravel()


def correlogram(image: Array) -> Array:
    """Return the (144,) colour auto-correlogram: 36 colours x distances 1, 3, 5, 7.

    Entry (c, k): the probability that a pixel at distance k of a pixel of colour c has colour c too (Huang et
    al., Image indexing using color correlograms, CVPR 1997), over the pairs inside the image; 0 where there
    is no such pixel. Chosen here: colours are 6 hues x 2 saturations x 3 values, quantised as in
    `hsv_histogram`; the distance varies fastest.
    """
    colours = _hsv_cells(image, CORRELOGRAM_LEVELS)
    entries = np.empty((COLOURS, len(DISTANCES)))
    for place, distance in enumerate(DISTANCES):
        same, pairs = np.zeros(COLOURS), np.zeros(COLOURS)
        for first, second in _neighbours(colours, distance):
            same += 2 * np.bincount(first[first == second], minlength=COLOURS)
            pairs += np.bincount(first.ravel(), minlength=COLOURS)
            pairs += np.bincount(second.ravel(), minlength=COLOURS)
        entries[:, place] = same / np.maximum(pairs, 1)
    return entries.ravel()


def _neighbours(colours: Array, distance: int) -> list[tuple[Array, Array]]:
    """Pair all pixels at one distance; each pair once, so both of its ends are to be counted."""
    side, d = len(colours), distance
    half_ring = [(0, d), *((dy, d) for dy in range(1, d)), *((dy, -d) for dy in range(1, d))]
    half_ring += [(d, dx) for dx in range(-d, d + 1)]
    pairs = []
    for dy, dx in half_ring:
        left, right = max(0, -dx), side - max(0, dx)
        pairs.append((colours[: side - dy, left:right], colours[dy:, left + dx : right + dx]))
    return pairs


def _levels(channel: Array, levels: int) -> Array:
    return channel.astype(np.intp) * levels // 256


def _hsv_levels(image: Array, levels: Sequence[int]) -> list[Array]:
    hue, saturation, value = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL))
    # Half a level further round the circle: the first level has red in its middle, not at its border.
    hue_levels = (hue.astype(np.intp) * levels[0] + 128) // 256 % levels[0]
    return [hue_levels, _levels(saturation, levels[1]), _levels(value, levels[2])]


def _hsv_cells(image: Array, levels: Sequence[int]) -> Array:
    return _cells(_hsv_levels(image, levels), levels)


def _cells(levels: Sequence[Array], counts: Sequence[int]) -> Array:
    first, second, third = levels
    return (first * counts[1] + second) * counts[2] + third
