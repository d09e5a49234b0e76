"""Texture descriptors of one image, (s, s, 3) uint8 RGB: Gabor filters and wavelets; it knows nothing else.

Both read the luminance (ITU-R BT.601, as OpenCV computes it) over 255. Dimensions are the paper's; the
docstrings name the published definition of each and what this project chose where that leaves something open.
"""

from __future__ import annotations

import functools
import math

import cv2
import numpy as np

from benchmark.contracts import Array

SCALES = 4
ORIENTATIONS = 6
LOWEST, HIGHEST = 0.05, 0.4
"""Centre frequencies of the outermost Gabor scales, in cycles per pixel."""
MARGIN = 32
"""Pixels mirrored beyond each border before filtering, so that opposite borders do not meet."""
WAVELET_LEVELS = 3

GABOR_DIM = 2 * SCALES * ORIENTATIONS
WAVELET_DIM = 2 * 4**WAVELET_LEVELS


def gabor(image: Array) -> Array:
    """Return the (48,) means and standard deviations of Gabor magnitudes: 4 scales x 6 orientations x 2.

    The filter bank is that of Manjunath and Ma, Texture features for browsing and retrieval of image data,
    IEEE TPAMI 1996, with their frequencies 0.05 to 0.4 cycles per pixel. Orientation i is a wave that
    advances at i x 30 degrees from the x axis, so 0 answers to vertical stripes. Chosen here: filtering in
    the frequency domain after mirroring 32 pixels at each border, and no answer to a constant. Scales go from
    coarse to fine.
    """
    grey = np.pad(_luminance(image), MARGIN, mode="symmetric")
    spectrum = np.fft.fft2(grey)
    side = len(image)
    inner = slice(MARGIN, MARGIN + side)
    found = []
    for transfer in _bank(len(grey)):
        magnitude = np.abs(np.fft.ifft2(spectrum * transfer))[inner, inner]
        found += [magnitude.mean(), magnitude.std()]
    return np.array(found)


@functools.lru_cache(maxsize=1)
def _bank(side: int) -> tuple[Array, ...]:
    """Return the transfer functions of the filters, (side, side) each: Gaussians around their frequency."""
    ratio = (HIGHEST / LOWEST) ** (1 / (SCALES - 1))
    # Widths by which the half-peak contours of neighbouring filters touch (Manjunath and Ma, section 2.2).
    log4 = 2 * math.log(2)
    wide = (ratio - 1) * HIGHEST / ((ratio + 1) * math.sqrt(log4))
    across = math.tan(math.pi / (2 * ORIENTATIONS)) * (HIGHEST - log4 * wide**2 / HIGHEST)
    across /= math.sqrt(log4 - (log4 * wide / HIGHEST) ** 2)
    frequencies = np.fft.fftfreq(side)
    x, y = frequencies[None, :], frequencies[:, None]
    bank = []
    for scale in range(SCALES):
        shrink = ratio ** (scale - SCALES + 1)
        for orientation in range(ORIENTATIONS):
            angle = math.pi * orientation / ORIENTATIONS
            along = x * math.cos(angle) + y * math.sin(angle) - HIGHEST * shrink
            beside = y * math.cos(angle) - x * math.sin(angle)
            transfer = np.exp(-((along / (wide * shrink)) ** 2 + (beside / (across * shrink)) ** 2) / 2)
            transfer[0, 0] = 0.0
            bank.append(transfer)
    return tuple(bank)


def wavelet(image: Array) -> Array:
    """Return the (128,) means and standard deviations of the size of wavelet coefficients in 64 sub-bands.

    A tree-structured transform (Chang and Kuo, Texture analysis and classification with tree-structured
    wavelet transform, IEEE TIP 1993) that splits every band on each of three levels. Chosen here: the full
    tree, whose 4^3 leaves give the dimension exactly (a pyramid and a tree side by side, as in NUS-WIDE, have
    it too but share bands, so that columns would appear twice), and orthonormal Haar filters, which need no
    rule for borders. The order is that of the splits: means, horizontal, vertical and diagonal differences,
    level by level.
    """
    bands = _luminance(image)[None]
    for _ in range(WAVELET_LEVELS):
        bands = _haar(bands)
    sizes = np.abs(bands).reshape(len(bands), -1)
    return np.stack([sizes.mean(axis=1), sizes.std(axis=1)], axis=1).ravel()


def _haar(bands: Array) -> Array:
    """Split each of (b, s, s) bands into four of half the side; return (4 b, s / 2, s / 2)."""
    a, b = bands[:, ::2, ::2], bands[:, ::2, 1::2]
    c, d = bands[:, 1::2, ::2], bands[:, 1::2, 1::2]
    split = np.stack([a + b + c + d, a - b + c - d, a + b - c - d, a - b - c + d], axis=1) / 2.0
    return split.reshape(-1, *split.shape[2:])


def _luminance(image: Array) -> Array:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) / 255.0
