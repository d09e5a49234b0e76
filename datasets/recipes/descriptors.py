"""Local descriptors of one image, SIFT and colour on a dense grid; it knows neither files nor encodings."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from benchmark.contracts import Array

STEP = 8
"""Pixels between neighbouring grid points."""
MARGIN = 12
"""Pixels between the border and the outermost grid points."""
PATCHES = (16, 24, 40)
"""Sides of the square patches around every grid point, in pixels."""

COLOUR_DIM = 6


@dataclass(frozen=True)
class LocalDescriptors:
    """Descriptors of one image, one row per (patch side, grid point).

    The grid is the same for every image, so the number of rows says nothing about it.
    """

    sift: Array
    """(p, 384) float32: RootSIFT of the L, a and b channels side by side, each of unit L2 norm or zero."""
    colour: Array
    """(p, 6) float32: means, then standard deviations, of L, a and b in the patch."""


def grid(side: int) -> Array:
    """Return the (g * g, 2) integer grid points (x, y) of a square image."""
    ticks = np.arange(MARGIN, side - MARGIN + 1, STEP)
    x, y = np.meshgrid(ticks, ticks)
    return np.stack([x.ravel(), y.ravel()], axis=1)


def describe(image: Array, sample: Array | None = None) -> LocalDescriptors:
    """Describe an image (s, s, 3), uint8 RGB.

    Parameters
    ----------
    sample
        Positions into the p rows; by default all rows are computed.
    """
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    points = grid(image.shape[0])
    rows = np.arange(len(PATCHES) * len(points)) if sample is None else sample
    sides = np.asarray(PATCHES)[rows // len(points)]
    places = points[rows % len(points)]
    return LocalDescriptors(_root_sift(lab, places, sides), _colour(lab, places, sides))


def _root_sift(lab: Array, places: Array, sides: Array) -> Array:
    # A SIFT patch is 4 x 4 bins of 1.5 * size pixels each, hence side / 6; angle 0: upright, not rotated.
    keypoints = [
        cv2.KeyPoint(float(x), float(y), float(side) / 6.0, 0.0)
        for (x, y), side in zip(places, sides, strict=True)
    ]
    sift = cv2.SIFT.create()
    channels = []
    for channel in cv2.split(lab):
        kept, histograms = sift.compute(channel, keypoints)
        if len(kept) != len(keypoints):
            raise RuntimeError(
                f"OpenCV {cv2.getVersionString()} dropped {len(keypoints) - len(kept)} SIFT grid points"
            )
        # RootSIFT (Arandjelovic and Zisserman, CVPR 2012). A flat patch has no gradients and stays zero.
        total = np.maximum(histograms.sum(axis=1, keepdims=True), 1.0)
        channels.append(np.sqrt(histograms / total))
    return np.concatenate(channels, axis=1, dtype=np.float32)


def _colour(lab: Array, places: Array, sides: Array) -> Array:
    values = lab.astype(np.float32)
    out = np.empty((len(places), COLOUR_DIM), dtype=np.float32)
    for side in PATCHES:
        mean = cv2.boxFilter(values, -1, (side, side))
        square = cv2.boxFilter(values * values, -1, (side, side))
        deviation = np.sqrt(np.maximum(square - mean * mean, 0.0))
        rows = sides == side
        x, y = places[rows].T
        out[rows] = np.concatenate([mean[y, x], deviation[y, x]], axis=1)
    return out
